//! Faults of the program as signals.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use posix_thread::of_program;
use ukplat::context::Context;
use ukplat::fault::{Fault, Handler, INSTRUCTION_POINTER, Place, handle_with};

use crate::info::{Info, SI_KERNEL};
use crate::number::{FIXED, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, bit};
use crate::post::unknown;
use crate::stack::{CONTEXT_WORDS, Call, MASK_WORD, SA_ONSTACK};
use crate::state::{Action, DEFAULT, IGNORE, STATE};

/// Signals that faults are.
const FAULTS: u64 = bit(SIGSEGV) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGILL) | bit(SIGTRAP);

/// Those of them that have a handler, and those whose handler wants the alternate stack: for where
/// nothing may be locked.
static HANDLED: AtomicU64 = AtomicU64::new(0);
static ALTERNATE: AtomicU64 = AtomicU64::new(0);

// Exceptions (Intel SDM volume 3, table 6-1).
const DIVISION: u64 = 0;
const DEBUG: u64 = 1;
const BREAKPOINT: u64 = 3;
const OVERFLOW: u64 = 4;
const BOUND: u64 = 5;
const INVALID_INSTRUCTION: u64 = 6;
const STACK_SEGMENT: u64 = 12;
const PROTECTION: u64 = 13;
const PAGE_FAULT: u64 = 14;
const X87: u64 = 16;
const ALIGNMENT: u64 = 17;
const SIMD: u64 = 19;

/// In the error code of page faults: the page is there, but may not be used so.
const PRESENT: u64 = 1;

// Codes of signals (sigaction(2), `asm-generic/siginfo.h`).
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const BUS_ADRALN: i32 = 1;
const ILL_ILLOPN: i32 = 2;
const TRAP_BRKPT: i32 = 1;
const FPE_INTDIV: i32 = 1;
const FPE_INTOVF: i32 = 2;
const FPE_FLTDIV: i32 = 3;
const FPE_FLTOVF: i32 = 4;
const FPE_FLTUND: i32 = 5;
const FPE_FLTRES: i32 = 6;
const FPE_FLTINV: i32 = 7;

/// Words of a context: the registers, from the fifth on; more about the fault; where the registers of
/// the floating-point unit are.
const REGISTERS: usize = 5;
const SEGMENTS: usize = REGISTERS + 18;
const ERROR: usize = REGISTERS + 19;
const NUMBER: usize = REGISTERS + 20;
const ADDRESS: usize = REGISTERS + 22;
const FLOATING_POINT: usize = 28;
/// Selector of user code in 64-bit mode, as on Linux.
const USER_CODE: u64 = 0x33;

/// Notes what is done when a signal comes.
pub fn note(signal: i32, action: &Action) {
    let bit = bit(signal) & FAULTS;
    if bit == 0 {
        return;
    }
    let set = |word: &AtomicU64, to: bool| {
        if to {
            word.fetch_or(bit, Relaxed)
        } else {
            word.fetch_and(!bit, Relaxed)
        };
    };
    set(&ALTERNATE, action.flags & SA_ONSTACK != 0);
    let handled = ![DEFAULT, IGNORE].contains(&action.handler);
    set(&HANDLED, handled);
    if handled {
        static HANDLER: Handler = Handler { place, handle };
        // A fault in a system call is one of the system.
        syscall_shim::note_calls();
        handle_with(unknown(&HANDLER));
    }
}

/// The signal that an exception is.
fn signal_of(number: u64) -> Option<i32> {
    Some(match number {
        PAGE_FAULT | PROTECTION | OVERFLOW | BOUND => SIGSEGV,
        DIVISION | X87 | SIMD => SIGFPE,
        INVALID_INSTRUCTION => SIGILL,
        STACK_SEGMENT | ALIGNMENT => SIGBUS,
        DEBUG | BREAKPOINT => SIGTRAP,
        _ => return None,
    })
}

