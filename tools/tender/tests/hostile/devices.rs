//! Guests that attack devices.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use hvt_abi::device::{
    AGREED, QUEUE_AVAILABLE, QUEUE_DESCRIPTORS, QUEUE_SIZE, QUEUE_USED, SET_STATUS, notify, queue,
};
use hvt_abi::{Call, LINK_BASE, PAGE};
use tender::layout::Layout;

use super::guest::{Machine, TEXT, guest, layout, offset, run, with_table};

/// A second CPU, and a disk.
const MACHINE: Machine = Machine { cpus: 2, devices: 1 };
/// Exit code of a guest that came to the end of its script.
const END: i32 = 7;
/// Version 1 and indirect descriptors.
const FEATURES: u64 = 1 << 32 | 1 << 28;
const READY: u64 = 15;
/// Descriptor flags.
const NEXT: u64 = 1;
const WRITE: u64 = 2;
const INDIRECT: u64 = 4;

/// Lines of a script.
type Lines = Vec<[u64; 3]>;

/// A guest with one device, and the places that its scripts write to.
struct Places {
    layout: Layout,
    /// The queue that they use; others are left alone.
    queue: usize,
    /// Memory that nothing else uses, of whole pages.
    heap: u64,
}

impl Places {
    fn new(queue: usize) -> Self {
        let layout = layout(&guest("hostile_script", "hostile_fault", &[]), MACHINE);
        let heap = layout.heap_range().start;
        Self { layout, queue, heap }
    }

    fn register(&self, offset: usize) -> u64 {
        self.layout.devices[0].address + offset as u64
    }

    /// Sets the device up with rings at these addresses.
    fn set_up(&self, size: u64, rings: [u64; 3]) -> Lines {
        let mut lines = vec![
            [1, self.register(SET_STATUS), 0],
            [0, self.register(AGREED), FEATURES],
            [1, self.register(queue(self.queue) + QUEUE_SIZE), size],
        ];
        let offsets = [QUEUE_DESCRIPTORS, QUEUE_AVAILABLE, QUEUE_USED];
        for (offset, address) in offsets.into_iter().zip(rings) {
            lines.push([0, self.register(queue(self.queue) + offset), address]);
        }
        lines.push([1, self.register(SET_STATUS), READY]);
        lines
    }

    fn rings(&self) -> [u64; 3] {
        [self.heap, self.heap + PAGE, self.heap + 2 * PAGE]
    }

    fn descriptor(&self, index: u64, [address, len, flags, next]: [u64; 4]) -> Lines {
        let at = self.heap + 16 * index;
        vec![[0, at, address], [0, at + 8, len | flags << 32 | next << 48]]
    }

    /// Offers the request that starts with descriptor `head`, as the first one, and waits for its
    /// completion or the device's end.
    fn offer(&self, head: u64, index: u64) -> Lines {
        vec![
            [0, self.heap + PAGE, index << 16 | head << 32],
            [1, self.register(notify(self.queue)), 0],
            [3, self.register(hvt_abi::device::STATUS), READY],
        ]
    }
}

fn script(lines: &[Lines]) -> Vec<u8> {
    let lines: Vec<&[u64; 3]> = lines.iter().flatten().collect();
    let mut table = vec![lines.len() as u64];
    table.extend(lines.into_iter().flatten());
    with_table("hostile_script", "hostile_fault", &table)
}

/// Runs a guest with a device; it must come to its end, and the tender say this.
#[track_caller]
fn says_with(what: &str, lines: &[Lines], device: &[&str], text: &str) {
    let Some(output) = run(&script(lines), MACHINE, device) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(END), "{what}: {}: {said}", output.status);
    assert!(said.contains(text), "{what}: {text}: {said}");
}

/// Runs a guest with a disk; it must come to its end, and the tender say this.
#[track_caller]
fn says(what: &str, lines: &[Lines], text: &str) {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    std::fs::write(&disk, [0x5a; 4096]).unwrap();
    says_with(what, lines, &["--disk", disk.to_str().unwrap()], text);
    assert!(std::fs::read(&disk).unwrap() == [0x5a; 4096], "{what}: nothing was to be written");
}

