//! The instruction `syscall` in code that runs with the privileges of the system (Intel SDM volume 2,
//! SYSCALL; x86-64 psABI, section A.2.1; Linux, `arch/x86/entry/entry_64.S`).
//!
//! What Linux keeps is kept: all registers but rax, rcx and r11, those of vectors and the flags too,
//! and the red zone. There is no other stack to go to, because the code calls itself: it goes
//! on below the red zone.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use crate::fault::RED_ZONE;
use crate::regs::{rdmsr, wrmsr};
use crate::trap::CODE;
use crate::vector::keep_vectors;

/// The number, from eax as Linux reads it, and six arguments: rdi, rsi, rdx, r10, r8, r9.
pub type Words = [usize; 7];
/// What a call reaches; its result goes to rax.
pub type Handler = fn(&Words) -> isize;

/// Flags that the code of a call must not find set: trap, direction, nested task, alignment check.
pub const CLEARED_FLAGS: u64 = 1 << 8 | 1 << 10 | 1 << 14 | 1 << 18;

/// What FXSAVE64 stores.
const FX: usize = 512;

static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sets what calls reach; before any can come to [`entry`].
pub fn set_handler(handler: Handler) {
    HANDLER.store(handler as *mut (), Relaxed);
}

/// Where the instruction leads: rcx holds the address behind it, r11 the flags from before.
///
/// # Safety
/// Not a function to call: all registers must be as the instruction leaves them, with
/// [`CLEARED_FLAGS`] cleared, and a handler be set.
#[unsafe(naked)]
pub unsafe extern "C" fn entry() {
    naked_asm!(
        // Nothing below changes flags or memory of the caller before they are kept.
        "lea rsp, [rsp - {red_zone}]",
        "push r11",
        // As if the code had called this: backtraces go on there.
        "push rcx",
        "push rbp",
        "mov rbp, rsp",
        "movsxd rax, eax",
        "push r9", "push r8", "push r10", "push rdx", "push rsi", "push rdi", "push rax",
        "mov rdi, rsp",
        "sub rsp, {fx}",
        "and rsp, -16",
        "fxsave64 [rsp]",
        "call {enter}",
        "fxrstor64 [rsp]",
        // Behind the number.
        "lea rsp, [rbp - 48]",
        "pop rdi", "pop rsi", "pop rdx", "pop r10", "pop r8", "pop r9",
        "pop rbp",
        "pop rcx",
        "mov r11, [rsp]",
        "popfq",
        "lea rsp, [rsp + {red_zone}]",
        "jmp rcx",
        red_zone = const RED_ZONE,
        fx = const FX,
        enter = sym enter,
    )
}

extern "C" fn enter(words: &Words) -> isize {
    let handler = HANDLER.load(Relaxed);
    // SAFETY: only `set_handler` stores here, which takes such a function; `entry` is not reached before.
    let handler = unsafe { core::mem::transmute::<*mut (), Handler>(handler) };
    let mut result = 0;
    // Other flows may run meanwhile, which use what compiled code of the system does not.
    keep_vectors(|| result = handler(words));
    result
}

const EFER: u32 = 0xc000_0080;
const EFER_SYSCALL: u64 = 1;
const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const FMASK: u32 = 0xc000_0084;

/// Makes the instruction lead to [`entry`] on this CPU (Intel SDM volume 3, section 5.8.8). Interrupts
/// stay as they are: the stack is in order at every instruction.
///
/// # Safety
/// Kernel mode, with [`crate::trap::Tables`] loaded and a handler set.
pub unsafe fn enable() {
    // The code segment, after which the CPU takes the one for the stack.
    let segments = u64::from(CODE) << 32;
    // SAFETY: all 64-bit CPUs have these registers; the segments are those in use.
    unsafe {
        wrmsr(STAR, segments);
        wrmsr(LSTAR, entry as *const () as u64);
        wrmsr(FMASK, CLEARED_FLAGS);
        wrmsr(EFER, rdmsr(EFER) | EFER_SYSCALL);
    }
}

#[cfg(test)]
mod tests {
    use core::arch::asm;

    use super::*;

