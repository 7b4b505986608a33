//! The interfaces to images and guests without a virtual machine: for fuzz targets and tests. Each
//! function panics when something that the tender promises does not hold.

mod devices;
mod driver;

use std::sync::{Arc, Mutex};

use hvt_abi::cpu_page::{ARGUMENT_COUNT, ARGUMENTS, CALL};
use hvt_abi::{Call, ImageNote, LINK_BASE, NOTE_WORDS, PAGE, VERSION};

use crate::calls::{self, Way};
use crate::console::Console;
use crate::devices::{Device, DeviceMemory, Slot, Slots};
use crate::elf::{Image, ReadAt, SegmentRights};
use crate::guest::{Guest, StartLine};
use crate::kick::Kick;
use crate::layout::{Access, CLUSTER, DOORBELL, HOLE, HOLE_END, Layout, WINDOW, Wanted};
use crate::memory::GuestRam;
use crate::start::address_space;
use crate::times::Times;

pub use devices::devices;
#[cfg(test)]
pub(crate) use devices::memory_file;
pub use driver::{Chain, Driver};

/// A well-formed image with one segment of each kind; the start for those that are not.
pub fn sample_image() -> Vec<u8> {
    let mut file = vec![0u8; 5 * PAGE as usize];
    let mut put = |at: usize, words: &[u64]| {
        for (i, word) in words.iter().enumerate() {
            file[at + 8 * i..at + 8 * i + 8].copy_from_slice(&word.to_le_bytes());
        }
    };
    let base = LINK_BASE;
    let text = base + PAGE;
    put(0, &[0x0001_0102_464c_457f, 0, 0x1_003e_0003, text, 64, 0, 56 << 48 | 64 << 32, 6]);
    let header = |kind: u64, flags: u64, offset: u64, file_len: u64, len: u64| {
        [kind | flags << 32, offset, base + offset, 0, file_len, len, PAGE]
    };
    let headers = [
        header(1, 4, 0, 0x800, 0x800),
        header(1, 5, PAGE, 0x100, 0x100),
        header(1, 4, 2 * PAGE, PAGE, PAGE),
        header(1, 6, 3 * PAGE, 0x80, 5 * PAGE),
        header(2, 4, 2 * PAGE, 96, 96),
        header(4, 4, 0x400, 72, 72),
    ];
    for (i, header) in headers.iter().enumerate() {
        put(64 + 56 * i, header);
    }
    // Note: lengths, type, name, then distances to the code.
    put(0x400, &[9 | 48 << 32, 1 | u64::from(u32::from_le_bytes(*b"Oxik")) << 32]);
    put(0x410, &[u64::from_le_bytes(*b"raft\0\0\0\0")]);
    let at = base + 0x418;
    let distance = |index: u64, to: u64| to.wrapping_sub(at + 8 * index);
    let note: [u64; NOTE_WORDS] = [
        VERSION,
        64 << 10,
        distance(2, text + 16),
        distance(3, text + 32),
        distance(4, text + 48),
        0,
    ];
    put(0x418, &note);
    // Tables of relocations: two words of each kind.
    let data = base + 3 * PAGE;
    put(2 * PAGE as usize, &[7, base + 0x500, 8, 24, 36, base + 0x540, 35, 16, 0, 0]);
    put(0x500, &[base + 2 * PAGE + 0x200, 8, text]);
    put(0x540, &[data, 0b11]);
    file
}

/// An image of any bytes is refused or laid out so that nothing overlaps and all is in memory.
pub fn image(bytes: &[u8], memory: u64, random: Option<[u64; 4]>) {
    let Ok(image) = Image::read(&bytes) else { return };
    for segment in &image.segments {
        assert!(segment.len.is_multiple_of(PAGE) && segment.file_len <= segment.len);
        assert!(segment.file_start + segment.file_len <= (&bytes).len());
    }
    if let Ok(relocations) = image.relocations(&bytes) {
        for relocation in relocations {
            let inside = |s: &&crate::elf::Segment| {
                relocation.place >= s.start && relocation.place + 8 <= s.start + s.len
            };
            let segment = image.segments.iter().find(inside).expect("in a segment");
            assert_ne!(segment.rights, SegmentRights::Execute);
        }
    }
    let wanted =
        Wanted { image: &image, memory, cpus: 2, boot: 300, devices: 3, initrd: 5000, random };
    let Ok(layout) = Layout::new(&wanted) else { return };
    check_layout(&layout, memory);
}

