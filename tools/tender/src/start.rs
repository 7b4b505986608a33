//! From the command line to the guest's first instruction.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex};

use hvt_abi::{BootInfo, ImageNote, NOTE_HAS_DRIVERS, PAGE, Range, WORDS_PER_PAGE};
use kvm_ioctls::{Kvm, VcpuFd};

use crate::args::Args;
use crate::confine::{self, Call, Confinement, Role};
use crate::console::Console;
use crate::cpu::Cpu;
use crate::debug::{self, Debugger};
use crate::devices::{self, DeviceMemory, Slot, Slots};
use crate::elf::{Image, ImageFile};
use crate::error::{Error, ImageError};
use crate::guest::{Guest, Start, StartLine};
use crate::kick::{self, Kick};
use crate::layout::{
    Access, DEVICE_REGISTERS, DOORBELL, LARGE_PAGE, Layout, Piece, SYSTEM, WINDOW, Wanted,
};
use crate::machine::Machine;
use crate::memory::{GuestRam, Populate, Tables};
use crate::paging::{AddressSpace, Bits};
use crate::times::Times;
use crate::{calls, stub};

/// Bytes kept for the boot information, before the command line.
const BOOT_INFO: u64 = 256;

/// Starts the guest and runs it to its end.
///
/// # Errors
/// What kept it from being started.
pub fn run(args: &Args) -> Result<std::convert::Infallible, Error> {
    confine::share_heap();
    let times = Times::new(args.times);
    // The kernel's part takes longest; it needs nothing but the memory.
    let kvm = Kvm::new().map_err(|e| Error::NoKvm(e.into()))?;
    let image_file = open(&args.image)?;
    let wrong = |error: ImageError| Error::Image(args.image.clone(), error);
    let image = Image::read(&image_file).map_err(wrong)?;
    let initrd = match &args.initrd {
        None => None,
        Some(path) => Some(open_regular(path).map_err(|e| Error::Initrd(path.clone(), e))?),
    };
    let has_drivers = image.note.flags & NOTE_HAS_DRIVERS != 0;
    let devices = devices::list(args, has_drivers)?;
    let words = command_line(args);
    // What gdb reads about the image says where it is linked to run.
    let random = (!args.fixed_addresses && args.gdb.is_none()).then(|| {
        let mut bytes = [0; 32];
        calls::random(&mut bytes);
        let (words, _) = bytes.as_chunks::<8>();
        std::array::from_fn(|i| u64::from_le_bytes(words[i]))
    });
    let layout = Layout::new(&Wanted {
        image: &image,
        memory: args.memory,
        cpus: args.cpus as u64,
        boot: BOOT_INFO + words.bytes.len() as u64 + 16 * words.count + 16,
        devices: devices.len() as u64,
        initrd: initrd.as_ref().map_or(0, |file| file.len),
        random,
    })?;
    let ram = Arc::new(GuestRam::new(args.memory)?);
    times.point("image");
    let machine = Machine::new(&kvm, &ram)?;
    times.point("machine");

    load(&ram, &image_file, &image, &layout).map_err(wrong)?;
    if let (Some(file), Some(piece)) = (&initrd, &layout.initrd) {
        let mapped = ram.map_file(piece.physical, &file.file, 0, piece.len);
        mapped.map_err(|e| Error::System("map the initial ram disk", e))?;
    }
    stub::install(&ram, args.cpus);
    let no_tables = |_| Error::Memory("no room for page tables".into());
    let mut space = address_space(&ram, args.memory, &layout).map_err(no_tables)?;
    times.point("loaded");
    let mut cpus = Vec::new();
    for index in 0..args.cpus {
        cpus.push(machine.cpu(index, space.root())?);
    }
    times.point("cpus");
    space.go_live();

    let moved = |address: u64| address.wrapping_add(layout.bias);
    let note = ImageNote {
        stack: image.note.stack,
        interrupt: moved(image.note.interrupt),
        fault: moved(image.note.fault),
        gate: moved(image.note.gate),
        flags: image.note.flags,
    };
    let start = Start {
        rip: moved(image.entry),
        // As after a call: one word below a multiple of 16.
        rsp: layout.stack.address + layout.stack.len - 8,
        argument: layout.boot.address,
    };
    let kicks: &'static [Kick] = (0..args.cpus).map(|_| Kick::default()).collect::<Vec<_>>().leak();
    if let Some(first) = kicks.first() {
        kick::install_handlers(first);
    }
    let (debugger, connection) = match args.gdb {
        None => (None, None),
        Some(port) => {
            let (debugger, connection) = Debugger::accept(port, kicks)?;
            (Some(debugger), Some(connection))
        }
    };
    let tsc_khz = frequency(cpus.first().and_then(|cpu| cpu.get_tsc_khz().ok()))?;
    let space = Arc::new(Mutex::new(space));
    let memory: &'static DeviceMemory =
        Box::leak(Box::new(DeviceMemory { ram: ram.clone(), space }));
    let mut slots = Slots::default();
    for (index, device) in devices.into_iter().enumerate() {
        let slot = Slot::new(device, index, &layout, memory, &kicks[0], Console::Standard)?;
        machine.ring(DEVICE_REGISTERS + index as u64 * PAGE, &slot)?;
        slots.0.push(slot);
    }
    let guest: &'static Guest = Box::leak(Box::new(Guest {
        ram,
        memory,
        devices: Box::leak(Box::new(slots)),
        layout,
        note,
        kicks,
        starts: (0..args.cpus).map(|_| StartLine::default()).collect(),
        console: Console::Standard,
        times,
        debugger,
    }));
    let initrd_len = initrd.as_ref().map(|file| file.len);
    drop((image_file, initrd, kvm));
    populate(guest, if args.share_pages { Populate::Shared } else { Populate::Own });
    let confinement = if args.unconfined { Confinement::Off } else { Confinement::On };
    if confinement == Confinement::On {
        confine::drop_rights(&args.shares)?;
    }
    let role = if connection.is_some() { Role::DebuggedCpu } else { Role::Cpu };
    if let Some(cpu) = cpus.first() {
        guest.times.count(cpu);
    }
    let mut cpu_calls = guest.devices.notifications();
    cpu_calls.extend(guest.times.calls());
    cpu_calls.extend(connection.iter().flat_map(debug::Connection::calls));
    // Before those of CPUs: it looks for the first one's stop.
    if let (Some(debugger), Some(connection)) = (&guest.debugger, connection) {
        debug::spawn(guest, debugger, connection, confinement)?;
    }
    let mut cpus = cpus.into_iter().enumerate();
    let first = cpus.next();
    for (index, fd) in cpus {
        spawn(guest, fd, index, (confinement, role), &cpu_calls)?;
    }
    for slot in &guest.devices.0 {
        devices::spawn(slot, confinement, args.cpus)?;
    }
    if let Some(line) = guest.starts.first() {
        line.call(start);
    }
    confinement.enter(role, &cpu_calls)?;
    guest.times.point("confined");
    write_boot_info(guest, &words, initrd_len, tsc_khz);
    guest.times.point("run");
    match first {
        Some((index, fd)) => Cpu::new(guest, fd, index).run(start),
        None => Err(Error::Arguments("a guest needs a CPU".into())),
    }
}

