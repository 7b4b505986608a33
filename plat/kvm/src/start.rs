//! From the entry code to the boot sequence: memory map, page tables, stacks, tables of the CPU.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use ukarch_x86_64::lapic;
use ukarch_x86_64::page_table::{Flags, MapError, Mapper, PAGE};
use ukarch_x86_64::regs::{outb, write_cr3};
use ukarch_x86_64::trap::{Tables, TrapStacks};
use ukarch_x86_64::vector;
use ukplat::boot::early_parameter;
use ukplat::{BootInfo, Exit, MemoryKind, MemoryMap, parse_size};

#[cfg(feature = "devices")]
use crate::devices::Found;
use crate::firmware::Firmware;
use crate::frames::Frames;
use crate::pvh::{PhysicalMemory, StartInfo};
use crate::{Config, acpi, button, interrupts, power, serial, traps};
#[cfg(feature = "smp")]
use crate::{cpus, trampoline};

/// The entry code maps this much.
const BOOT_MAPPED: u64 = 1 << 30;
/// Below this, memory is left alone: real-mode tables of the firmware, and start code for
/// further CPUs must lie there.
const LOW_RESERVED: usize = 64 << 10;
/// Regions of the machine, and what image, ram disk and the like cut them into. Maps of this size are
/// moved on the entry code's stack.
const MAX_REGIONS: usize = crate::pvh::MAX_REGIONS + 32;

const INTERRUPT_STACK: u64 = 8 << 10;
const EXCEPTION_STACK: u64 = 16 << 10;
const SMALL_STACK: u64 = 8 << 10;

struct Once<T>(UnsafeCell<MaybeUninit<T>>);
// SAFETY: written once, by `start` on the only CPU, before anything else runs.
unsafe impl<T> Sync for Once<T> {}

impl<T> Once<T> {
    const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// # Safety
    /// At most one call, while nothing else runs.
    #[expect(clippy::mut_from_ref, reason = "the caller promises at most one call")]
    unsafe fn write(&'static self, value: T) -> &'static mut T {
        // SAFETY: the caller's promise makes the reference unique.
        unsafe { (*self.0.get()).write(value) }
    }
}

static BOOT_INFO: Once<BootInfo> = Once::new();
static MEMORY: Once<MemoryMap<MAX_REGIONS>> = Once::new();
static TABLES: Once<Tables> = Once::new();
#[cfg(feature = "devices")]
static DEVICES: Once<Found> = Once::new();

unsafe extern "C" {
    static oxikraft_image_start: u8;
    static oxikraft_text_start: u8;
    static oxikraft_data_start: u8;
    static oxikraft_image_end: u8;
}

/// Sections of the image, by the linker script.
struct Sections {
    rodata: u64,
    text: u64,
    data: u64,
    end: u64,
}

impl Sections {
    fn get() -> Self {
        // Only the addresses of the linker's symbols are taken.
        Self {
            rodata: &raw const oxikraft_image_start as u64,
            text: &raw const oxikraft_text_start as u64,
            data: &raw const oxikraft_data_start as u64,
            end: &raw const oxikraft_image_end as u64,
        }
    }
}

/// Memory as the entry code mapped it.
struct BootMapped;

impl PhysicalMemory for BootMapped {
    fn bytes(&self, address: u64, len: usize) -> Option<&'static [u8]> {
        let end = address.checked_add(len as u64)?;
        if address == 0 || end > BOOT_MAPPED {
            return None;
        }
        // SAFETY: the first GiB is mapped. Nobody writes where start info, memory map, module list
        // and command line lie: `set_up` takes these ranges (`StartInfo::ranges`) out of free
        // memory before it uses any.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, len) })
    }
}