fn check_layout(layout: &Layout, memory: u64) {
    let mut physical: Vec<(u64, u64)> =
        layout.pieces().map(|p| (p.physical, p.physical + p.len)).collect();
    let mut addresses: Vec<(u64, u64)> =
        layout.pieces().map(|p| (p.address, p.address + p.len)).collect();
    addresses.push((layout.doorbell, layout.doorbell + PAGE));
    addresses.extend(layout.device_registers().map(|(address, _)| (address, address + PAGE)));
    for ranges in [&mut physical, &mut addresses] {
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:x?}");
    }
    for (start, end) in physical {
        let last = memory + if start >= HOLE_END { HOLE_END - HOLE } else { 0 };
        assert!(start.is_multiple_of(PAGE) && end <= last, "{start:x}..{end:x} of {memory:x}");
        assert!(end <= HOLE || start >= HOLE_END);
    }
    for piece in layout.pieces() {
        assert!(piece.address >= 1 << 32, "the first pages are not mapped");
        assert!(!WINDOW.contains(piece.address, 1));
    }
    // What is used first is at the end of a cluster, and the heap begins with one.
    assert!((layout.cpu_pages.address + layout.cpu_pages.len).is_multiple_of(CLUSTER));
    assert!(layout.heap[0].address.is_multiple_of(CLUSTER));
    // A page that is not mapped below each stack.
    for stack in layout.fault_stacks.iter().chain([&layout.stack]) {
        let below = stack.address - PAGE;
        assert!(!layout.pieces().any(|p| p.address <= below && below < p.address + p.len));
    }
}

/// A guest without a CPU.
pub(crate) fn guest(memory: u64, devices: Vec<Box<dyn Device>>) -> &'static Guest {
    let file = sample_image();
    let image = Image::read(&&file[..]).expect("the sample is an image");
    let wanted = Wanted {
        image: &image,
        memory,
        cpus: 1,
        boot: PAGE,
        devices: devices.len() as u64,
        initrd: 2 * PAGE,
        random: None,
    };
    let layout = Layout::new(&wanted).expect("it fits");
    let ram = Arc::new(GuestRam::new(memory).expect("the host has memory"));
    let mut space = address_space(&ram, memory, &layout).expect("there is room for tables");
    space.go_live();
    let space = Arc::new(Mutex::new(space));
    let memory: &'static DeviceMemory =
        Box::leak(Box::new(DeviceMemory { ram: ram.clone(), space }));
    let kicks: &'static [Kick] = vec![Kick::default()].leak();
    let slots = devices.into_iter().enumerate().map(|(index, device)| {
        Slot::new(device, index, &layout, memory, &kicks[0], Console::None)
            .expect("the host has eventfds")
    });
    let slots = Slots(slots.collect());
    Box::leak(Box::new(Guest {
        ram,
        memory,
        devices: Box::leak(Box::new(slots)),
        layout,
        note: ImageNote { stack: 0, interrupt: 0, fault: 0, gate: 0, flags: 0 },
        kicks,
        starts: vec![StartLine::default()],
        console: Console::None,
        times: Times::new(false),
        debugger: None,
    }))
}

/// Calls of a hostile guest: 32 bytes for each, in pieces that hit interesting addresses often.
/// Whatever it asks for, its code stays what it was, and it reaches its own memory alone.
pub fn calls(bytes: &[u8]) {
    thread_local! {
        static GUEST: &'static Guest = guest(8 << 20, Vec::new());
    }
    let guest = GUEST.with(|guest| *guest);
    let layout = &guest.layout;
    let heap = layout.heap_range();
    let interesting = [
        0,
        PAGE,
        WINDOW.start,
        WINDOW.end() - PAGE,
        heap.start,
        heap.end() - PAGE,
        layout.segments[0].address,
        layout.segments[1].address,
        layout.segments[3].address,
        layout.stack.address,
        layout.cpu_pages.address,
        layout.doorbell,
        crate::stub::KERNEL,
        1 << 47,
        u64::MAX - PAGE + 1,
        2 << 20,
    ];
    for call in bytes.chunks_exact(32) {
        let word = |index: usize| u64::from_le_bytes(std::array::from_fn(|i| call[8 * index + i]));
        let number = Call::ALL[word(0) as usize % Call::ALL.len()];
        // These end the guest, or wait.
        if matches!(number, Call::Exit | Call::Wait | Call::Timer | Call::CpuInterrupt) {
            continue;
        }
        let at = |index: usize| guest.cpu_page(0) + 8 * index as u64;
        guest.ram.set_word(at(CALL), number as u64);
        for index in 0..ARGUMENT_COUNT {
            let raw = word(1 + index.min(2)).rotate_left(index as u32);
            // Low bits choose between a number as it is and one near an interesting one.
            let value = match raw & 3 {
                0 => raw >> 2,
                1 => (raw >> 2 & 7) * PAGE,
                2 => interesting[(raw >> 2) as usize % interesting.len()],
                _ => interesting[(raw >> 2) as usize % interesting.len()]
                    .wrapping_add((raw >> 8 & 0xff) * PAGE),
            };
            guest.ram.set_word(at(ARGUMENTS + index), value);
        }
        let way = if number.is_memory() { Way::Gate } else { Way::Doorbell };
        let changes = calls::handle(guest, 0, way);
        for change in &changes.entries {
            assert!(change.entry >= crate::memory::TABLES, "{change:x?}");
        }
    }
    check_rights(guest, &interesting);
}