/// What a guest's clocks are made of: without it they would be wrong, and nobody would notice.
fn frequency(tsc_khz: Option<u32>) -> Result<u64, Error> {
    tsc_khz.filter(|khz| *khz > 0).map(u64::from).ok_or(Error::NoFrequency)
}

fn open(path: &str) -> Result<ImageFile, Error> {
    open_regular(path).map_err(|e| Error::Open(path.to_owned(), e))
}

fn open_regular(path: &str) -> std::io::Result<ImageFile> {
    // A pipe or a device must not make this wait.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    Ok(ImageFile { len: meta.len(), file })
}

/// The words of the command line, a zero byte after each; the first is the image's name.
struct Words {
    bytes: Vec<u8>,
    count: u64,
}

fn command_line(args: &Args) -> Words {
    let name = args.image.rsplit('/').next().unwrap_or_default();
    let mut bytes = Vec::new();
    for word in std::iter::once(name).chain(args.words.iter().map(String::as_str)) {
        bytes.extend_from_slice(word.as_bytes());
        bytes.push(0);
    }
    Words { bytes, count: 1 + args.words.len() as u64 }
}

/// Puts the image into memory: pages of the file, shared until they are written to, then the words
/// that depend on where it lies.
pub(crate) fn load(
    ram: &GuestRam,
    file: &ImageFile,
    image: &Image,
    layout: &Layout,
) -> Result<(), ImageError> {
    for (segment, piece) in image.segments.iter().zip(&layout.segments) {
        if segment.file_len == 0 {
            continue;
        }
        let pages = segment.file_len.next_multiple_of(PAGE);
        ram.map_file(piece.physical, &file.file, segment.file_start, pages)
            .map_err(ImageError::Read)?;
        // What else the file has in these pages does not belong here.
        clear(ram, piece.physical, segment.lead);
        clear(ram, piece.physical + segment.file_len, pages - segment.file_len);
    }
    for relocation in image.relocations(file)? {
        let pieces = image.segments.iter().zip(&layout.segments);
        let place = pieces
            .map(|(segment, piece)| (relocation.place.wrapping_sub(segment.start), piece))
            .find(|(offset, piece)| offset.checked_add(8).is_some_and(|end| end <= piece.len));
        let Some((offset, piece)) = place else { continue };
        let at = piece.physical + offset;
        let mut old = [0; 8];
        ram.read(at, &mut old);
        let old = relocation.addend.unwrap_or(u64::from_le_bytes(old));
        ram.write(at, &old.wrapping_add(layout.bias).to_le_bytes());
    }
    Ok(())
}