/// Sets the machine up and calls `boot` on the stack of `main`.
///
/// # Safety
/// Called once, by the entry code.
pub unsafe fn start(
    start_info: u64,
    entry_ticks: u64,
    config: &Config,
    boot: fn(&'static BootInfo) -> !,
) -> ! {
    #[cfg(feature = "smp")]
    cpus::init();
    serial::init();
    // SAFETY: kernel mode.
    unsafe { vector::enable() };
    // SAFETY: first and only call; nothing else runs.
    match unsafe { set_up(start_info, entry_ticks, config) } {
        Ok((info, stack_top)) => {
            // SAFETY: the new stack is fresh memory; nothing on the old one is used again. The
            // zero words end backtraces and align the stack as a call leaves it (psABI 3.2.2).
            unsafe {
                core::arch::asm!(
                    "mov rsp, {stack}",
                    "xor ebp, ebp",
                    "push 0",
                    "push 0",
                    "call {boot}",
                    "ud2",
                    stack = in(reg) stack_top,
                    boot = in(reg) boot,
                    in("rdi") info,
                    options(noreturn),
                )
            }
        }
        Err(cause) => {
            ukplat::eprintln!("boot failed: {}", cause);
            power::off(Exit::Boot)
        }
    }
}

const NO_ROOM: &str = "not enough memory: give the machine more";
const TOO_MANY_REGIONS: &str = "the machine's memory map has too many entries";

/// # Safety
/// As [`start`].
unsafe fn set_up(
    start_info: u64,
    entry_ticks: u64,
    config: &Config,
) -> Result<(&'static BootInfo, u64), &'static str> {
    let machine = StartInfo::read(&BootMapped, start_info).map_err(|e| e.cause())?;
    let sections = Sections::get();
    let full = |_| TOO_MANY_REGIONS;

    // SAFETY: `start` runs once.
    let map = unsafe { MEMORY.write(MemoryMap::new()) };
    for region in machine.regions().map_err(|e| e.cause())? {
        let kind = match region.kind {
            1 => MemoryKind::Free,
            3 => MemoryKind::Firmware,
            _ => MemoryKind::Reserved,
        };
        map.add(region.base as usize, region.len as usize, kind).map_err(full)?;
    }
    map.add(0, LOW_RESERVED, MemoryKind::Reserved).map_err(full)?;
    // What the machine told must stay readable while it is read.
    for (base, len) in machine.ranges().map_err(|e| e.cause())? {
        map.add(base as usize, len as usize, MemoryKind::Firmware).map_err(full)?;
    }
    let image_len = (sections.end - sections.rodata) as usize;
    let has = |base: usize, len: usize, map: &MemoryMap<MAX_REGIONS>| {
        map.regions().iter().any(|r| r.is_free() && r.base <= base && r.end() - base >= len)
    };
    if !has(sections.rodata as usize, image_len, map) {
        return Err("the machine has no memory where the image lies: give it more");
    }
    map.add(sections.rodata as usize, image_len, MemoryKind::Image).map_err(full)?;
    let module = machine.module().map_err(|e| e.cause())?;
    if let Some((base, len)) = module {
        let inside = usize::try_from(base)
            .is_ok_and(|base| usize::try_from(len).is_ok_and(|len| has(base, len, map)));
        if !inside {
            return Err("the initial ram disk does not fit into memory: give the machine more");
        }
        map.add(base as usize, len as usize, MemoryKind::Initrd).map_err(full)?;
    }
    map.align_free();

    // The platform's own memory: from the first free range above the image.
    let above = map
        .regions()
        .iter()
        .find(|r| r.is_free() && r.base as u64 >= sections.end && (r.base as u64) < BOOT_MAPPED)
        .ok_or(NO_ROOM)?;
    let (own_start, own_end) = (above.base as u64, (above.end() as u64).min(BOOT_MAPPED));
    // SAFETY: the range is free memory, and mapped by the entry code.
    let mut frames = unsafe { Frames::new(own_start, own_end) };

    let words = words(machine.command_line().map_err(|e| e.cause())?, &mut frames)?;
    find_button(machine.rsdp(), &mut frames);
    #[cfg(feature = "devices")]
    let (words, devices) = find_devices(machine.rsdp(), words, &mut frames);
    #[cfg(not(feature = "devices"))]
    let devices = &[];
    let stacks = Stacks::take(&mut frames, config.stack).ok_or(NO_ROOM)?;
    #[cfg(feature = "smp")]
    let cpus = prepare_cpus(&machine, config.cpus, &mut frames)?;
    let mut mapper = Mapper::new(frames).map_err(map_cause)?;
    for region in map.regions() {
        let flags = match region.kind {
            MemoryKind::Free | MemoryKind::Image => Flags::WRITE,
            MemoryKind::Initrd | MemoryKind::Firmware => Flags::READ,
            MemoryKind::Reserved => continue,
        };
        let end = (region.end() as u64).checked_next_multiple_of(PAGE);
        let end = end.ok_or(map_cause(MapError::OutOfRange))?;
        let start = region.base as u64 & !(PAGE - 1);
        mapper.map(start, start, end - start, flags).map_err(map_cause)?;
    }
    for (start, end, flags) in [
        (sections.rodata, sections.text, Flags::READ),
        (sections.text, sections.data, Flags::EXECUTE),
        (sections.data, sections.end, Flags::WRITE),
        (lapic::DEFAULT_BASE, lapic::DEFAULT_BASE + PAGE, Flags::WRITE | Flags::UNCACHED),
    ] {
        mapper.map(start, start, end - start, flags).map_err(map_cause)?;
    }
    let registers = Flags::WRITE | Flags::UNCACHED;
    for base in interrupts::controllers() {
        mapper.map(base, base, PAGE, registers).map_err(map_cause)?;
    }
    if let Some(base) = button::registers()
        && mapper.map(base, base, PAGE, registers).is_err()
    {
        button::found(None);
    }
    for (guard, _) in stacks.all() {
        mapper.unmap(guard, PAGE).map_err(map_cause)?;
    }
    #[cfg(feature = "smp")]
    if cpus > 1 {
        for guard in (1..cpus).flat_map(traps::guards) {
            mapper.unmap(guard, PAGE).map_err(map_cause)?;
        }
        let page = trampoline::PAGE_ADDRESS;
        mapper.map(page, page, PAGE, Flags::EXECUTE).map_err(map_cause)?;
        // SAFETY: the page is reserved memory (`LOW_RESERVED`) in which nothing is left to read.
        unsafe { trampoline::install() };
    }
    // SAFETY: the tables map the image with the rights its sections need, the current stack (part
    // of its data) and all memory in use; the mapper is not used again.
    unsafe { write_cr3(mapper.root()) };
    let own_len = (mapper.into_memory().next() - own_start) as usize;
    map.add(own_start as usize, own_len, MemoryKind::Image).map_err(full)?;
    let limit = early_parameter(words, "kvm.memory").and_then(parse_size);
    map.limit_free(limit.unwrap_or(config.memory as usize));

    // SAFETY: `start` runs once, in kernel mode; the stacks were just made.
    unsafe { TABLES.write(Tables::new()).load(stacks.for_traps()) };
    traps::set_stacks(0, stacks.all());
    // The old interrupt controller stays silent; the local APIC takes its place.
    // SAFETY: masking has no effect on memory.
    unsafe {
        outb(0x21, 0xff);
        outb(0xa1, 0xff);
    }

    let initrd = module.map(|(base, len)| {
        // SAFETY: the range lies in memory, is mapped read-only and given to nobody.
        unsafe { core::slice::from_raw_parts(base as *const u8, len as usize) }
    });
    let memory = map.regions();
    let data = sections.data as usize..sections.end as usize;
    let stack_guard = PAGE as usize;
    let stack = stacks.main.0 as usize + stack_guard..stacks.main.1 as usize;
    let info = BootInfo { words, memory, initrd, devices, entry_ticks, data, stack, stack_guard };
    // SAFETY: `start` runs once.
    let info = unsafe { BOOT_INFO.write(info) };
    Ok((info, stacks.main.1))
}

/// Finds interrupt controllers and the power button.
fn find_button(root_pointer: u64, frames: &mut Frames) {
    let firmware = Firmware::new(frames);
    let Some(apics) = acpi::find_table(&firmware, root_pointer, b"APIC") else { return };
    interrupts::set_controllers(acpi::io_apics(apics));
    if let Some(fixed) = acpi::find_fixed(&firmware, root_pointer) {
        let description = acpi::find_description(&firmware, fixed);
        button::found(acpi::power_button(apics, fixed, description));
    }
}

/// Finds devices; returns the words that are not about devices, and the devices.
#[cfg(feature = "devices")]
fn find_devices(
    root_pointer: u64,
    words: &'static [&'static str],
    frames: &mut Frames,
) -> (&'static [&'static str], &'static [ukplat::device::Device]) {
    // SAFETY: `start` runs once.
    let found = unsafe { DEVICES.write(Found::new()) };
    let words = &words[..found.add_words(words)];
    let firmware = Firmware::new(frames);
    found.add_firmware(&firmware, root_pointer);
    (words, found.devices())
}

