//! Exceptions, which the tender hands to the image: somebody handles them, or they are reported. Call
//! chains.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hvt_abi::WORDS_PER_PAGE;
use hvt_abi::cpu_page::{
    FAULT_ADDRESS, FAULT_ERROR, FAULT_REGISTERS, FAULT_RFLAGS, FAULT_RIP, FAULT_RSP, FAULT_VECTOR,
    REGISTER_COUNT,
};
use ukarch_x86_64::backtrace::{self, Registers};
use ukarch_x86_64::fault::{self, Faulted, RED_ZONE};
use ukarch_x86_64::trap::{REGISTER_NAMES, TrapFrame, exception_name};
use ukplat::fault::{Fault, handle as handle_fault, stack_for};
use ukplat::memory::PAGE_SIZE;
use ukplat::{Exit, report, stack};

use crate::start::{PLACES, bias};
use crate::timer;

const PAGE_FAULT: u64 = 14;
const _: () = assert!(REGISTER_NAMES.len() == REGISTER_COUNT);

/// Called on the CPU's fault stack, with interrupts disabled, and with the registers of the
/// floating-point unit as FXSAVE stores them.
pub extern "C" fn on_fault(page: &[AtomicU64; WORDS_PER_PAGE], fx: &[u8; 512]) -> ! {
    let word = |index: usize| page[index].load(Relaxed);
    let (cs, ss) = fault::segments();
    let trap = TrapFrame {
        fx: *fx,
        registers: core::array::from_fn(|index| word(FAULT_REGISTERS + index)),
        vector: word(FAULT_VECTOR),
        error: word(FAULT_ERROR),
        rip: word(FAULT_RIP),
        cs,
        rflags: word(FAULT_RFLAGS),
        rsp: word(FAULT_RSP),
        ss,
    };
    let faulted = Faulted { trap, address: word(FAULT_ADDRESS), more: 0 };
    match place(&faulted) {
        // SAFETY: the stack is one that the program has for this, below what is in use. Where it ends
        // before, the write is a fault of this handler, and reported.
        Some(top) => unsafe { fault::handle_on(&faulted, top, handle) },
        None => report(&faulted),
    }
}

/// End of the stack on which somebody handles the fault.
fn place(faulted: &Faulted) -> Option<usize> {
    let stack_pointer = faulted.trap.rsp as usize;
    // Not faults of this handler.
    if fault_stack(stack_pointer).is_some() {
        return None;
    }
    stack_for(faulted.trap.vector, stack_pointer, RED_ZONE)
}

unsafe extern "C" fn handle(faulted: *mut Faulted) -> ! {
    // SAFETY: `handle_on` put it there, for this alone.
    let faulted = unsafe { &mut *faulted };
    timer::irq_enable();
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
    let Faulted { trap, address, .. } = faulted;
    let (vector, address) = (trap.vector, *address as usize);
    let name = exception_name(vector).unwrap_or("reserved exception");
    ukplat::eprintln!();
    for (index, (name, value)) in REGISTER_NAMES.iter().zip(trap.registers).enumerate() {
        let end = if index % 4 == 3 { "\n" } else { "  " };
        ukplat::eprint!("{:>3} {:016x}{}", name, value, end);
    }
    ukplat::eprintln!(
        "rsp {:016x}\nrip {:016x}  rflags {:x}  error {:x}",
        trap.rsp,
        trap.rip,
        trap.rflags,
        trap.error
    );
    let at = Registers {
        instruction_pointer: trap.rip as usize,
        frame_pointer: trap.rbp() as usize,
        stack_pointer: trap.rsp as usize,
    };
    let bad_fetch = vector == PAGE_FAULT && at.instruction_pointer == address;
    let frames = |visit: &mut dyn FnMut(usize)| {
        let visit = &mut |address| visit(as_linked(address));
        // SAFETY: the range is readable.
        unsafe { backtrace::walk_fault(at, bad_fetch, stack_above(at.stack_pointer), visit) }
    };
    if vector != PAGE_FAULT {
        report.end(format_args!("fault: {name}"), &frames)
    }
    if let Some(thread) = stack::overflowed_at(address) {
        report.end(
            format_args!("fault: stack overflow of thread {thread} at address {address:#x}"),
            &frames,
        )
    }
    if below(main_stack().start).contains(&address) {
        report.end(
            format_args!(
                "fault: stack overflow at address {address:#x} (option hvt.stack sets the size)"
            ),
            &frames,
        )
    }
    report.end_at(format_args!("fault: {name}"), address, &frames)
}

/// Visits return addresses from a frame pointer of the running code.
pub fn walk_stack(frame_pointer: usize, visit: &mut dyn FnMut(usize)) {
    let visit = &mut |address| visit(as_linked(address));
    // SAFETY: the range is readable.
    unsafe { backtrace::walk(frame_pointer, stack_above(frame_pointer), visit) }
}

/// Reports give the addresses that the image is linked for, which its debug information knows.
fn as_linked(address: usize) -> usize {
    let linked = address.wrapping_sub(bias());
    // Code is far from where other addresses are, linked or not: those are given as they are.
    const NEAR: usize = 256 << 20;
    let is_code = linked.wrapping_sub(hvt_abi::LINK_BASE as usize) < NEAR;
    if is_code { linked } else { address }
}

fn main_stack() -> Range<usize> {
    PLACES.stack.0.load(Relaxed)..PLACES.stack.1.load(Relaxed)
}

/// The page below an address, which is not mapped where a stack starts.
fn below(start: usize) -> Range<usize> {
    start.saturating_sub(PAGE_SIZE)..start
}

/// The part of a stack above an address in it; empty when it is in none. It is readable: stacks are
/// mapped from the page above their guard to their end.
fn stack_above(from: usize) -> Range<usize> {
    if let Some(stack) = stack::current(|stack| stack.above(from)).flatten() {
        return stack;
    }
    let main = main_stack();
    if main.contains(&from) || below(main.start).contains(&from) {
        return from.max(main.start)..main.end;
    }
    if let Some(stack) = fault_stack(from) {
        return from..stack.end;
    }
    #[cfg(feature = "smp")]
    return from..crate::local::STACK_TOP.load();
    #[cfg(not(feature = "smp"))]
    (0..0)
}

/// The fault stack that an address is in.
fn fault_stack(address: usize) -> Option<Range<usize>> {
    let first = PLACES.fault_stacks.load(Relaxed);
    let (stride, len) =
        (PLACES.fault_stack_stride.load(Relaxed), PLACES.fault_stack_len.load(Relaxed));
    (0..ukplat::cpu::MAX_CPUS)
        .map(|cpu| first + cpu * stride..first + cpu * stride + len)
        .find(|stack| stack.contains(&address))
}
