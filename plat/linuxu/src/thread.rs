//! The thread pointer: base of segment FS, by instruction where CPU and kernel allow it, else by
//! system call.

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use ukarch_x86_64::segment::{fs_base, set_fs_base};

use crate::{start, sys};

/// Auxiliary vector entry with further capabilities, and the one that allows the instructions for
/// segment bases (getauxval(3); Documentation/arch/x86/x86_64/fsgs.rst of Linux).
const AT_HWCAP2: usize = 26;
const HWCAP2_FSGSBASE: usize = 1 << 1;

const ARCH_SET_FS: usize = 0x1002;
const ARCH_GET_FS: usize = 0x1003;

const UNDECIDED: u8 = 0;
const INSTRUCTION: u8 = 1;
const CALL: u8 = 2;

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
    let has = start::auxiliary(AT_HWCAP2).unwrap_or(0) & HWCAP2_FSGSBASE != 0;
    WAY.store(if has { INSTRUCTION } else { CALL }, Relaxed);
    has
}

#[inline]
pub fn thread_pointer() -> usize {
    if by_instruction() {
        // SAFETY: the kernel says that the instruction is allowed.
        return unsafe { fs_base() };
    }
    let mut value = 0usize;
    // SAFETY: the kernel writes one word.
    unsafe { sys::call(sys::ARCH_PRCTL, [ARCH_GET_FS, &raw mut value as usize, 0, 0, 0, 0]) };
    value
}

/// # Safety
/// As [`ukplat::set_thread_pointer`].
#[inline]
pub unsafe fn set_thread_pointer(value: usize) {
    // SAFETY: the instruction is allowed; what FS is used for is the caller's promise.
    unsafe {
        if by_instruction() {
            set_fs_base(value);
        } else {
            sys::call(sys::ARCH_PRCTL, [ARCH_SET_FS, value, 0, 0, 0, 0]);
        }
    }
}
