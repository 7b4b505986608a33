//! Further CPUs: found by ACPI, started by INIT and start-up interrupts (Intel SDM volume 3,
//! section 8.4), interrupted through the local APIC.

use core::ops::Range;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize};

use ukarch_x86_64::local::Block;
use ukarch_x86_64::page_table::PAGE;
use ukarch_x86_64::regs::{cpuid, disable_interrupts, invlpg, read_cr3, write_cr3, wrmsr};
use ukarch_x86_64::segment::IA32_GS_BASE;
use ukarch_x86_64::trap::{Tables, TrapStacks};
use ukarch_x86_64::vector;
use ukplat::cpu::MAX_CPUS;
use ukplat::{CpuError, preempt};

use crate::firmware::Firmware;
use crate::frames::Frames;
use crate::local::{CPU_ID, STACK_TOP};
use crate::start::Stacks;
use crate::trampoline::LAUNCH;
use crate::{acpi, clock, thread, trampoline, traps};

static BLOCKS: [Block; MAX_CPUS] = [const { Block::new() }; MAX_CPUS];
static COUNT: AtomicUsize = AtomicUsize::new(1);
static APIC_IDS: [AtomicU8; MAX_CPUS] = [const { AtomicU8::new(0) }; MAX_CPUS];
/// CPUs that run, a bit each.
static RUNNING: AtomicU64 = AtomicU64::new(1);
static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
/// Segment and interrupt tables of CPUs that have not been started.
static TABLES: [AtomicPtr<Tables>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];
/// Stacks for these tables.
static STACKS: [[AtomicU64; 4]; MAX_CPUS] = [const { [const { AtomicU64::new(0) }; 4] }; MAX_CPUS];

/// Makes the CPU that boots CPU 0; before anything asks for its words.
pub fn init() {
    become_cpu(0);
}

fn become_cpu(cpu: usize) {
    // SAFETY: kernel mode; nothing else uses GS; the block lives for ever and is this CPU's alone.
    unsafe { wrmsr(IA32_GS_BASE, &raw const BLOCKS[cpu] as u64) };
    CPU_ID.store(cpu);
}

pub fn count() -> usize {
    COUNT.load(Relaxed)
}

/// Finds the machine's CPUs, of which at most `wanted` will be used; returns how many that are.
/// The tables in use must be the entry code's.
pub fn find(root_pointer: u64, wanted: u32, frames: &mut Frames) -> usize {
    let own = (cpuid(1).ebx >> 24) as u8;
    APIC_IDS[0].store(own, Relaxed);
    let mut count = 1;
    if let Some(apics) = acpi::find_cpus(&Firmware::new(frames), root_pointer) {
        let wanted = (wanted as usize).min(MAX_CPUS);
        for id in apics.ids().iter().filter(|id| **id != own) {
            if count < wanted {
                APIC_IDS[count].store(*id, Relaxed);
                count += 1;
            }
        }
    }
    COUNT.store(count, Relaxed);
    count
}

/// Keeps memory for a CPU until it is started: its stacks, and a page for its tables.
pub fn prepare(cpu: usize, stacks: &Stacks, tables: u64) {
    const { assert!(size_of::<Tables>() as u64 <= PAGE) };
    let TrapStacks { interrupts, exceptions, double_fault, nmi } = stacks.for_traps();
    for (slot, end) in STACKS[cpu].iter().zip([interrupts, exceptions, double_fault, nmi]) {
        slot.store(end, Relaxed);
    }
    TABLES[cpu].store(tables as *mut Tables, Relaxed);
    traps::set_stacks(cpu, stacks.all());
}

/// What the CPU that is being started does first.
static ENTRY: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static ARGUMENT: AtomicUsize = AtomicUsize::new(0);
/// Held while a CPU is being started.
static STARTING: AtomicBool = AtomicBool::new(false);

/// # Safety
/// As [`ukplat::cpu_start`].
pub unsafe fn start(
    cpu: usize,
    stack_top: usize,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
) -> Result<(), CpuError> {
    while STARTING.swap(true, Acquire) {
        core::hint::spin_loop();
    }
    let result = start_alone(cpu, stack_top, entry, argument);
    STARTING.store(false, Release);
    result
}

fn start_alone(
    cpu: usize,
    stack_top: usize,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
) -> Result<(), CpuError> {
    /// Nanoseconds to wait after INIT; virtual CPUs need none, real ones of this century little.
    const AFTER_INIT: u64 = 10_000;
    /// How often the start is tried, and how long each try may take.
    const TRIES: [u64; 4] = [1_000_000, 10_000_000, 100_000_000, 5_000_000_000];
    let runs = || RUNNING.load(Acquire) & 1 << cpu != 0;
    if runs() {
        return Err(CpuError::Running);
    }
    if TABLES[cpu].load(Relaxed).is_null() {
        return Err(CpuError::NoMemory);
    }
    let apic = clock::apic().ok_or(CpuError::NoAnswer)?;
    // From here on CPUs read the clock that cannot measure it.
    clock::settle();
    ENTRY.store(entry as *mut (), Relaxed);
    ARGUMENT.store(argument, Relaxed);
    LAUNCH.tables.store(read_cr3(), Relaxed);
    LAUNCH.stack_top.store(stack_top as u64 & !15, Relaxed);
    LAUNCH.cpu.store(cpu as u64, Release);
    let wait = |ns: u64| {
        let limit = ukplat::monotonic_ns() + ns;
        while !runs() && ukplat::monotonic_ns() < limit {
            core::hint::spin_loop();
        }
    };
    let id = APIC_IDS[cpu].load(Relaxed);
    without_interrupts(|| apic.send_init(id));
    wait(AFTER_INIT);
    for time in TRIES {
        without_interrupts(|| apic.send_startup(id, trampoline::PAGE_ADDRESS));
        wait(time);
        if runs() {
            return Ok(());
        }
    }
    // It stays stopped, so that it does not come to life when its stack is something else.
    without_interrupts(|| apic.send_init(id));
    Err(CpuError::NoAnswer)
}

