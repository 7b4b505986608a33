//! The memory functions that compiled code calls: `memcpy`, `memmove`, `memset`, `memcmp`, `bcmp`
//! and `strlen`.
//!
//! The prebuilt `compiler_builtins` of x86_64-unknown-linux-gnu leaves them to a C library, which
//! a freestanding image does not have. [`mem_symbols!`](crate::mem_symbols) emits them; the
//! generated root crate of an image expands it once. They are assembly because a compiler turns
//! such loops, written in Rust, into calls of the very functions.
//!
//! Only SSE2 is used. `rep` string instructions are fast on today's processors but cost about
//! 90 cycles per byte under an emulator, so there are none. Nothing is read outside of the objects
//! given, except by `strlen`, which reads whole aligned 16-byte blocks and so never touches a page
//! that holds no byte of the string. No stack is used.
//!
//! ```
//! // Under other names, for a program that already has a C library.
//! mod symbols {
//!     ukarch_x86_64::mem_symbols!("example_");
//! }
//! unsafe extern "C" {
//!     fn example_strlen(text: *const core::ffi::c_char) -> usize;
//! }
//! // SAFETY: the text ends with a zero byte.
//! assert_eq!(unsafe { example_strlen(c"unikernel".as_ptr()) }, 9);
//! ```

