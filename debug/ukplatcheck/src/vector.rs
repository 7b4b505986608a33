//! Vector registers that compiled code for any x86-64 leaves alone: AVX.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

/// Whether programs may use AVX, found out as programs do (Intel SDM volume 1, section 14.3): the CPU
/// has it, and the system saves its registers.
pub fn has_avx() -> bool {
    const AVX_AND_OSXSAVE: u32 = 1 << 28 | 1 << 27;
    if __cpuid(1).ecx & AVX_AND_OSXSAVE != AVX_AND_OSXSAVE {
        return false;
    }
    let saved: u32;
    // SAFETY: OSXSAVE says that the instruction is allowed.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") saved, out("edx") _, options(nomem, nostack, preserves_flags));
    }
    saved & 0b110 == 0b110
}

/// Fills all YMM registers, spins for a while, and looks whether they still hold the same.
///
/// # Errors
/// What is wrong.
pub fn upper_halves(seed: u64, spins: u64) -> Result<(), &'static str> {
    if !has_avx() {
        return Err("there is no AVX");
    }
    let mut x = seed | 1;
    let before: [u64; 64] = core::array::from_fn(|_| {
        x = x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        x
    });
    let mut after = [0u64; 64];
    // SAFETY: the CPU has AVX; both arrays have room for 16 registers of 32 bytes.
    unsafe {
        asm!(
            "vmovdqu ymm0, [{from} + 0]",
            "vmovdqu ymm1, [{from} + 32]",
            "vmovdqu ymm2, [{from} + 64]",
            "vmovdqu ymm3, [{from} + 96]",
            "vmovdqu ymm4, [{from} + 128]",
            "vmovdqu ymm5, [{from} + 160]",
            "vmovdqu ymm6, [{from} + 192]",
            "vmovdqu ymm7, [{from} + 224]",
            "vmovdqu ymm8, [{from} + 256]",
            "vmovdqu ymm9, [{from} + 288]",
            "vmovdqu ymm10, [{from} + 320]",
            "vmovdqu ymm11, [{from} + 352]",
            "vmovdqu ymm12, [{from} + 384]",
            "vmovdqu ymm13, [{from} + 416]",
            "vmovdqu ymm14, [{from} + 448]",
            "vmovdqu ymm15, [{from} + 480]",
            "2:",
            "dec {spins}",
            "jnz 2b",
            "vmovdqu [{to} + 0], ymm0",
            "vmovdqu [{to} + 32], ymm1",
            "vmovdqu [{to} + 64], ymm2",
            "vmovdqu [{to} + 96], ymm3",
            "vmovdqu [{to} + 128], ymm4",
            "vmovdqu [{to} + 160], ymm5",
            "vmovdqu [{to} + 192], ymm6",
            "vmovdqu [{to} + 224], ymm7",
            "vmovdqu [{to} + 256], ymm8",
            "vmovdqu [{to} + 288], ymm9",
            "vmovdqu [{to} + 320], ymm10",
            "vmovdqu [{to} + 352], ymm11",
            "vmovdqu [{to} + 384], ymm12",
            "vmovdqu [{to} + 416], ymm13",
            "vmovdqu [{to} + 448], ymm14",
            "vmovdqu [{to} + 480], ymm15",
            "vzeroupper",
            from = in(reg) &before,
            to = in(reg) &mut after,
            spins = inout(reg) spins.max(1) => _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nostack),
        );
    }
    if before == after { Ok(()) } else { Err("a vector register changed") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_keep_what_they_hold() {
        let has = std::arch::is_x86_feature_detected!("avx");
        assert_eq!(has_avx(), has);
        assert_eq!(upper_halves(7, 1000).is_ok(), has);
    }
}