#[test]
fn a_device_with_a_hostile_driver_stops_with_the_cause() {
    let places = Places::new(0);
    let rings = places.rings();
    let data = places.heap + 4 * PAGE;
    let request = |descriptors: &[[u64; 4]], index: u64| -> Vec<Lines> {
        let mut lines = vec![places.set_up(8, rings)];
        lines.extend((0..).zip(descriptors).map(|(i, d)| places.descriptor(i, *d)));
        lines.push(places.offer(0, index));
        lines
    };
    let one = |descriptor: [u64; 4]| request(&[descriptor], 1);
    let kernel = 0xffff_8000_0000_0000;
    let (chain, memory) = ("the descriptors of a request do not end", "is not the guest's");
    let attacks: Vec<(&str, Vec<Lines>, &str)> = vec![
        ("loop", request(&[[data, 1, NEXT, 1], [data, 1, NEXT, 0]], 1), chain),
        ("outside", one([data, 16, NEXT, 8]), chain),
        ("head", vec![places.set_up(8, rings), places.offer(9, 1)], chain),
        ("many", request(&[[data, 16, 0, 0]], 40), "more requests"),
        ("giant", one([data, 0xffff_ffff, WRITE, 0]), "more than 256 descriptors"),
        ("null", one([0, 16, 0, 0]), memory),
        ("end of the heap", one([places.layout.heap_range().end() - 8, 16, WRITE, 0]), memory),
        ("code", one([TEXT, 16, WRITE, 0]), memory),
        ("constants", one([LINK_BASE, 16, WRITE, 0]), memory),
        ("kernel", one([kernel, 16, 0, 0]), memory),
        ("tables", one([kernel + (2 << 20), 16, WRITE, 0]), memory),
        ("registers", one([places.register(SET_STATUS), 16, WRITE, 0]), memory),
        ("wraps", one([u64::MAX - 7, 16, WRITE, 0]), memory),
        (
            "order",
            request(&[[data, 16, NEXT | WRITE, 1], [data, 16, 0, 0]], 1),
            "memory to read behind",
        ),
        ("no status", one([data, 16, 0, 0]), "no room for its status"),
        ("no header", one([data, 1, WRITE, 0]), "no header"),
        (
            "table of tables",
            {
                let mut lines = one([data, 16, INDIRECT, 0]);
                lines.insert(0, vec![[0, data, data], [0, data + 8, 16 | INDIRECT << 32]]);
                lines
            },
            chain,
        ),
        ("half a table", one([data, 24, INDIRECT, 0]), chain),
        ("table outside", one([kernel, 16, INDIRECT, 0]), chain),
        ("size", vec![places.set_up(7, rings)], "the memory of queue 0"),
        ("huge size", vec![places.set_up(0x1_0008, rings)], "the memory of queue 0"),
        (
            "ring in code",
            vec![places.set_up(8, [rings[0], rings[1], TEXT])],
            "the memory of queue 0",
        ),
        ("ring nowhere", vec![places.set_up(8, [0, rings[1], rings[2]])], "the memory of queue 0"),
        (
            "not aligned",
            vec![places.set_up(8, [rings[0] + 8, rings[1], rings[2]])],
            "the memory of queue 0",
        ),
        (
            "features",
            {
                let mut lines = places.set_up(8, rings);
                lines[1][2] = u64::MAX;
                vec![lines]
            },
            "features that it does not have",
        ),
    ];
    for (what, lines, text) in attacks {
        says(what, &lines, text);
    }
}

/// Runs a guest with a network card on which a frame waits; gives what the guest sent.
#[track_caller]
fn says_on_the_wire(what: &str, lines: &[Lines], text: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net");
    let listener = UnixListener::bind(&path).unwrap();
    // The tender connects before the guest starts, and this need not be there for that.
    let sent = std::thread::spawn(move || {
        let (mut wire, _) = listener.accept().unwrap();
        wire.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = wire.write_all(b"\0\0\0\x0ehello, hostile");
        let mut sent = Vec::new();
        let _ = wire.read_to_end(&mut sent);
        sent
    });
    let socket = format!("socket={}", path.display());
    says_with(what, lines, &["--net", &socket], text);
    // Where there is no /dev/kvm nobody has come.
    drop(std::os::unix::net::UnixStream::connect(&path));
    sent.join().unwrap()
}

#[test]
fn a_network_card_with_a_hostile_driver_stops_with_the_cause() {
    let memory = "is not the guest's";
    let kernel = 0xffff_8000_0000_0000;
    let room = Places::new(0);
    let data = room.heap + 4 * PAGE;
    let one = |places: &Places, index: u64, descriptor: [u64; 4]| -> Vec<Lines> {
        vec![
            places.set_up(8, places.rings()),
            places.descriptor(0, descriptor),
            places.offer(0, index),
        ]
    };
    // Room for the frame that waits.
    for (what, descriptor, index, text) in [
        ("into code", [TEXT, 64, WRITE, 0], 1, memory),
        ("into constants", [LINK_BASE, 64, WRITE, 0], 1, memory),
        ("into the kernel", [kernel + (2 << 20), 64, WRITE, 0], 1, memory),
        ("into registers", [room.register(SET_STATUS), 64, WRITE, 0], 1, memory),
        ("giant", [data, 0xffff_ffff, WRITE, 0], 1, "more than 256 descriptors"),
        ("loop", [data, 64, WRITE | NEXT, 0], 1, "do not end"),
        ("too many", [data, 64, WRITE, 0], 9, "more requests"),
    ] {
        assert_eq!(says_on_the_wire(what, &one(&room, index, descriptor), text), b"", "{what}");
    }
    // A frame of what it may not read.
    let send = Places::new(1);
    for (what, descriptor, text) in [
        ("of the kernel", [kernel, 64, 0, 0], memory),
        ("of nothing", [0, 64, 0, 0], memory),
        ("without a header", [data, 11, 0, 0], "no header"),
        ("only room", [data, 64, WRITE, 0], "no header"),
    ] {
        assert_eq!(says_on_the_wire(what, &one(&send, 1, descriptor), text), b"", "{what}");
    }
}