/// First Rust code of a further CPU, on the stack it was given.
pub extern "C" fn run(cpu: usize) -> ! {
    become_cpu(cpu);
    STACK_TOP.store(LAUNCH.stack_top.load(Relaxed) as usize);
    let [interrupts, exceptions, double_fault, nmi] =
        STACKS[cpu].each_ref().map(|end| end.load(Relaxed));
    let tables = TABLES[cpu].load(Relaxed);
    // SAFETY: kernel mode. `prepare` kept a page and stacks for this CPU, which runs this once.
    unsafe {
        tables.write(Tables::new());
        (*tables).load(TrapStacks { interrupts, exceptions, double_fault, nmi });
    }
    thread::prepare_cpu();
    // SAFETY: kernel mode.
    unsafe { vector::enable() };
    #[cfg(feature = "trap")]
    crate::syscall::prepare_cpu();
    clock::enable_apic();
    let (entry, argument) = (ENTRY.load(Relaxed), ARGUMENT.load(Relaxed));
    // SAFETY: only `start_alone` stores here, and it takes such a function.
    let entry = unsafe { core::mem::transmute::<*mut (), extern "C" fn(usize) -> !>(entry) };
    // After this, `start_alone` may store the values for the next CPU.
    RUNNING.fetch_or(1 << cpu, AcqRel);
    entry(argument)
}

/// The part of the stack that this CPU was started with above an address in it; empty on CPU 0.
pub fn started_stack_above(from: usize) -> Range<usize> {
    from..STACK_TOP.load()
}

fn without_interrupts(action: impl FnOnce()) {
    let was_enabled = disable_interrupts();
    action();
    if was_enabled {
        traps::enable();
    }
}

fn send(cpu: usize, vector: u8) {
    if let Some(apic) = clock::apic() {
        let id = APIC_IDS[cpu].load(Relaxed);
        without_interrupts(|| apic.send(id, vector));
    }
}

pub fn interrupt(cpu: usize) {
    if cpu < MAX_CPUS && RUNNING.load(Acquire) & 1 << cpu != 0 {
        send(cpu, traps::CPU_VECTOR);
    }
}

pub fn on_interrupt(handler: fn()) {
    HANDLER.store(handler as *mut (), Release);
}

/// The interrupt of another CPU.
pub fn on_cpu_interrupt() {
    clock::end_of_interrupt();
    let handler = HANDLER.load(Acquire);
    if !handler.is_null() {
        // SAFETY: only `on_interrupt` stores here, and it takes a `fn()`.
        let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
        handler();
    }
}

/// Held by the CPU whose request the two addresses are.
static FLUSHING: AtomicBool = AtomicBool::new(false);
static FLUSH_START: AtomicUsize = AtomicUsize::new(0);
static FLUSH_END: AtomicUsize = AtomicUsize::new(0);
/// CPUs that have not done it yet, a bit each.
static TO_FLUSH: AtomicU64 = AtomicU64::new(0);

pub fn flush_others(range: Range<usize>) {
    let _guard = preempt::disable();
    let others = RUNNING.load(Acquire) & !(1 << CPU_ID.load());
    if others == 0 {
        return;
    }
    while FLUSHING.swap(true, Acquire) {
        // The other may wait for this CPU, whose interrupts may be disabled.
        flush_if_asked();
        core::hint::spin_loop();
    }
    FLUSH_START.store(range.start, Relaxed);
    FLUSH_END.store(range.end, Relaxed);
    TO_FLUSH.store(others, Release);
    for cpu in (0..MAX_CPUS).filter(|cpu| others & 1 << cpu != 0) {
        send(cpu, traps::FLUSH_VECTOR);
    }
    while TO_FLUSH.load(Acquire) != 0 {
        core::hint::spin_loop();
    }
    FLUSHING.store(false, Release);
}

/// The interrupt of a CPU that changed page tables.
pub fn on_flush() {
    clock::end_of_interrupt();
    flush_if_asked();
}

fn flush_if_asked() {
    /// From so many pages on, forgetting everything is cheaper.
    const MANY: usize = 32;
    let bit = 1 << CPU_ID.load();
    if TO_FLUSH.load(Acquire) & bit == 0 {
        return;
    }
    let (start, end) = (FLUSH_START.load(Relaxed), FLUSH_END.load(Relaxed));
    let pages = (start & !(PAGE as usize - 1)..end).step_by(PAGE as usize);
    if pages.len() > MANY {
        // SAFETY: the tables in use stay in use; no page is global.
        unsafe { write_cr3(read_cr3()) };
    } else {
        // SAFETY: the platform runs in kernel mode.
        pages.for_each(|page| unsafe { invlpg(page as u64) });
    }
    TO_FLUSH.fetch_and(!bit, AcqRel);
}
