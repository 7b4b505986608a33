//! The limit of switching: a flow of control gives way to another and saves nothing but what the
//! calling convention says a function keeps: rbx, rbp, r12 to r15, and the stack pointer (System V
//! ABI, AMD64 supplement, section 3.2.1). No scheduler, no queue, no floating-point control words.

use std::arch::naked_asm;
use std::time::Instant;

/// Saves the registers on this stack, the stack's pointer in `save`, and goes on with the stack `to`.
#[unsafe(naked)]
unsafe extern "C" fn switch(save: *mut usize, to: usize) {
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

/// Saved stack pointers: of the caller, and of the other flow.
static mut CALLER: usize = 0;
static mut OTHER: usize = 0;

extern "C" fn other() -> ! {
    loop {
        // SAFETY: the caller switched here and waits in `switch`.
        unsafe { switch(&raw mut OTHER, CALLER) };
    }
}

/// Two flows of control give way to each other.
pub fn measure(rounds: u64) {
    const WORDS: usize = 4096;
    let mut stack = vec![0usize; WORDS];
    let top = stack.as_mut_ptr_range().end as usize & !15;
    // Six registers, then the address that `switch` returns to; a function finds its stack pointer
    // 8 below a multiple of 16.
    let first = top - 16 - 6 * 8;
    let index = (first + 6 * 8 - stack.as_ptr() as usize) / 8;
    stack[index] = other as *const () as usize;
    let start = Instant::now();
    // SAFETY: there is one thread; the stack lives until the last switch is back, and holds what
    // `switch` takes from it.
    unsafe {
        OTHER = first;
        for _ in 0..rounds {
            switch(&raw mut CALLER, OTHER);
        }
    }
    let took = start.elapsed();
    crate::posix::report("yield", took, rounds * 2);
    drop(stack);
}
