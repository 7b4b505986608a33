//! The thread pointer: base of segment FS, by instruction where the CPU has it, else by MSR.

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use ukarch_x86_64::segment::{
    enable_base_instructions, fs_base, fs_base_msr, has_base_instructions, set_fs_base,
    set_fs_base_msr,
};

const UNDECIDED: u8 = 0;
const INSTRUCTION: u8 = 1;
const MSR: u8 = 2;

/// Decided when the thread pointer is used for the first time; images that never do pay nothing.
static WAY: AtomicU8 = AtomicU8::new(UNDECIDED);

#[inline]
fn by_instruction() -> bool {
    match WAY.load(Relaxed) {
        UNDECIDED => decide(),
        way => way == INSTRUCTION,
    }
}

#[cold]
fn decide() -> bool {
    let has = prepare_cpu();
    WAY.store(if has { INSTRUCTION } else { MSR }, Relaxed);
    has
}

/// Allows the instructions on this CPU if it has them. CPUs started later call it, whether the
/// decision was made or not.
pub fn prepare_cpu() -> bool {
    let has = has_base_instructions();
    if has {
        // SAFETY: the platform runs in kernel mode.
        unsafe { enable_base_instructions() };
    }
    has
}

#[inline]
pub fn thread_pointer() -> usize {
    // SAFETY: kernel mode; the instruction was allowed when it was decided for, on every CPU.
    unsafe { if by_instruction() { fs_base() } else { fs_base_msr() } }
}

/// # Safety
/// As [`ukplat::set_thread_pointer`].
#[inline]
pub unsafe fn set_thread_pointer(value: usize) {
    // SAFETY: as above, and the caller's promise.
    unsafe { if by_instruction() { set_fs_base(value) } else { set_fs_base_msr(value) } }
}