#[test]
fn a_share_with_a_hostile_driver_stops_or_refuses() {
    let places = Places::new(0);
    let data = places.heap + 4 * PAGE;
    let ask = |said: [u64; 4], room: [u64; 4]| -> Vec<Lines> {
        // A message of any kind, as long as it says.
        vec![
            vec![[0, data, 0x0000_ff7f_0000_0040]],
            places.set_up(8, places.rings()),
            places.descriptor(0, said),
            places.descriptor(1, room),
            places.offer(0, 1),
        ]
    };
    let dir = tempfile::tempdir().unwrap();
    let share = format!("data={}", dir.path().display());
    let memory = "is not the guest's";
    for (what, said, room, text) in [
        ("answer into code", [data, 64, NEXT, 1], [TEXT, 4096, WRITE, 0], memory),
        ("answer into constants", [data, 64, NEXT, 1], [LINK_BASE, 64, WRITE, 0], memory),
        (
            "message of the kernel",
            [0xffff_8000_0000_0000, 64, NEXT, 1],
            [data, 64, WRITE, 0],
            memory,
        ),
        ("giant message", [data, 2 << 20, NEXT, 1], [data, 64, WRITE, 0], "longer than messages"),
        ("no message", [data, 64, NEXT, 1], [data, 64, WRITE, 0], ""),
        ("no room", [data, 64, NEXT, 1], [data, 0, WRITE, 0], ""),
    ] {
        says_with(what, &ask(said, room), &["--share", &share], text);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn registers_that_are_none_do_no_harm() {
    let places = Places::new(0);
    let mut lines = vec![places.set_up(8, places.rings())];
    for offset in [4, 60, 68, 124, 4092] {
        lines.push(vec![[1, places.register(SET_STATUS + offset), 0xffff_ffff]]);
        lines.push(vec![[0, places.register(SET_STATUS + offset), u64::MAX]]);
    }
    lines.push(vec![[1, places.register(notify(0)), 77], [1, places.register(SET_STATUS), 0]]);
    says("registers", &lines, "");
}

#[test]
fn a_second_cpu_that_rewrites_what_a_device_reads_does_no_harm() {
    let places = Places::new(0);
    let data = places.heap + 4 * PAGE;
    let (bad, good) = (0xffff_8000_0000_0000, data);
    let racer = places.heap + 6 * PAGE;
    // What the second CPU writes, over and over.
    let writes = [
        [places.heap, bad],
        [places.heap + 16 + 8, 0xffff_ffff | (NEXT | WRITE) << 32 | 2 << 48],
        [places.heap, good],
        [places.heap + 16 + 8, 512 | (NEXT | WRITE) << 32 | 2 << 48],
        [places.heap + 32 + 8, 1 | (NEXT | WRITE) << 32],
        [places.heap + 32 + 8, 1 | WRITE << 32],
        [data, 1],
        [data, 0],
    ];
    let mut first: Lines = vec![[0, racer, writes.len() as u64]];
    for (at, [address, value]) in (racer + 8..).step_by(16).zip(writes) {
        first.extend([[0, at, address], [0, at + 8, value]]);
    }
    let page = places.layout.cpu_pages.address;
    let word = |index: usize| page + 8 * index as u64;
    let arguments = [1, TEXT + offset("hostile_racer"), places.heap + 8 * PAGE, racer];
    for (index, argument) in (hvt_abi::cpu_page::ARGUMENTS..).zip(arguments) {
        first.push([0, word(index), argument]);
    }
    first.push([0, word(hvt_abi::cpu_page::CALL), Call::CpuStart as u64]);
    first.push([1, places.layout.doorbell, 0]);
    let start = first.len() as u64;
    let mut round = places.set_up(8, places.rings());
    round.extend(places.descriptor(0, [good, 16, NEXT, 1]));
    round.extend(places.descriptor(1, [data, 512, NEXT | WRITE, 2]));
    round.extend(places.descriptor(2, [data + 4096, 1, WRITE, 0]));
    for index in 1..9 {
        round.push([0, places.heap + PAGE, index << 16]);
        round.push([1, places.register(notify(0)), 0]);
    }
    round.push([2, start, 300]);
    says("race", &[first, round], "");
}
