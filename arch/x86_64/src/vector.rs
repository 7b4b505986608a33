//! Vector registers beyond SSE: the upper halves of the YMM registers (Intel SDM volume 1,
//! chapters 13 and 14).
//!
//! Interrupts save with FXSAVE what compiled code uses, x87 and SSE. That leaves the upper halves as
//! they are, so they need saving only where an interrupted flow loses its CPU to another one.

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use crate::regs::cpuid;

/// CPUID leaf 1, ECX: the CPU has XSAVE and XCR0.
const CPUID_XSAVE: u32 = 1 << 26;
/// The same leaf: the system allows them (CR4.OSXSAVE).
const CPUID_OSXSAVE: u32 = 1 << 27;
/// The same leaf: the CPU has AVX.
const CPUID_AVX: u32 = 1 << 28;
const CR4_OSXSAVE: u64 = 1 << 18;

/// XCR0, and the masks of XSAVE: upper halves of the YMM registers.
const AVX: u32 = 1 << 2;
/// Everything that programs may use: x87, SSE, AVX. The registers of AVX-512 stay off: 1.6 KiB more
/// for each preemption.
pub const COMPONENTS: u32 = 1 | 1 << 1 | AVX;

/// In the standard format: legacy region and header, then the upper halves (SDM table 13-1).
const HEADER: usize = 512;
const AREA: usize = HEADER + 64 + 256;
/// The same with the registers of AVX-512, where CPUs put them behind.
const AREA_512: usize = 2688;
/// The components of AVX-512: masks, upper halves, further registers.
const AVX_512: u32 = 0b111 << 5;

#[repr(C, align(64))]
struct Area<const SIZE: usize>([MaybeUninit<u8>; SIZE]);

/// Allows AVX on this CPU if it has it.
///
/// # Safety
/// Kernel mode.
pub unsafe fn enable() {
    let features = cpuid(1).ecx;
    if features & CPUID_XSAVE == 0 || features & CPUID_AVX == 0 {
        return;
    }
    // SAFETY: the caller's promise; the CPU knows the bit, and with it the register and the components.
    unsafe {
        let mut cr4: u64;
        asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags));
        cr4 |= CR4_OSXSAVE;
        asm!("mov cr4, {}", in(reg) cr4, options(nostack, preserves_flags));
        asm!("xsetbv", in("ecx") 0, in("eax") COMPONENTS, in("edx") 0, options(nostack, preserves_flags));
    }
}

/// Whether programs on this CPU may use AVX: the CPU has it, and the system allows it.
pub fn has_avx() -> bool {
    const WANTED: u32 = CPUID_OSXSAVE | CPUID_AVX;
    if cpuid(1).ecx & WANTED != WANTED {
        return false;
    }
    // SAFETY: OSXSAVE says that the instruction is allowed.
    unsafe { allowed() & COMPONENTS == COMPONENTS }
}

/// The components that the system allows: XCR0.
///
/// # Safety
/// The system must allow XSAVE.
unsafe fn allowed() -> u32 {
    let components: u32;
    // SAFETY: the caller's promise; in user mode too.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") components, out("edx") _, options(nomem, nostack, preserves_flags));
    }
    components
}

/// [`has_avx`], asked once: in a virtual machine CPUID costs as much as thousands of instructions.
#[inline]
fn in_use() -> bool {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
    match ANSWER.load(Relaxed) {
        UNKNOWN => {
            let answer = has_avx();
            ANSWER.store(if answer { YES } else { NO }, Relaxed);
            answer
        }
        answer => answer == YES,
    }
}

/// What there is beyond SSE and fits into [`AREA_512`], asked once.
#[inline]
fn vectors() -> u32 {
    const UNKNOWN: u32 = u32::MAX;
    static ANSWER: AtomicU32 = AtomicU32::new(UNKNOWN);
    match ANSWER.load(Relaxed) {
        UNKNOWN => {
            let answer = find_vectors();
            ANSWER.store(answer, Relaxed);
            answer
        }
        answer => answer,
    }
}

fn find_vectors() -> u32 {
    if !has_avx() {
        return 0;
    }
    // SAFETY: AVX says that XSAVE is allowed.
    let allowed = unsafe { allowed() } & (AVX | AVX_512);
    // Size and offset of a component are the CPU's to say (SDM volume 1, section 13.2).
    let fits = |component: &u32| {
        let place = __cpuid_count(0xd, *component);
        (place.eax as usize).saturating_add(place.ebx as usize) <= AREA_512
    };
    let there = (0..u32::BITS).filter(|component| allowed & 1 << component != 0);
    there.filter(fits).fold(0, |mask, component| mask | 1 << component)
}

/// Does something in which other flows may use this CPU, and gives the interrupted flow the upper
/// halves back, whatever CPU it is on then. Costs 832 bytes of stack.
pub fn keep_upper_halves(action: impl FnOnce()) {
    if !in_use() {
        return action();
    }
    keep::<AREA>(AVX, action);
}

/// Does something in which other flows may use this CPU, and gives the caller everything back that
/// FXSAVE does not keep: the upper halves, and the registers of AVX-512 where the system allows them.
/// Costs 2.6 KiB of stack.
pub fn keep_vectors(action: impl FnOnce()) {
    match vectors() {
        0 => action(),
        components => keep::<AREA_512>(components, action),
    }
}

/// The components must be allowed and fit into the area.
#[inline(always)]
fn keep<const SIZE: usize>(components: u32, action: impl FnOnce()) {
    let mut area = Area([MaybeUninit::<u8>::uninit(); SIZE]);
    // XRSTOR refuses a header with anything but zeros in its last words, and XSAVE does not write them.
    for byte in &mut area.0[HEADER..HEADER + 64] {
        byte.write(0);
    }
    // SAFETY: XSAVE is allowed, the area is large enough for these components and aligned to 64 bytes.
    unsafe {
        asm!("xsave64 [{}]", in(reg) &mut area, in("eax") components, in("edx") 0, options(nostack, preserves_flags));
    }
    action();
    // SAFETY: as above; XSAVE wrote what is read. No code of the compiler's keeps anything in these.
    unsafe {
        asm!("xrstor64 [{}]", in(reg) &area, in("eax") components, in("edx") 0, options(nostack, preserves_flags));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AVX is always there where anything is, and lies where the standard format has it.
    #[test]
    fn what_is_beyond_sse_has_room() {
        assert_eq!(vectors() & AVX != 0, has_avx());
        let avx_512 = std::arch::is_x86_feature_detected!("avx512f");
        assert_eq!(vectors() & AVX_512, if avx_512 { AVX_512 } else { 0 });
    }

    #[test]
    fn upper_halves_come_back() {
        assert_eq!(has_avx(), std::arch::is_x86_feature_detected!("avx"));
        if !has_avx() {
            return;
        }
        let (words, mut found) = ([1u64, 2, 3, 4], [0u64; 4]);
        // SAFETY: the CPU has AVX. Nothing between the blocks uses ymm9 but what is meant to.
        unsafe {
            asm!("vmovdqu ymm9, [{}]", in(reg) &words, out("xmm9") _);
            keep_upper_halves(|| asm!("vpcmpeqd xmm9, xmm9, xmm9", out("xmm9") _));
            asm!("vmovdqu [{}], ymm9", "vzeroupper", in(reg) &mut found);
        }
        // The lower half is the interrupt entry's to save.
        assert_eq!(found[2..], [3, 4]);
    }
}