/// Clears memory that is not clear already: pages that are not written to stay shared.
fn clear(ram: &GuestRam, physical: u64, len: u64) {
    let mut bytes = vec![0; len as usize];
    ram.read(physical, &mut bytes);
    if bytes.iter().any(|byte| *byte != 0) {
        bytes.fill(0);
        ram.write(physical, &bytes);
    }
}

pub(crate) fn address_space(
    ram: &Arc<GuestRam>,
    memory: u64,
    layout: &Layout,
) -> Result<AddressSpace<Tables>, crate::paging::NoTable> {
    let mut space = AddressSpace::new(Tables::new(ram.clone(), memory))?;
    for Piece { address, physical, len, access } in layout.pieces() {
        space.map(*address, *physical, *len, (*access).into())?;
    }
    space.map(layout.doorbell, DOORBELL, PAGE, Bits::WRITE)?;
    for (address, physical) in layout.device_registers() {
        space.map(address, physical, PAGE, Bits::WRITE)?;
    }
    // The tender's tables, for kernel mode alone.
    let tables = Layout::table_memory(memory / PAGE * PAGE);
    space.map(stub::KERNEL, SYSTEM, PAGE, Bits::KERNEL_CODE)?;
    space.map(stub::KERNEL + PAGE, SYSTEM + PAGE, stub::LEN - PAGE, Bits::KERNEL_DATA)?;
    space.map(stub::KERNEL + LARGE_PAGE, SYSTEM + LARGE_PAGE, tables, Bits::KERNEL_DATA)?;
    Ok(space)
}

fn spawn(
    guest: &'static Guest,
    fd: VcpuFd,
    index: usize,
    (confinement, role): (Confinement, Role),
    calls: &[Call],
) -> Result<(), Error> {
    let calls = calls.to_vec();
    let run = move || {
        confinement.enter_or_end(role, &calls);
        let start = guest.starts[index].wait();
        Cpu::new(guest, fd, index).run(start)
    };
    let builder = std::thread::Builder::new().stack_size(128 << 10).name(format!("cpu {index}"));
    let started = builder.spawn(run).map(|_| ());
    started.map_err(|e| Error::System("start a thread for a CPU", e))
}