fn check_rights(guest: &Guest, interesting: &[u64]) {
    let space = guest.space();
    for piece in guest.layout.pieces() {
        for address in [piece.address, piece.address + piece.len - PAGE] {
            let writable = space.translate(address, true);
            if matches!(piece.access, Access::Read | Access::Execute) {
                assert_eq!(writable, None, "{address:x} is sealed");
                assert_eq!(
                    space.translate(address, false).map(|(physical, _)| physical),
                    Some(piece.physical + (address - piece.address))
                );
            }
        }
    }
    for address in interesting.iter().flat_map(|a| [*a, a.wrapping_add(3 * PAGE)]) {
        if let Some((physical, _)) = space.translate(address, false) {
            let is_doorbell = (DOORBELL..HOLE_END).contains(&physical);
            assert!(is_doorbell || !(HOLE..HOLE_END).contains(&physical), "{address:x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::elf::Relocation;

    #[test]
    fn the_sample_is_read_whole() {
        let file = sample_image();
        let image = Image::read(&&file[..]).unwrap();
        let rights: Vec<SegmentRights> = image.segments.iter().map(|s| s.rights).collect();
        use SegmentRights::{Execute, Read, Write};
        assert_eq!(rights, [Read, Execute, Read, Write]);
        assert_eq!(image.segments[3].len, 5 * PAGE);
        assert_eq!(image.note.gate, LINK_BASE + PAGE + 48);
        let data = LINK_BASE + 3 * PAGE;
        let place = |place, addend| Relocation { place, addend };
        assert_eq!(
            image.relocations(&&file[..]).unwrap(),
            [
                place(LINK_BASE + 2 * PAGE + 0x200, Some(LINK_BASE + PAGE)),
                place(data, None),
                place(data + 8, None),
            ]
        );
    }

    /// Changes the sample and says why it is refused.
    fn refused(change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut file = sample_image();
        change(&mut file);
        let image = Image::read(&&file[..]);
        let error = image.and_then(|image| image.relocations(&&file[..]).map(|_| ()));
        error.unwrap_err().to_string()
    }

    #[test]
    fn hostile_images_are_refused_with_the_cause() {
        let word = |at: usize, value: u64| {
            move |file: &mut Vec<u8>| file[at..at + 8].copy_from_slice(&value.to_le_bytes())
        };
        let header = |index: usize, field: usize| 64 + 56 * index + 8 * field;
        for (cause, said) in [
            ("not a 64-bit ELF file", refused(|file| file.truncate(63))),
            ("not a 64-bit ELF file", refused(|file| file[4] = 1)),
            ("another architecture", refused(|file| file[18] = 183)),
            ("not position-independent", refused(|file| file[16] = 2)),
            ("headers make no sense", refused(|file| file[56] = 0)),
            ("cut short", refused(word(32, u64::MAX - 8))),
            ("writable and executable", refused(|file| file[header(1, 0) + 4] = 7)),
            ("segment makes no sense", refused(word(header(3, 4), 6 * PAGE))),
            ("segment makes no sense", refused(word(header(3, 5), u64::MAX))),
            ("segment makes no sense", refused(word(header(3, 1), 3 * PAGE + 8))),
            ("share a page", refused(word(header(2, 5), 2 * PAGE))),
            ("needs other files", refused(|file| file[header(5, 0)] = 3)),
            ("no note", refused(|file| file[0x40c] = b'x')),
            ("version 9 of the monitor", refused(word(0x418, 9))),
            ("is not in its code", refused(word(24, LINK_BASE))),
            ("is not in its code", refused(word(0x438, 0))),
            ("relocations are not where", refused(word(2 * PAGE as usize + 8, 5))),
            ("kind of relocation", refused(word(0x508, 6))),
            ("is not in its data", refused(word(0x500, LINK_BASE + PAGE))),
            ("is not in its data", refused(word(0x540, LINK_BASE + 8 * PAGE))),
        ] {
            assert!(said.contains(cause), "{cause}: {said}");
        }
    }

    #[test]
    fn addresses_are_fixed_or_differ() {
        let file = sample_image();
        let image = Image::read(&&file[..]).unwrap();
        let layout = |random| {
            let memory = 64 << 20;
            let wanted =
                Wanted { image: &image, memory, cpus: 1, boot: 9, devices: 0, initrd: 0, random };
            Layout::new(&wanted).unwrap()
        };
        assert_eq!(layout(None).bias, 0);
        let (a, b) = (layout(Some([1, 2, 3, 4])), layout(Some([5, 6, 7, 8])));
        let starts = |l: &Layout| [l.segments[0].address, l.stack.address, l.heap[0].address];
        assert!(starts(&a).iter().zip(starts(&b)).all(|(a, b)| *a != b));
    }

    proptest! {
        #[test]
        fn damaged_images_do_no_harm(
            changes in prop::collection::vec((0usize..0x600, any::<u8>()), 0..6),
            end in prop::option::of(0usize..20_000),
            memory in prop_oneof![0u64..1 << 20, 1u64 << 20..1 << 34],
            random in prop::option::of(any::<[u64; 4]>()),
        ) {
            let mut file = sample_image();
            for (at, byte) in changes {
                file[at] = byte;
            }
            file.truncate(end.unwrap_or(usize::MAX));
            image(&file, memory, random);
        }

        #[test]
        fn hostile_drivers_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            devices(&bytes);
        }

        #[test]
        fn hostile_calls_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..640)) {
            calls(&bytes);
        }
    }
}
