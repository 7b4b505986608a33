//! The limit of switching: a flow of control gives way to another and saves nothing but what the
//! calling convention says a function keeps (System V ABI, AMD64 supplement, section 3.2.1): rbx,
//! rbp, r12 to r15, the stack pointer, and the control words of the floating-point units. No
//! scheduler, no queue. Many a switch leaves the control words out, so both are measured.

use std::arch::naked_asm;
use std::time::Instant;

/// Saves the registers on this stack, the stack's pointer in `save`, and goes on with the stack `to`.
type Switch = unsafe extern "C" fn(save: *mut usize, to: usize);

/// The integer registers only.
#[unsafe(naked)]
unsafe extern "C" fn switch_integers(save: *mut usize, to: usize) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// The control words of SSE and x87 too.
#[unsafe(naked)]
unsafe extern "C" fn switch_all(save: *mut usize, to: usize) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "ldmxcsr [rsp]",
        "fldcw [rsp + 4]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// Saved stack pointers: of the caller, and of the other flow.
static mut CALLER: usize = 0;
static mut OTHER: usize = 0;

extern "C" fn with_integers() -> ! {
    loop {
        // SAFETY: the caller switched here and waits in `switch_integers`.
        unsafe { switch_integers(&raw mut OTHER, CALLER) };
    }
}

extern "C" fn with_all() -> ! {
    loop {
        // SAFETY: the caller switched here and waits in `switch_all`.
        unsafe { switch_all(&raw mut OTHER, CALLER) };
    }
}

/// Two flows of control give way to each other; with floating-point control words or without.
pub fn measure(rounds: u64, control_words: bool) {
    const WORDS: usize = 4096;
    /// Initial MXCSR and x87 control word (psABI, table 3.4 and section 3.2.1).
    const CONTROL: usize = 0x1f80 | 0x37f << 32;
    let mut stack = vec![0usize; WORDS];
    // Room for alignment; a function finds its stack pointer 8 below a multiple of 16.
    let last = WORDS - 4;
    let last = if stack[last..].as_ptr() as usize % 16 == 8 { last } else { last - 1 };
    // `ret` takes the address and leaves the stack pointer on the next word.
    let address = last - 1;
    let entry = if control_words { with_all } else { with_integers } as extern "C" fn() -> !;
    stack[address] = entry as usize;
    let first = if control_words {
        stack[address - 7] = CONTROL;
        address - 7
    } else {
        address - 6
    };
    let first = stack[first..].as_ptr() as usize;
    let start = Instant::now();
    // Known to the compiler, so that the call is direct.
    if control_words {
        // SAFETY: the stack holds what the switch takes from it.
        unsafe { turns(switch_all, first, rounds) };
    } else {
        // SAFETY: as above.
        unsafe { turns(switch_integers, first, rounds) };
    }
    crate::posix::report("yield", start.elapsed(), rounds * 2);
    drop(stack);
}

/// # Safety
/// At `first` must lie what `switch` takes, at the end of a stack that lives until this returns.
#[inline(always)]
unsafe fn turns(switch: Switch, first: usize, rounds: u64) {
    // SAFETY: there is one thread, so nobody else uses the statics; the caller's promise.
    unsafe {
        OTHER = first;
        for _ in 0..rounds {
            switch(&raw mut CALLER, OTHER);
        }
    }
}