fn place(number: u64, stack_pointer: usize) -> Option<Place> {
    let bit = bit(signal_of(number)?);
    if HANDLED.load(Relaxed) & bit == 0 || of_program().is_none() || posix_thread::in_call() {
        return None;
    }
    let stack = posix_thread::signal_stack();
    let there =
        ALTERNATE.load(Relaxed) & bit != 0 && !stack.is_empty() && !stack.contains(&stack_pointer);
    Some(if there { Place::Below(stack.end) } else { Place::Here })
}

fn handle(fault: &mut Fault<'_>) -> bool {
    let (Some(signal), Some(thread)) = (signal_of(fault.number), of_program()) else {
        return false;
    };
    let info = info(signal, fault);
    let frame = {
        let mut state = STATE.lock();
        let action = state.action(signal);
        // As Linux: who cannot be told ends.
        if [DEFAULT, IGNORE].contains(&action.handler) || state.mask(thread) & bit(signal) != 0 {
            return false;
        }
        state.begin(thread, info)
    };
    let mut context = [0; CONTEXT_WORDS];
    context[REGISTERS..SEGMENTS].copy_from_slice(fault.registers);
    context[SEGMENTS] = USER_CODE;
    context[ERROR] = fault.error;
    context[NUMBER] = fault.number;
    context[ADDRESS] = fault.address as u64;
    context[FLOATING_POINT] = fault.floating_point as u64;
    context[MASK_WORD] = frame.mask;
    let mut call = Call { handler: frame.action.handler, info, context, back: Context::NONE };
    // It may never return, but jump to where the program wants to go on: nothing is locked.
    call.make();
    let context = &core::hint::black_box(&call).context;
    fault.registers.copy_from_slice(&context[REGISTERS..SEGMENTS]);
    let mut state = STATE.lock();
    state.own(thread).mask = context[MASK_WORD] & !FIXED;
    state.request();
    true
}

/// What the handler is told.
fn info(signal: i32, fault: &Fault<'_>) -> Info {
    let instruction = fault.registers[INSTRUCTION_POINTER];
    let (code, address) = match fault.number {
        PAGE_FAULT => {
            let mapped = posix_mmap::start_of(fault.address).is_some();
            let there = fault.error & PRESENT != 0 || mapped;
            (if there { SEGV_ACCERR } else { SEGV_MAPERR }, fault.address as u64)
        }
        DIVISION => (FPE_INTDIV, instruction),
        OVERFLOW => (FPE_INTOVF, instruction),
        X87 | SIMD => (floating_point_code(fault), instruction),
        INVALID_INSTRUCTION => (ILL_ILLOPN, instruction),
        ALIGNMENT => (BUS_ADRALN, 0),
        DEBUG => (TRAP_BRKPT, instruction),
        // There is no address that would say what was wrong.
        _ => (SI_KERNEL, 0),
    };
    let mut info = Info::new(signal, code);
    info.fields[0] = address;
    info
}

/// Why the floating-point unit complains: flags that are set and not masked (Intel SDM volume 1,
/// figures 8-4, 8-6 and 10-3).
fn floating_point_code(fault: &Fault<'_>) -> i32 {
    // SAFETY: the platform says that the registers of the floating-point unit are there: control and
    // status word at offsets 0 and 2, MXCSR at 24.
    let (control, status, mxcsr) = unsafe {
        let area = fault.floating_point as *const u8;
        let half = |at: usize| area.add(at).cast::<u16>().read_unaligned();
        (half(0), half(2), area.add(24).cast::<u32>().read_unaligned())
    };
    let raised = match fault.number {
        SIMD => mxcsr & !(mxcsr >> 7) & 0x3f,
        _ => u32::from(status & !control & 0x3f),
    };
    match raised.trailing_zeros() {
        0 => FPE_FLTINV,
        1 | 4 => FPE_FLTUND,
        2 => FPE_FLTDIV,
        3 => FPE_FLTOVF,
        5 => FPE_FLTRES,
        _ => SI_KERNEL,
    }
}