/// Emits `memcpy`, `memmove`, `memset`, `memcmp`, `bcmp` and `strlen`, in one section each
/// (`.text.memcpy` …), with the C calling convention (System V ABI, x86-64 psABI section 3.2).
///
/// `memcpy` is `memmove` under a second name, `bcmp` is `memcmp`. A literal as argument is put
/// before each name: tests use it to emit the functions into a program that has a C library.
#[macro_export]
macro_rules! mem_symbols {
    (@function $prefix:literal, [$name:literal $(, $alias:literal)?], $($line:literal,)+) => {
        ::core::arch::global_asm!(
            ::core::concat!(".pushsection .text.", $prefix, $name, ", \"ax\", @progbits"),
            ".p2align 4",
            $(
                ::core::concat!(".globl ", $prefix, $alias),
                ::core::concat!(".type ", $prefix, $alias, ", @function"),
                ::core::concat!($prefix, $alias, ":"),
            )?
            ::core::concat!(".globl ", $prefix, $name),
            ::core::concat!(".type ", $prefix, $name, ", @function"),
            ::core::concat!($prefix, $name, ":"),
            $($line,)+
            ::core::concat!(".size ", $prefix, $name, ", . - ", $prefix, $name),
            $(::core::concat!(".size ", $prefix, $alias, ", . - ", $prefix, $alias),)?
            ".popsection",
        );
    };

    () => {
        $crate::mem_symbols!("");
    };

    ($prefix:literal) => {
        // rdi: destination, rsi: source, rdx: length in bytes; returns rdi.
        // Up to 128 bytes: all is loaded, from both ends with an overlap in the middle, before
        // any is stored, so that it does not matter how the objects lie.
        $crate::mem_symbols!(@function $prefix, ["memcpy", "memmove"],
            "mov rax, rdi",
            "cmp rdx, 16",
            "jb 20f",
            "movups xmm0, [rsi]",
            "movups xmm1, [rsi + rdx - 16]",
            "cmp rdx, 32",
            "ja 30f",
            "movups [rdi], xmm0",
            "movups [rdi + rdx - 16], xmm1",
            "ret",

            "20:", // 0 to 15 bytes
            "cmp edx, 8",
            "jae 24f",
            "cmp edx, 4",
            "jae 23f",
            "cmp edx, 1",
            "jb 22f",
            "movzx ecx, byte ptr [rsi]",
            "je 21f",
            "movzx esi, word ptr [rsi + rdx - 2]",
            "mov [rdi + rdx - 2], si",
            "21:",
            "mov [rdi], cl",
            "22:",
            "ret",
            "23:", // 4 to 7
            "mov ecx, [rsi]",
            "mov esi, [rsi + rdx - 4]",
            "mov [rdi], ecx",
            "mov [rdi + rdx - 4], esi",
            "ret",
            "24:", // 8 to 15
            "mov rcx, [rsi]",
            "mov rsi, [rsi + rdx - 8]",
            "mov [rdi], rcx",
            "mov [rdi + rdx - 8], rsi",
            "ret",

            "30:", // 33 to 64
            "movups xmm2, [rsi + 16]",
            "movups xmm3, [rsi + rdx - 32]",
            "cmp rdx, 64",
            "ja 40f",
            "movups [rdi], xmm0",
            "movups [rdi + 16], xmm2",
            "movups [rdi + rdx - 32], xmm3",
            "movups [rdi + rdx - 16], xmm1",
            "ret",

            "40:", // 65 to 128
            "movups xmm4, [rsi + 32]",
            "movups xmm5, [rsi + 48]",
            "movups xmm6, [rsi + rdx - 64]",
            "movups xmm7, [rsi + rdx - 48]",
            "lea r8, [rdi + rdx - 64]",
            "cmp rdx, 128",
            "ja 50f",
            "45:", // First 64 bytes to rax, last 64 bytes to r8
            "movups [rax], xmm0",
            "movups [rax + 16], xmm2",
            "movups [rax + 32], xmm4",
            "movups [rax + 48], xmm5",
            "movups [r8], xmm6",
            "movups [r8 + 16], xmm7",
            "movups [r8 + 32], xmm3",
            "movups [r8 + 48], xmm1",
            "ret",

            // More: the first and the last 64 bytes stay in registers and are stored at the end,
            // what is between goes in blocks of 64 that are aligned in the destination.
            "50:",
            "mov rcx, rdi",
            "sub rcx, rsi",
            "cmp rcx, rdx",
            "jb 60f", // The destination begins inside the source
            "and rdi, -16",
            "add rdi, 64",
            "mov rsi, rdi",
            "sub rsi, rcx",
            ".p2align 4",
            "51:",
            "movups xmm8, [rsi]",
            "movups xmm9, [rsi + 16]",
            "movups xmm10, [rsi + 32]",
            "movups xmm11, [rsi + 48]",
            "movaps [rdi], xmm8",
            "movaps [rdi + 16], xmm9",
            "movaps [rdi + 32], xmm10",
            "movaps [rdi + 48], xmm11",
            "add rsi, 64",
            "add rdi, 64",
            "cmp rdi, r8",
            "jb 51b",
            "jmp 45b",

            "60:", // Downwards
            "lea rdi, [rdi + rdx + 15]",
            "and rdi, -16",
            "add rdi, -128",
            "mov rsi, rdi",
            "sub rsi, rcx",
            ".p2align 4",
            "61:",
            "movups xmm8, [rsi]",
            "movups xmm9, [rsi + 16]",
            "movups xmm10, [rsi + 32]",
            "movups xmm11, [rsi + 48]",
            "movaps [rdi], xmm8",
            "movaps [rdi + 16], xmm9",
            "movaps [rdi + 32], xmm10",
            "movaps [rdi + 48], xmm11",
            "add rsi, -64",
            "add rdi, -64",
            "cmp rdi, rax",
            "ja 61b",
            "jmp 45b",
        );

        // rdi: destination, sil: value, rdx: length in bytes; returns rdi.
        $crate::mem_symbols!(@function $prefix, ["memset"],
            "mov rax, rdi",
            "movzx esi, sil",
            "movabs rcx, 0x0101010101010101",
            "imul rcx, rsi",
            "cmp rdx, 16",
            "jb 20f",
            "movq xmm0, rcx",
            "punpcklqdq xmm0, xmm0",
            "lea r8, [rdi + rdx - 64]",
            "movups [rdi], xmm0",
            "movups [r8 + 48], xmm0",
            "cmp rdx, 32",
            "jbe 30f",
            "movups [rdi + 16], xmm0",
            "movups [r8 + 32], xmm0",
            "cmp rdx, 64",
            "jbe 30f",
            "movups [rdi + 32], xmm0",
            "movups [rdi + 48], xmm0",
            "movups [r8], xmm0",
            "movups [r8 + 16], xmm0",
            "cmp rdx, 128",
            "jbe 30f",
            "and rdi, -16",
            "add rdi, 64",
            ".p2align 4",
            "25:",
            "movaps [rdi], xmm0",
            "movaps [rdi + 16], xmm0",
            "movaps [rdi + 32], xmm0",
            "movaps [rdi + 48], xmm0",
            "add rdi, 64",
            "cmp rdi, r8",
            "jb 25b",
            "30:",
            "ret",

            "20:", // 0 to 15 bytes
            "cmp edx, 8",
            "jae 24f",
            "cmp edx, 4",
            "jae 23f",
            "cmp edx, 1",
            "jb 22f",
            "mov [rdi], cl",
            "je 22f",
            "mov [rdi + rdx - 2], cx",
            "22:",
            "ret",
            "23:",
            "mov [rdi], ecx",
            "mov [rdi + rdx - 4], ecx",
            "ret",
            "24:",
            "mov [rdi], rcx",
            "mov [rdi + rdx - 8], rcx",
            "ret",
        );

        // rdi, rsi: what to compare, rdx: length in bytes; returns the difference of the first
        // bytes that differ, or of the words that hold them as sign.
        $crate::mem_symbols!(@function $prefix, ["memcmp", "bcmp"],
            "cmp rdx, 16",
            "jb 30f",
            "xor ecx, ecx", // Offset of what is compared next
            "lea r8, [rdx - 64]",
            "cmp rdx, 64",
            "jb 21f",
            ".p2align 4",
            "20:", // Blocks of 64 bytes
            "movups xmm0, [rdi + rcx]",
            "movups xmm1, [rdi + rcx + 16]",
            "movups xmm2, [rdi + rcx + 32]",
            "movups xmm3, [rdi + rcx + 48]",
            "movups xmm4, [rsi + rcx]",
            "movups xmm5, [rsi + rcx + 16]",
            "movups xmm6, [rsi + rcx + 32]",
            "movups xmm7, [rsi + rcx + 48]",
            "pcmpeqb xmm0, xmm4",
            "pcmpeqb xmm1, xmm5",
            "pcmpeqb xmm2, xmm6",
            "pcmpeqb xmm3, xmm7",
            "pand xmm0, xmm1",
            "pand xmm2, xmm3",
            "pand xmm0, xmm2",
            "pmovmskb eax, xmm0",
            "cmp eax, 0xffff",
            "jne 21f", // The next loop finds the place
            "add rcx, 64",
            "cmp rcx, r8",
            "jbe 20b",
            "21:", // Up to four of 16 bytes, the last one ending with the objects
            "lea r8, [rdx - 16]",
            "xor eax, eax",
            "cmp rcx, rdx",
            "je 26f",
            "22:",
            "cmp rcx, r8",
            "cmova rcx, r8",
            "movups xmm0, [rdi + rcx]",
            "movups xmm1, [rsi + rcx]",
            "pcmpeqb xmm0, xmm1",
            "pmovmskb eax, xmm0",
            "xor eax, 0xffff",
            "jnz 25f",
            "add rcx, 16",
            "cmp rcx, rdx",
            "jb 22b",
            "ret",
            "25:",
            "bsf eax, eax",
            "add rcx, rax",
            "movzx eax, byte ptr [rdi + rcx]",
            "movzx ecx, byte ptr [rsi + rcx]",
            "sub eax, ecx",
            "26:",
            "ret",

            "30:", // 0 to 15 bytes
            "cmp edx, 8",
            "jae 34f",
            "cmp edx, 4",
            "jae 33f",
            "xor eax, eax",
            "sub edx, 1",
            "jb 32f",
            "movzx eax, byte ptr [rdi]",
            "movzx ecx, byte ptr [rsi]",
            "je 31f",
            "shl eax, 16", // First byte, then the last two
            "shl ecx, 16",
            "movzx r8d, word ptr [rdi + rdx - 1]",
            "movzx r9d, word ptr [rsi + rdx - 1]",
            "rol r8w, 8",
            "rol r9w, 8",
            "or eax, r8d",
            "or ecx, r9d",
            "31:",
            "sub eax, ecx",
            "32:",
            "ret",
            "33:", // 4 to 7: the first four, then the last four
            "mov eax, [rdi]",
            "mov ecx, [rsi]",
            "mov r8d, [rdi + rdx - 4]",
            "mov r9d, [rsi + rdx - 4]",
            "shl r8, 32",
            "shl r9, 32",
            "or rax, r8",
            "or rcx, r9",
            "jmp 35f",
            "34:", // 8 to 15
            "mov rax, [rdi]",
            "mov rcx, [rsi]",
            "cmp rax, rcx",
            "jne 35f",
            "mov rax, [rdi + rdx - 8]",
            "mov rcx, [rsi + rdx - 8]",
            "35:",
            "bswap rax",
            "bswap rcx",
            "cmp rax, rcx",
            "seta al",
            "movzx eax, al",
            "sbb eax, 0",
            "ret",
        );

        // rdi: address of the string; returns its length in bytes.
        $crate::mem_symbols!(@function $prefix, ["strlen"],
            "mov rax, rdi",
            "mov ecx, edi",
            "and rax, -16",
            "and ecx, 15",
            "pxor xmm0, xmm0",
            "movdqa xmm1, [rax]",
            "pcmpeqb xmm1, xmm0",
            "pmovmskb edx, xmm1",
            "shr edx, cl", // What lies before the string does not count
            "test edx, edx",
            "jnz 30f",
            ".p2align 4",
            "20:",
            "add rax, 16",
            "movdqa xmm1, [rax]",
            "pcmpeqb xmm1, xmm0",
            "pmovmskb edx, xmm1",
            "test edx, edx",
            "jz 20b",
            "bsf edx, edx",
            "add rax, rdx",
            "sub rax, rdi",
            "ret",
            "30:",
            "bsf eax, edx",
            "ret",
        );
    };
}

#[cfg(test)]
mod tests;
