//! Switching stacks: contexts that a function call leaves and comes back to (x86-64 psABI,
//! section 3.2.1).
//!
//! A suspended context is its stack pointer. On its stack lie, upwards: MXCSR (32 bits) and the x87
//! control word (16 bits), r15, r14, r13, r12, rbx, rbp, the return address.

use core::arch::naked_asm;

/// Control bits of MXCSR: rounding, flush to zero, masks. The others are status flags, which the
/// psABI lets a call change.
const MXCSR_CONTROL: u32 = 0xffc0;

/// Words from the stack pointer of a new context to the end of its stack.
const FRAME: usize = 9;

/// Suspends the running context, stores its stack pointer to `save` and resumes the context with
/// the stack pointer `to`. Only what a function must keep is kept: rbx, rbp, r12 to r15, and the
/// control bits of MXCSR and of the x87 unit, which are loaded only when they differ because
/// loading them is slow. The final `ret` returns to where that context called this function; the
/// CPU predicts it well when both called it from the same place.
///
/// # Safety
/// `save` must be valid for a write; `to` must be what [`new`] returned or this function stored, and
/// be used once.
#[unsafe(naked)]
pub unsafe extern "C" fn switch(save: *mut usize, to: usize) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        // What is read below has the size it was stored with: other sizes could not be forwarded
        // from the store buffer.
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        "mov eax, [rsp]",
        "movzx ecx, word ptr [rsp + 4]",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "xor eax, [rsi]",
        "test eax, {control}",
        "jnz 2f",
        "3:",
        "cmp cx, [rsi + 4]",
        "jne 4f",
        "5:",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        "2:",
        "ldmxcsr [rsi]",
        "jmp 3b",
        "4:",
        "fldcw [rsi + 4]",
        "jmp 5b",
        control = const MXCSR_CONTROL,
    )
}

/// Where a new context starts: calls the entry, whose frame is the outermost.
#[unsafe(naked)]
unsafe extern "C" fn start() -> ! {
    // The stack pointer is one word off a multiple of 16 and points to a zero return address, as
    // if the entry had been called.
    naked_asm!("mov rdi, r12", "jmp r13")
}

/// A context that calls `entry(argument)` when it is resumed for the first time, with the
/// caller's floating-point control bits. Returns its stack pointer.
///
/// # Safety
/// Below `stack_top` there must be writable memory for this context alone.
pub unsafe fn new(stack_top: usize, entry: extern "C" fn(usize) -> !, argument: usize) -> usize {
    let (mut mxcsr, mut control) = (0u32, 0u16);
    // SAFETY: each instruction stores to its variable.
    unsafe {
        core::arch::asm!(
            "stmxcsr [{}]", "fnstcw [{}]",
            in(reg) &raw mut mxcsr, in(reg) &raw mut control,
            options(nostack, preserves_flags),
        );
    }
    let frame: [usize; FRAME] = [
        (mxcsr & MXCSR_CONTROL) as usize | usize::from(control) << 32,
        0,              // r15
        0,              // r14
        entry as usize, // r13
        argument,       // r12
        0,              // rbx
        0,              // rbp: backtraces end here
        start as *const () as usize,
        0, // the entry's return address
    ];
    let stack_pointer = (stack_top & !15) - size_of_val(&frame);
    // SAFETY: the frame lies below `stack_top`, in memory that is the context's (the caller's
    // promise), and is aligned.
    unsafe { (stack_pointer as *mut [usize; FRAME]).write(frame) };
    stack_pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static MAIN: Cell<usize> = const { Cell::new(0) };
        static OTHER: Cell<usize> = const { Cell::new(0) };
        static SEEN: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
    }

    fn mxcsr() -> u32 {
        let mut value = 0u32;
        // SAFETY: stores to the variable.
        unsafe { core::arch::asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack)) };
        value & MXCSR_CONTROL
    }

    fn set_mxcsr(value: u32) {
        // SAFETY: only control bits that exist, and all exceptions stay masked.
        unsafe { core::arch::asm!("ldmxcsr [{}]", in(reg) &value, options(nostack)) };
    }

    extern "C" fn other(argument: usize) -> ! {
        loop {
            SEEN.set((argument, mxcsr()));
            set_mxcsr(0x1f80 | 3 << 13); // towards zero
            // SAFETY: `MAIN` was saved by the switch that came here.
            unsafe { switch(OTHER.as_ptr_of(), MAIN.get()) };
        }
    }

    trait Pointer {
        fn as_ptr_of(&'static self) -> *mut usize;
    }
    impl Pointer for std::thread::LocalKey<Cell<usize>> {
        fn as_ptr_of(&'static self) -> *mut usize {
            self.with(Cell::as_ptr)
        }
    }

    #[test]
    fn control_bits_belong_to_contexts() {
        let mut stack = vec![0u8; 64 << 10];
        let nearest = mxcsr();
        set_mxcsr(0x1f80 | 1 << 13); // downwards
        // SAFETY: the stack is this context's alone and outlives its use.
        OTHER.set(unsafe { new(stack.as_mut_ptr_range().end as usize - 3, other, 77) });
        set_mxcsr(nearest);
        for round in 0..3 {
            // SAFETY: the other context is suspended.
            unsafe { switch(MAIN.as_ptr_of(), OTHER.get()) };
            let rounding = if round == 0 { 1 } else { 3 };
            assert_eq!(SEEN.get(), (77, 0x1f80 | rounding << 13));
            assert_eq!(mxcsr(), nearest);
        }
    }

    #[test]
    fn call_chains_end_at_the_entry() {
        let mut stack = vec![usize::MAX; 64];
        let end = stack.as_mut_ptr_range().end as usize;
        // SAFETY: the stack is this context's alone.
        let stack_pointer = unsafe { new(end, other, 0) };
        let words = (end - stack_pointer) / 8;
        let frame = &stack[64 - words..];
        assert_eq!(frame[6], 0, "frame pointer");
        assert_eq!(frame[8], 0, "return address of the entry");
        // As after a call: one word below a multiple of 16.
        assert_eq!((stack_pointer + 8 * 8) % 16, 8);
    }
}