/// Takes the pages from the host that every guest uses at once, so that a KVM that shadows page tables
/// reaches all of a [cluster](crate::layout::CLUSTER) with one fault: it stops at pages that are not
/// there, or that other processes have too. So `sealed`, how pages that the guest cannot write to are
/// taken, decides between a start with half the faults and memory that is shared.
fn populate(guest: &Guest, sealed: Populate) {
    const IMAGE: u64 = 16 * PAGE;
    const STACK: u64 = 8 * PAGE;
    const HEAP: u64 = 8 * PAGE;
    /// Bytes at both ends of a heap that stay in small pages.
    const SMALL: u64 = 1 << 20;
    let (ram, layout) = (&guest.ram, &guest.layout);
    let mut left = IMAGE;
    for piece in &layout.segments {
        let len = piece.len.min(left);
        let how = if piece.access == Access::Write { Populate::Own } else { sealed };
        ram.populate(piece.physical, len, how);
        left -= len;
    }
    // Variables are used whatever lies before them.
    let writable = layout.segments.iter().filter(|piece| piece.access == Access::Write);
    for piece in writable {
        ram.populate(piece.physical, piece.len.min(IMAGE / 2), Populate::Own);
    }
    let stack = &layout.stack;
    let top = stack.len.min(STACK);
    ram.populate(stack.physical + stack.len - top, top, Populate::Own);
    ram.populate(layout.cpu_pages.physical, PAGE, Populate::Own);
    // Allocators begin with what is at both ends.
    if let (Some(first), Some(last)) = (layout.heap.first(), layout.heap.last()) {
        ram.populate(first.physical, first.len.min(HEAP), Populate::Own);
        ram.populate(last.physical + last.len - PAGE, PAGE, Populate::Own);
    }
    // A guest that needs much memory gets it with few faults; one that needs little touches none of this.
    for piece in &layout.heap {
        ram.want_large_pages(piece.physical + SMALL, piece.len.saturating_sub(2 * SMALL));
    }
}

fn write_boot_info(guest: &Guest, words: &Words, initrd_len: Option<u64>, tsc_khz: u64) {
    let layout = &guest.layout;
    let range = |piece: &Piece| Range { start: piece.address, len: piece.len };
    let text = Range { start: layout.boot.address + BOOT_INFO, len: words.bytes.len() as u64 };
    let stacks = |index: usize| layout.fault_stacks.get(index).map_or(0, |piece| piece.address);
    let initrd = layout.initrd.as_ref().zip(initrd_len);
    let initrd = initrd.map(|(piece, len)| Range { start: piece.address, len });
    let info = BootInfo {
        tsc_khz,
        wall_ns: calls::wall_ns(),
        bias: layout.bias,
        memory: layout.heap_range(),
        stack: range(&layout.stack),
        words: text,
        word_count: words.count,
        word_table: text.end().next_multiple_of(16),
        initrd: initrd.unwrap_or_default(),
        doorbell: layout.doorbell,
        cpu_pages: layout.cpu_pages.address,
        cpus: guest.cpus() as u64,
        fault_stacks: stacks(0),
        fault_stack_stride: stacks(1).wrapping_sub(stacks(0)),
        fault_stack_len: layout.fault_stacks.first().map_or(0, |piece| piece.len),
        window: WINDOW,
        devices: layout.device_range(),
    };
    let mut page = [0; WORDS_PER_PAGE];
    info.write(&mut page);
    guest.ram.write_words(layout.boot.physical, &page[..BOOT_INFO as usize / 8]);
    guest.ram.write(layout.boot.physical + BOOT_INFO, &words.bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_unknown_speed_is_refused() {
        assert_eq!(frequency(Some(2_000_000)).ok(), Some(2_000_000));
        for unknown in [None, Some(0)] {
            let said = frequency(unknown).unwrap_err().to_string();
            assert!(said.contains("time-stamp counter") && said.contains("linuxu"), "{said}");
        }
    }
}