/// Finds further CPUs and keeps memory for them; returns how many CPUs there are. Without usable
/// memory for the code that they start with it is one.
#[cfg(feature = "smp")]
fn prepare_cpus(
    machine: &StartInfo<'_, BootMapped>,
    wanted: u32,
    frames: &mut Frames,
) -> Result<usize, &'static str> {
    const RAM: u32 = 1;
    let page = trampoline::PAGE_ADDRESS;
    let mut regions = machine.regions().map_err(|e| e.cause())?;
    let is_ram = regions
        .any(|r| r.kind == RAM && r.base <= page && r.base.saturating_add(r.len) >= page + PAGE);
    let count = cpus::find(machine.rsdp(), if is_ram { wanted } else { 1 }, frames);
    for cpu in 1..count {
        let stacks = Stacks::take(frames, 0).ok_or(NO_ROOM)?;
        let tables = frames.take(PAGE).ok_or(NO_ROOM)?;
        cpus::prepare(cpu, &stacks, tables);
    }
    Ok(count)
}

fn map_cause(error: MapError) -> &'static str {
    match error {
        MapError::NoMemory => NO_ROOM,
        MapError::Unaligned | MapError::OutOfRange | MapError::InUse => {
            "the machine's memory map makes no sense"
        }
    }
}