    fn handler(words: &Words) -> isize {
        // Changes every register that a function may change.
        // SAFETY: all of them are named.
        unsafe {
            asm!(
                "std", "cld", "pcmpeqd xmm0, xmm0", "pcmpeqd xmm7, xmm7", "pcmpeqd xmm15, xmm15",
                out("rcx") _, out("rdx") _, out("rsi") _, out("rdi") _, out("r8") _, out("r9") _,
                out("r10") _, out("r11") _, out("xmm0") _, out("xmm7") _, out("xmm15") _,
            );
            if crate::vector::has_avx() {
                asm!("vpcmpeqd ymm3, ymm3, ymm3", "vzeroupper", out("xmm3") _);
            }
        }
        words.iter().enumerate().map(|(i, word)| (i as isize + 1) * *word as isize).sum()
    }

    /// What the instruction does, without it.
    #[test]
    fn a_call_keeps_what_linux_keeps() {
        set_handler(handler);
        let vectors: [[u64; 4]; 4] = core::array::from_fn(|i| [i as u64 + 1; 4]);
        let mut found_vectors = [[0u64; 4]; 4];
        let mut found = [0u64; 12];
        let avx = u64::from(crate::vector::has_avx());
        // SAFETY: the red zone below the block's own words is the block's, which is not `nostack`; what is changed is named.
        unsafe {
            asm!(
                "push rbp", "push rbx",
                "mov rbx, rdx",
                "mov rbp, 77",
                // Red zone.
                "mov qword ptr [rsp - 8], 11",
                "mov qword ptr [rsp - 128], 12",
                "test rbx, rbx",
                "jz 2f",
                "vmovdqu ymm0, [r12]", "vmovdqu ymm3, [r12 + 32]",
                "vmovdqu ymm7, [r12 + 64]", "vmovdqu ymm15, [r12 + 96]",
                "jmp 3f",
                "2:",
                "movdqu xmm0, [r12]", "movdqu xmm3, [r12 + 32]",
                "movdqu xmm7, [r12 + 64]", "movdqu xmm15, [r12 + 96]",
                "3:",
                "mov rdi, 1", "mov rsi, 2", "mov rdx, 3", "mov r10, 4", "mov r8, 5", "mov r9, 6",
                // Carry set; what the instruction itself does with rcx and r11.
                "stc", "pushfq", "pop r11",
                "mov qword ptr [rsp - 8], 11",
                "lea rcx, [rip + 4f]",
                // Only half of it is the number.
                "movabs rax, 0x100000064",
                "clc",
                "mov r15, rsp",
                "jmp {entry}",
                "4:",
                "setc byte ptr [r14]",
                "mov [r14 + 8], rax", "mov [r14 + 16], rdi", "mov [r14 + 24], rsi",
                "mov [r14 + 32], rdx", "mov [r14 + 40], r10", "mov [r14 + 48], r8",
                "mov [r14 + 56], r9", "mov [r14 + 64], rbp",
                "mov rax, [rsp - 8]", "mov [r14 + 72], rax",
                "mov rax, [rsp - 128]", "mov [r14 + 80], rax",
                "sub r15, rsp", "mov [r14 + 88], r15",
                "test rbx, rbx",
                "jz 5f",
                "vmovdqu [r13], ymm0", "vmovdqu [r13 + 32], ymm3",
                "vmovdqu [r13 + 64], ymm7", "vmovdqu [r13 + 96], ymm15", "vzeroupper",
                "jmp 6f",
                "5:",
                "movdqu [r13], xmm0", "movdqu [r13 + 32], xmm3",
                "movdqu [r13 + 64], xmm7", "movdqu [r13 + 96], xmm15",
                "6:",
                "pop rbx", "pop rbp",
                entry = sym entry,
                inout("rdx") avx => _,
                inout("r12") &raw const vectors => _,
                inout("r13") &raw mut found_vectors => _,
                inout("r14") &raw mut found => _,
                out("r15") _,
                clobber_abi("C"),
            );
        }
        let sum = 100 + 2 + 6 + 12 + 20 + 30 + 42;
        assert_eq!(found, [1, sum, 1, 2, 3, 4, 5, 6, 77, 11, 12, 0]);
        let halves = if avx == 1 { 4 } else { 2 };
        for (found, wanted) in found_vectors.iter().zip(vectors) {
            assert_eq!(found[..halves], wanted[..halves]);
        }
    }
}
