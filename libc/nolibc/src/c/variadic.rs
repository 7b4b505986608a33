//! Functions with any number of arguments. Stable Rust calls such functions but does not define them: a
//! few instructions lay the arguments out as `va_list` has them, and call the function that takes one
//! (System V ABI, x86-64 psABI section 3.5.7).

use core::ffi::c_char;

use super::string::bytes_within;
use crate::format::Arguments;

/// A `va_list`: arguments that came in registers, then those on the stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct VaList {
    /// Bytes of `saved` that are used of the general registers, and of the vector registers.
    general: u32,
    vector: u32,
    stack: *const u64,
    saved: *const u8,
}

/// Where vector registers begin among the saved ones, and where they end.
const VECTOR: u32 = 6 * 8;
const SAVED: u32 = VECTOR + 8 * 16;

impl VaList {
    fn on_stack(&mut self) -> u64 {
        // SAFETY: the program passes as many arguments as its format has conversions.
        let word = unsafe { *self.stack };
        self.stack = self.stack.wrapping_add(1);
        word
    }
}

impl Arguments for VaList {
    fn word(&mut self) -> u64 {
        if self.general >= VECTOR {
            return self.on_stack();
        }
        // SAFETY: the general registers are saved up to that offset.
        let word = unsafe { *self.saved.add(self.general as usize).cast() };
        self.general += 8;
        word
    }

    fn double(&mut self) -> f64 {
        if self.vector >= SAVED {
            return f64::from_bits(self.on_stack());
        }
        // SAFETY: the vector registers are saved up to that offset when there are doubles.
        let double = unsafe { *self.saved.add(self.vector as usize).cast() };
        self.vector += 16;
        double
    }

    fn text(&mut self, limit: usize) -> Option<&[u8]> {
        let text = core::ptr::with_exposed_provenance::<c_char>(self.word() as usize);
        // SAFETY: the program passes a string, or as many bytes as it limits it to.
        (!text.is_null()).then(|| unsafe { bytes_within(text, limit) })
    }
}

/// Defines a C function with that many arguments before the others: it calls `$target` with these and,
/// in the register `$list`, a `va_list` of the others.
macro_rules! variadic {
    ($name:ident, $fixed:literal, $list:literal, $target:path) => {
        /// # Safety
        /// As its namesake in C.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                "push rbp",
                "mov rbp, rsp",
                // 176 bytes of saved registers, then 24 of the `va_list`.
                "sub rsp, 208",
                "mov [rsp], rdi",
                "mov [rsp + 8], rsi",
                "mov [rsp + 16], rdx",
                "mov [rsp + 24], rcx",
                "mov [rsp + 32], r8",
                "mov [rsp + 40], r9",
                // How many vector registers have arguments, at most.
                "test al, al",
                "je 2f",
                "movaps [rsp + 48], xmm0",
                "movaps [rsp + 64], xmm1",
                "movaps [rsp + 80], xmm2",
                "movaps [rsp + 96], xmm3",
                "movaps [rsp + 112], xmm4",
                "movaps [rsp + 128], xmm5",
                "movaps [rsp + 144], xmm6",
                "movaps [rsp + 160], xmm7",
                "2:",
                concat!("mov dword ptr [rsp + 176], 8 * ", $fixed),
                "mov dword ptr [rsp + 180], 48",
                // Behind the return address.
                "lea rax, [rbp + 16]",
                "mov [rsp + 184], rax",
                "mov [rsp + 192], rsp",
                concat!("lea ", $list, ", [rsp + 176]"),
                "call {target}",
                "leave",
                "ret",
                target = sym $target,
            )
        }
    };
}
pub(super) use variadic;