/// Copies the command line and makes the table of its words.
fn words(
    command_line: &[u8],
    frames: &mut Frames,
) -> Result<&'static [&'static str], &'static str> {
    const NAME: &str = "image";
    let text = frames.take(command_line.len() as u64).ok_or(NO_ROOM)?;
    // SAFETY: fresh pages of at least this length, for this slice alone.
    let text = unsafe { core::slice::from_raw_parts_mut(text as *mut u8, command_line.len()) };
    text.copy_from_slice(command_line);
    let text = ukplat::cmdline::compact(text)
        .map_err(|_| "the command line ends inside quotes or after a backslash")?;
    let text = core::str::from_utf8(text).map_err(|_| "the command line is not valid UTF-8")?;
    let count = if text.is_empty() { 1 } else { 2 + text.bytes().filter(|b| *b == 0).count() };
    let table = frames.take((count * size_of::<&str>()) as u64).ok_or(NO_ROOM)?;
    // SAFETY: fresh pages of at least this length, for this slice alone; every element is written
    // before it is read.
    let table =
        unsafe { core::slice::from_raw_parts_mut(table as *mut MaybeUninit<&'static str>, count) };
    let rest = text.split('\0').filter(|_| count > 1);
    let mut written = 0;
    for (slot, word) in table.iter_mut().zip(core::iter::once(NAME).chain(rest)) {
        slot.write(word);
        written += 1;
    }
    // SAFETY: that many elements were written.
    Ok(unsafe { core::slice::from_raw_parts(table.as_ptr().cast(), written) })
}

/// Stacks, each above a page that will not be mapped: (guard page, end).
pub struct Stacks {
    main: (u64, u64),
    interrupts: (u64, u64),
    exceptions: (u64, u64),
    double_fault: (u64, u64),
    nmi: (u64, u64),
}

impl Stacks {
    fn take(frames: &mut Frames, main: u64) -> Option<Self> {
        let mut stack = |len: u64| {
            let guard = frames.take(PAGE + len)?;
            Some((guard, frames.next()))
        };
        Some(Self {
            main: stack(main)?,
            interrupts: stack(INTERRUPT_STACK)?,
            exceptions: stack(EXCEPTION_STACK)?,
            double_fault: stack(SMALL_STACK)?,
            nmi: stack(SMALL_STACK)?,
        })
    }

    pub fn all(&self) -> [(u64, u64); 5] {
        [self.main, self.interrupts, self.exceptions, self.double_fault, self.nmi]
    }

    pub fn for_traps(&self) -> TrapStacks {
        TrapStacks {
            interrupts: self.interrupts.1,
            exceptions: self.exceptions.1,
            double_fault: self.double_fault.1,
            nmi: self.nmi.1,
        }
    }
}
