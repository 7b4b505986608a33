//! Control registers, model-specific registers, I/O ports, CPUID (Intel SDM volumes 2 and 3).

use core::arch::asm;
pub use core::arch::x86_64::CpuidResult;

/// MSR: local APIC base address and enable bits.
pub const IA32_APIC_BASE: u32 = 0x1b;
/// MSR: time-stamp counter value at which the APIC timer fires.
pub const IA32_TSC_DEADLINE: u32 = 0x6e0;

/// Reads the time-stamp counter. Not ordered with surrounding instructions.
#[inline(always)]
pub fn rdtsc() -> u64 {
    // SAFETY: reads a counter; CR4.TSD is never set.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// CPUID for `leaf`, sub-leaf 0.
pub fn cpuid(leaf: u32) -> CpuidResult {
    core::arch::x86_64::__cpuid(leaf)
}

/// Reads a model-specific register.
///
/// # Safety
/// The register must exist, and the CPU be in kernel mode.
pub unsafe fn rdmsr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller's promise.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The register must exist and the value be right for it, and the CPU be in kernel mode.
pub unsafe fn wrmsr(register: u32, value: u64) {
    // SAFETY: the caller's promise. Memory may be affected (page attributes, kvmclock pages).
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32, options(nostack, preserves_flags));
    }
}

/// Writes a byte to an I/O port.
///
/// # Safety
/// What the device does must be harmless to Rust code; the CPU must be in kernel mode.
#[inline]
pub unsafe fn outb(port: u16, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Writes 16 bits to an I/O port.
///
/// # Safety
/// As [`outb`].
pub unsafe fn outw(port: u16, value: u16) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags)) };
}

/// Writes 32 bits to an I/O port.
///
/// # Safety
/// As [`outb`].
pub unsafe fn outl(port: u16, value: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags))
    };
}

/// Reads a byte from an I/O port; all ones where there is no device.
///
/// # Safety
/// As [`outb`].
#[inline]
pub unsafe fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// Reads 16 bits from an I/O port; all ones where there is no device.
///
/// # Safety
/// As [`outb`].
pub unsafe fn inw(port: u16) -> u16 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nostack, preserves_flags)) };
    value
}

/// The address whose access caused the last page fault.
pub fn read_cr2() -> u64 {
    let value;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Switches to another set of page tables.
///
/// # Safety
/// `root` must be the physical address of a top-level table that maps all memory in use as it is
/// expected to be.
pub unsafe fn write_cr3(root: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Physical address of the top-level page table in use.
pub fn read_cr3() -> u64 {
    let value: u64;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    // The low bits hold flags and the process-context identifier.
    value & 0x000f_ffff_ffff_f000
}

/// Makes this CPU forget how it translates an address, and the upper page tables that it remembers
/// (Intel SDM volume 3, section 4.10.4.1).
///
/// # Safety
/// The CPU must be in kernel mode.
#[inline]
pub unsafe fn invlpg(address: u64) {
    // SAFETY: the caller's promise. Not `nomem`: what was written to page tables is written before.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Disables interrupts; returns whether they were enabled.
#[inline]
pub fn disable_interrupts() -> bool {
    let flags: u64;
    // SAFETY: disabling interrupts is always allowed in kernel mode. `pushfq` writes below the
    // stack pointer, so this block is not `nostack`: the compiler keeps its red zone away.
    unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) };
    flags & (1 << 9) != 0
}

/// Enables interrupts.
///
/// # Safety
/// An interrupt table must be loaded whose handlers keep all registers and the red zone.
#[inline]
pub unsafe fn enable_interrupts() {
    // SAFETY: the caller's promise.
    unsafe { asm!("sti", options(nostack)) };
}

/// Enables interrupts and halts until one came; disables them again. An interrupt that is already
/// pending is taken after the halt began (`sti` delays by one instruction), so none is missed.
///
/// # Safety
/// As [`enable_interrupts`].
pub unsafe fn wait_for_interrupt() {
    // SAFETY: the caller's promise.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// Lets pending interrupts come, without waiting for any; disables them again.
///
/// # Safety
/// As [`enable_interrupts`].
pub unsafe fn take_pending_interrupts() {
    // SAFETY: the caller's promise. `sti` takes effect after the instruction behind it.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) };
}

/// Halts for ever with interrupts disabled.
pub fn halt() -> ! {
    loop {
        // SAFETY: nothing runs any more on this CPU.
        unsafe { asm!("cli", "hlt", options(nostack)) };
    }
}
