//! Threads of POSIX programs: identity, thread pointer, end.
//!
//! ```
//! # use posix_thread as _;
//! # use syscall_shim::{call, nr};
//! // The first thread has the number of the process.
//! assert_eq!(call!(nr::gettid), 1);
//! assert_eq!(call!(nr::set_tid_address, 0), 1);
//! ```
//!
//! Unsafe code in this crate: setting the thread pointer.
#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use syscall_shim::{Errno, UserPtr, UserSliceMut, UserWord, syscall};

/// The number of the first thread, which is that of the process.
const FIRST: i32 = 1;

/// Codes of `arch_prctl` (`asm/prctl.h` of Linux). The thread pointer is the base of segment FS.
const ARCH_SET_GS: i32 = 0x1001;
const ARCH_SET_FS: i32 = 0x1002;
const ARCH_GET_FS: i32 = 0x1003;
const ARCH_GET_GS: i32 = 0x1004;

/// Size in bytes of the head of a list of robust mutexes (`linux/futex.h`).
const ROBUST_HEAD: usize = 24;

/// Number of the calling thread (gettid(2)).
#[syscall]
pub fn gettid() -> i32 {
    FIRST
}

/// Where zero is written when the thread ends (set_tid_address(2)): the only thread's end is that
/// of the image, which nobody sees.
#[syscall]
fn set_tid_address(_place: Option<UserPtr<i32>>) -> i32 {
    gettid()
}

/// Mutexes whose holders can die (set_robust_list(2)): libc unlocks those of threads that end, and
/// no thread ends otherwise.
#[syscall]
fn set_robust_list(_head: usize, len: usize) -> Result<(), Errno> {
    if len == ROBUST_HEAD { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Sets or gets the thread pointer (arch_prctl(2)). The other base is the system's own.
#[syscall]
fn arch_prctl(code: i32, address: UserWord) -> Result<(), Errno> {
    match code {
        ARCH_SET_FS => {
            // SAFETY: the program says that this is where its thread-local variables are.
            unsafe { ukplat::set_thread_pointer(address.value()) };
            Ok(())
        }
        ARCH_GET_FS => {
            address.pointer()?.write(ukplat::thread_pointer());
            Ok(())
        }
        ARCH_SET_GS | ARCH_GET_GS => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// Ends the thread, and with the last one the image (_exit(2)).
#[syscall]
fn exit(code: i32) -> ! {
    exit_group(code)
}

/// Ends the image with the low eight bits of the code (exit_group(2)).
#[syscall]
pub fn exit_group(code: i32) -> ! {
    ukboot::exit(code as u8)
}

/// One thread has all CPUs there are for it (sched_yield(2)).
#[syscall]
fn sched_yield() {}

/// The CPUs that a thread may run on, as bits (sched_getaffinity(2)); returns the bytes written.
#[syscall]
fn sched_getaffinity(thread: i32, mut mask: UserSliceMut<'_, u8>) -> Result<usize, Errno> {
    if thread != 0 && thread != gettid() {
        return Err(Errno::ESRCH);
    }
    let word = size_of::<u64>();
    if mask.len() < word || !mask.len().is_multiple_of(word) {
        return Err(Errno::EINVAL);
    }
    let count = ukplat::cpu_count().min(64);
    let bits = if count == 64 { u64::MAX } else { (1 << count) - 1 };
    mask.as_mut_slice()[..word].copy_from_slice(&bits.to_ne_bytes());
    Ok(word)
}
