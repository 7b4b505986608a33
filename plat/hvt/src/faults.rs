//! Crash reports of exceptions, which the tender hands to the image, and call chains.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hvt_abi::WORDS_PER_PAGE;
use hvt_abi::cpu_page::{
    FAULT_ADDRESS, FAULT_ERROR, FAULT_REGISTERS, FAULT_RFLAGS, FAULT_RIP, FAULT_RSP, FAULT_VECTOR,
    REGISTER_COUNT,
};
use ukarch_x86_64::backtrace::{self, Registers};
use ukarch_x86_64::trap::{REGISTER_NAMES, exception_name};
use ukplat::memory::PAGE_SIZE;
use ukplat::{Exit, report, stack};

use crate::start::{PLACES, bias};

const PAGE_FAULT: u64 = 14;
/// Index of `rbp` among the registers.
const RBP: usize = 6;

const _: () = assert!(REGISTER_NAMES.len() == REGISTER_COUNT);

/// Called on the CPU's fault stack, with interrupts disabled.
pub extern "C" fn on_fault(page: &[AtomicU64; WORDS_PER_PAGE]) -> ! {
    let report = report::begin(Exit::Fault);
    let word = |index: usize| page[index].load(Relaxed);
    let (vector, address) = (word(FAULT_VECTOR), word(FAULT_ADDRESS) as usize);
    let name = exception_name(vector).unwrap_or("reserved exception");
    ukplat::eprintln!();
    for (index, name) in REGISTER_NAMES.iter().enumerate() {
        let end = if index % 4 == 3 { "\n" } else { "  " };
        ukplat::eprint!("{:>3} {:016x}{}", name, word(FAULT_REGISTERS + index), end);
    }
    ukplat::eprintln!(
        "rsp {:016x}\nrip {:016x}  rflags {:x}  error {:x}",
        word(FAULT_RSP),
        word(FAULT_RIP),
        word(FAULT_RFLAGS),
        word(FAULT_ERROR)
    );
    let at = Registers {
        instruction_pointer: word(FAULT_RIP) as usize,
        frame_pointer: word(FAULT_REGISTERS + RBP) as usize,
        stack_pointer: word(FAULT_RSP) as usize,
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
