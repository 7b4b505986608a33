//! Segment bases: FS holds the thread pointer, GS the address of the CPU's own data.

use core::arch::asm;

use crate::regs::{cpuid, rdmsr, wrmsr};

/// MSR: base of segment FS.
pub const IA32_FS_BASE: u32 = 0xc000_0100;
/// MSR: base of segment GS.
pub const IA32_GS_BASE: u32 = 0xc000_0101;

/// Bit of CR4 that allows the instructions for segment bases.
const CR4_FSGSBASE: u64 = 1 << 16;

/// Whether this CPU has instructions for segment bases (CPUID leaf 7).
pub fn has_base_instructions() -> bool {
    cpuid(0).eax >= 7 && cpuid(7).ebx & 1 != 0
}

/// Allows the instructions for segment bases on this CPU.
///
/// # Safety
/// Kernel mode, on a CPU with [`has_base_instructions`].
pub unsafe fn enable_base_instructions() {
    // SAFETY: the caller's promise; the other bits stay.
    unsafe {
        let mut cr4: u64;
        asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags));
        cr4 |= CR4_FSGSBASE;
        asm!("mov cr4, {}", in(reg) cr4, options(nostack, preserves_flags));
    }
}

/// Reads the base of FS.
///
/// # Safety
/// The instruction must be allowed.
#[inline(always)]
pub unsafe fn fs_base() -> usize {
    let value;
    // SAFETY: the caller's promise. Not `pure`: a switch of contexts changes it.
    unsafe { asm!("rdfsbase {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets the base of FS.
///
/// # Safety
/// The instruction must be allowed, and the address be canonical; code that uses FS must find
/// there what it expects.
#[inline(always)]
pub unsafe fn set_fs_base(value: usize) {
    // SAFETY: the caller's promise.
    unsafe { asm!("wrfsbase {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Sets the base of GS.
///
/// # Safety
/// As [`set_fs_base`], for GS.
#[inline(always)]
pub unsafe fn set_gs_base(value: usize) {
    // SAFETY: the caller's promise.
    unsafe { asm!("wrgsbase {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Reads the base of FS in kernel mode on any CPU.
///
/// # Safety
/// Kernel mode.
pub unsafe fn fs_base_msr() -> usize {
    // SAFETY: every 64-bit CPU has the register.
    unsafe { rdmsr(IA32_FS_BASE) as usize }
}

/// Sets the base of FS in kernel mode on any CPU.
///
/// # Safety
/// Kernel mode; otherwise as [`set_fs_base`].
pub unsafe fn set_fs_base_msr(value: usize) {
    // SAFETY: the caller's promise.
    unsafe { wrmsr(IA32_FS_BASE, value as u64) };
}

/// Reads word `index` of the block that the base of GS points to, in one instruction.
///
/// # Safety
/// GS must point to a block with that many words.
#[inline(always)]
pub unsafe fn load(index: usize) -> usize {
    let value;
    // SAFETY: the caller's promise. Not `pure`: other flows of this CPU change the word.
    unsafe {
        asm!("mov {}, gs:[{} * 8]", out(reg) value, in(reg) index, options(nostack, preserves_flags, readonly));
    }
    value
}

/// Writes word `index` of the block that the base of GS points to, in one instruction.
///
/// # Safety
/// As [`load`].
#[inline(always)]
pub unsafe fn store(index: usize, value: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("mov gs:[{} * 8], {}", in(reg) index, in(reg) value, options(nostack, preserves_flags));
    }
}

/// Adds to word `index` of the block that the base of GS points to, in one instruction, which is
/// not atomic towards other CPUs.
///
/// # Safety
/// As [`load`].
#[inline(always)]
pub unsafe fn add(index: usize, value: usize) {
    // SAFETY: the caller's promise.
    unsafe { asm!("add gs:[{} * 8], {}", in(reg) index, in(reg) value, options(nostack)) };
}
