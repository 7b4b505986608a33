//! Interrupts, the timer, idling; exceptions, which somebody handles or which are reported.

use core::ops::Range;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicPtr, AtomicU64};

use ukarch_x86_64::backtrace::{self, Registers};
use ukarch_x86_64::fault::{self, Faulted, RED_ZONE};
use ukarch_x86_64::page_table::PAGE;
use ukarch_x86_64::regs::{
    disable_interrupts, enable_interrupts, read_cr2, take_pending_interrupts, wait_for_interrupt,
};
use ukarch_x86_64::trap::{EXCEPTIONS, REGISTER_NAMES, TrapFrame, exception_name};
use ukplat::cpu::MAX_CPUS;
use ukplat::fault::{Fault, handle as handle_fault, stack_for};
use ukplat::{Exit, preempt, report, stack, stop};

use crate::clock;
#[cfg(feature = "smp")]
use crate::cpus::started_stack_above;
use crate::local::DEADLINE;

/// Vector of the local APIC's timer.
pub const TIMER_VECTOR: u8 = 32;
/// Vector by which CPUs interrupt each other.
#[cfg(feature = "smp")]
pub const CPU_VECTOR: u8 = 33;
/// Vector by which CPUs make each other forget translations.
#[cfg(feature = "smp")]
pub const FLUSH_VECTOR: u8 = 34;
const NOT_ARMED: u64 = u64::MAX;
const PAGE_FAULT: u64 = 14;
/// In the flags: interrupts are enabled.
const INTERRUPTS: u64 = 1 << 9;
/// Which of the [`STACKS`] exceptions run on.
const EXCEPTIONS_STACK: usize = 2;

static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
/// Guard page and end of each stack, for each CPU: main, interrupts, exceptions, double fault, NMI.
static STACKS: [[(AtomicU64, AtomicU64); 5]; MAX_CPUS] =
    [const { [const { (AtomicU64::new(0), AtomicU64::new(0)) }; 5] }; MAX_CPUS];

pub fn set_stacks(cpu: usize, stacks: [(u64, u64); 5]) {
    for (slot, (guard, end)) in STACKS[cpu].iter().zip(stacks) {
        slot.0.store(guard, Relaxed);
        slot.1.store(end, Relaxed);
    }
}

/// The pages below the stacks of a CPU, which are not to be mapped.
#[cfg(feature = "smp")]
pub fn guards(cpu: usize) -> [u64; 5] {
    STACKS[cpu].each_ref().map(|(guard, _)| guard.load(Relaxed))
}

pub fn enable() {
    // SAFETY: the tables were loaded before anybody can call this, and their entry code keeps all
    // registers and, by stacks of its own, the red zone.
    unsafe { enable_interrupts() }
}

pub fn on_expiry(handler: fn()) {
    HANDLER.store(handler as *mut (), Relaxed);
}

fn deadline() -> u64 {
    !DEADLINE.load() as u64
}

fn set_deadline(ns: u64) {
    DEADLINE.store(!ns as usize);
}

pub fn arm(deadline_ns: Option<u64>) {
    let was_enabled = disable_interrupts();
    set_deadline(deadline_ns.unwrap_or(NOT_ARMED));
    clock::fire_at(deadline_ns);
    if was_enabled {
        enable();
    }
}

pub fn idle_until(deadline_ns: Option<u64>) {
    let was_enabled = disable_interrupts();
    // Interrupts come while this waits, but other flows only run when the caller allows it.
    let guard = preempt::in_use().then(preempt::disable);
    let armed = deadline();
    let wake = deadline_ns.unwrap_or(NOT_ARMED).min(armed);
    // Who was asked to stop has something to do.
    if !stop::is_requested() && (wake == NOT_ARMED || clock::monotonic_ns() < wake) {
        // Only when the two differ must the timer be set for this wait.
        if wake != armed {
            clock::fire_at(Some(wake));
        }
        // SAFETY: as in `enable`.
        unsafe { wait_for_interrupt() };
        let armed = deadline();
        if wake != armed {
            clock::fire_at(Some(armed).filter(|a| *a != NOT_ARMED));
        }
    } else {
        // Too late to wait. An expired timer still has its interrupt to deliver.
        // SAFETY: as in `enable`.
        unsafe { take_pending_interrupts() };
    }
    drop(guard);
    if was_enabled {
        enable();
    }
}

/// Called by the entry code for every interrupt and exception, with interrupts disabled.
pub fn on_trap(frame: &mut TrapFrame) {
    match frame.vector {
        vector if vector < EXCEPTIONS as u64 => on_exception(frame),
        vector if vector == u64::from(TIMER_VECTOR) => on_timer(),
        #[cfg(feature = "smp")]
        vector if vector == u64::from(CPU_VECTOR) => crate::cpus::on_cpu_interrupt(),
        #[cfg(feature = "smp")]
        vector if vector == u64::from(FLUSH_VECTOR) => crate::cpus::on_flush(),
        vector if crate::interrupts::VECTORS.contains(&vector) => {
            crate::interrupts::on_interrupt(vector);
        }
        // A spurious interrupt needs no end of interrupt.
        _ => {}
    }
    crate::preempt::at_end_of_interrupt(frame);
}

fn on_timer() {
    clock::end_of_interrupt();
    let deadline = deadline();
    if deadline == NOT_ARMED {
        return;
    }
    if clock::monotonic_ns() < deadline {
        // Woken for somebody who idles, or the count was too short for the whole time.
        clock::fire_at(Some(deadline));
        return;
    }
    set_deadline(NOT_ARMED);
    let handler = HANDLER.load(Relaxed);
    if !handler.is_null() {
        // SAFETY: only `on_expiry` stores here, and it takes a `fn()`.
        let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
        handler();
    }
}

