//! Further CPUs: the tender starts them, and interrupts one for another.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};

use hvt_abi::CallError;
use ukarch_x86_64::segment::set_gs_base;
use ukplat::CpuError;
use ukplat::cpu::MAX_CPUS;
use ukplat::memory::PAGE_SIZE;

use crate::call;
use crate::local::{CPU_ID, PAGE, STACK_TOP};
use crate::start::PLACES;

static COUNT: AtomicUsize = AtomicUsize::new(1);
static STARTED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];
static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Makes the CPU that boots CPU 0; before anything asks for its words.
pub fn init(wanted: u32, given: usize) {
    COUNT.store(given.min(wanted as usize).clamp(1, MAX_CPUS), Relaxed);
    become_cpu(0);
}

fn become_cpu(cpu: usize) {
    let page = PLACES.cpu_pages.load(Relaxed) + cpu * PAGE_SIZE;
    // SAFETY: the tender allows the instruction; nothing else uses GS; the page is mapped for ever
    // and is this CPU's alone.
    unsafe { set_gs_base(page) };
    CPU_ID.store(cpu);
    PAGE.store(page);
}

pub fn count() -> usize {
    COUNT.load(Relaxed)
}

/// What a new CPU finds on its stack.
#[repr(C, align(16))]
struct Launch {
    cpu: usize,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
}

/// # Safety
/// As [`ukplat::cpu_start`].
pub unsafe fn start(
    cpu: usize,
    stack_top: usize,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
) -> Result<(), CpuError> {
    if STARTED[cpu].swap(true, AcqRel) {
        return Err(CpuError::Running);
    }
    let launch = (stack_top & !15) - size_of::<Launch>();
    // SAFETY: the stack is the new CPU's alone (the caller's promise).
    unsafe { (launch as *mut Launch).write(Launch { cpu, entry, argument }) };
    // As after a call; the zero word ends backtraces.
    let stack_pointer = launch - 8;
    // SAFETY: as above.
    unsafe { (stack_pointer as *mut usize).write(0) };
    call::start_cpu(cpu, run as *const () as usize, stack_pointer, launch).map_err(|error| {
        STARTED[cpu].store(false, Release);
        match error {
            CallError::Busy => CpuError::Running,
            CallError::NoMemory => CpuError::NoMemory,
            _ => CpuError::NoSuchCpu,
        }
    })
}

/// First function of a further CPU.
extern "C" fn run(launch: &Launch) -> ! {
    become_cpu(launch.cpu);
    STACK_TOP.store(core::ptr::from_ref(launch) as usize + size_of::<Launch>());
    (launch.entry)(launch.argument)
}

pub fn interrupt(cpu: usize) {
    if cpu == 0 || STARTED.get(cpu).is_some_and(|started| started.load(Acquire)) {
        call::interrupt_cpu(cpu);
    }
}

pub fn on_interrupt(handler: fn()) {
    HANDLER.store(handler as *mut (), Release);
}

/// The interrupt of another CPU.
pub fn on_cpu_interrupt() {
    let handler = HANDLER.load(Acquire);
    if !handler.is_null() {
        // SAFETY: only `on_interrupt` stores here, and it takes a `fn()`.
        let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
        handler();
    }
}