fn on_exception(frame: &TrapFrame) -> ! {
    // SAFETY: a copy of numbers.
    let trap = unsafe { core::ptr::read(frame) };
    let faulted = Faulted { trap, address: read_cr2(), more: 0 };
    match place(&faulted) {
        // SAFETY: the stack is one that the program has for this, below what is in use. Where it ends
        // before, the write is a fault of this handler, and reported.
        Some(top) => unsafe { fault::handle_on(&faulted, top, handle) },
        None => report(&faulted),
    }
}

/// End of the stack on which somebody handles the fault.
fn place(faulted: &Faulted) -> Option<usize> {
    let stack_pointer = faulted.trap.rsp;
    let own = |stacks: &[(AtomicU64, AtomicU64); 5]| {
        let (guard, end) = &stacks[EXCEPTIONS_STACK];
        (guard.load(Relaxed)..end.load(Relaxed)).contains(&stack_pointer)
    };
    // Not faults of handlers: of interrupts, or of this one.
    if faulted.trap.rflags & INTERRUPTS == 0 || STACKS.iter().any(own) {
        return None;
    }
    let stack_pointer = stack_pointer as usize;
    stack_for(faulted.trap.vector, stack_pointer, RED_ZONE)
}

unsafe extern "C" fn handle(faulted: *mut Faulted) -> ! {
    // SAFETY: `handle_on` put it there, for this alone.
    let faulted = unsafe { &mut *faulted };
    enable();
    let handled = faulted.handle(|number, error, address, registers, floating_point| {
        handle_fault(&mut Fault { number, error, address, registers, floating_point })
    });
    if handled {
        // SAFETY: the registers are those of the code that waits for this, or what the program wants.
        unsafe { fault::resume(faulted) }
    }
    report(faulted)
}

fn report(faulted: &Faulted) -> ! {
    let report = report::begin(Exit::Fault);
    let Faulted { trap: frame, address, .. } = faulted;
    let address = *address;
    let name = exception_name(frame.vector).unwrap_or("reserved exception");
    ukplat::eprintln!();
    for (index, (name, value)) in REGISTER_NAMES.iter().zip(frame.registers).enumerate() {
        let end = if index % 4 == 3 { "\n" } else { "  " };
        ukplat::eprint!("{:>3} {:016x}{}", name, value, end);
    }
    ukplat::eprintln!(
        "rsp {:016x}\nrip {:016x}  rflags {:x}  error {:x}",
        frame.rsp,
        frame.rip,
        frame.rflags,
        frame.error
    );
    let bad_fetch = frame.vector == PAGE_FAULT && frame.rip == address;
    let frames = |visit: &mut dyn FnMut(usize)| {
        let at = Registers {
            instruction_pointer: frame.rip as usize,
            frame_pointer: frame.rbp() as usize,
            stack_pointer: frame.rsp as usize,
        };
        // SAFETY: the range is readable.
        unsafe { backtrace::walk_fault(at, bad_fetch, stack_above(frame.rsp), visit) }
    };
    let guard = |(guard, _): &(AtomicU64, AtomicU64)| {
        let guard = guard.load(Relaxed);
        guard != 0 && (guard..guard + PAGE).contains(&address)
    };
    if frame.vector == PAGE_FAULT
        && let Some(thread) = stack::overflowed_at(address as usize)
    {
        report.end(
            format_args!("fault: stack overflow of thread {thread} at address {address:#x}"),
            &frames,
        )
    }
    match STACKS.iter().flatten().position(guard).filter(|_| frame.vector == PAGE_FAULT) {
        Some(0) => report.end(
            format_args!(
                "fault: stack overflow at address {address:#x} (option kvm.stack sets the size)"
            ),
            &frames,
        ),
        Some(_) => report.end(
            format_args!("fault: stack overflow of an interrupt handler at address {address:#x}"),
            &frames,
        ),
        None if frame.vector == PAGE_FAULT => {
            report.end_at(format_args!("fault: {name}"), address as usize, &frames)
        }
        None => report.end(format_args!("fault: {name}"), &frames),
    }
}

/// Visits return addresses from a frame pointer of the running code.
pub fn walk_stack(frame_pointer: usize, visit: &mut dyn FnMut(usize)) {
    // SAFETY: the range is readable.
    unsafe { backtrace::walk(frame_pointer, stack_above(frame_pointer as u64), visit) }
}

/// The part of a stack above an address in it; empty when it is in none. It is readable: stacks
/// are mapped from the page above their guard to their end.
fn stack_above(from: u64) -> Range<usize> {
    if let Some(stack) = stack::current(|stack| stack.above(from as usize)).flatten() {
        return stack;
    }
    let stacks =
        STACKS.iter().flatten().map(|(guard, end)| (guard.load(Relaxed), end.load(Relaxed)));
    let stack = stacks.into_iter().find(|(guard, end)| (*guard..*end).contains(&from));
    // A stack pointer in the guard page has used the stack up; the frames above are intact.
    match stack {
        Some((guard, end)) => from.max(guard + PAGE) as usize..end as usize,
        None => started_stack_above(from as usize),
    }
}

#[cfg(not(feature = "smp"))]
fn started_stack_above(_from: usize) -> Range<usize> {
    0..0
}
