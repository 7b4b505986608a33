//! Threads of POSIX programs: identity, thread pointer, creation, end.
//!
//! ```
//! # use posix_thread as _;
//! # use syscall_shim::{call, nr};
//! // The first thread has the number of the process.
//! assert_eq!(call!(nr::gettid), 1);
//! assert_eq!(call!(nr::set_tid_address, 0), 1);
//! ```
//!
//! A thread of a program is one of the scheduler. It runs on the stack that the program brings, with
//! system calls and all; only its beginning and its end happen on a small stack of the scheduler's,
//! so that the program can use the other again as soon as it learns that the thread has ended.
//!
//! A new thread begins with a function: `clone(2)`, which returns twice, cannot be a function call and
//! is not there. The C library's `__clone` calls `uk_sys_clone_thread`. Without a scheduler that
//! fails with `ENOSYS`, and nothing of threads is in the image.
//!
//! Unsafe code in this crate: setting the thread pointer, changing stacks, the word that the kernel
//! clears when a thread ends.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod affinity;
mod barrier;
mod create;
mod policy;
mod table;
mod task;
#[cfg(test)]
mod tests;

use syscall_shim::{Address, ArchCode, Errno, UserOut, UserPtr, UserWord, syscall};

pub use create::begin_program;
pub use table::{Events, count, exists, find_number, of_program, on_thread_events, wake};
pub use task::{in_call, name_of, set_in_call, set_name_of, set_signal_stack, signal_stack};

/// The number of the first thread, which is that of the process.
pub const FIRST: i32 = 1;

/// Codes of `arch_prctl` (`asm/prctl.h` of Linux). The thread pointer is the base of segment FS.
const ARCH_SET_GS: i32 = 0x1001;
const ARCH_SET_FS: i32 = 0x1002;
const ARCH_GET_FS: i32 = 0x1003;
const ARCH_GET_GS: i32 = 0x1004;

/// Size in bytes of the head of a list of robust mutexes (`linux/futex.h`).
const ROBUST_HEAD: usize = 24;

/// Number of the calling thread (gettid(2)). Threads that are not the program's have that of the
/// first.
#[syscall]
pub fn gettid() -> i32 {
    task::current().id
}

/// Where zero is written and a futex woken when the thread ends (set_tid_address(2)).
#[syscall]
fn set_tid_address(place: UserWord) -> i32 {
    let task = task::current();
    task.set_clear_place(place.value());
    task.id
}

/// Mutexes whose holders can die (set_robust_list(2)): libc unlocks those of threads that end, and
/// no thread ends otherwise.
#[syscall]
fn set_robust_list(#[trace(Address)] _head: usize, len: usize) -> Result<(), Errno> {
    if len == ROBUST_HEAD { Ok(()) } else { Err(Errno::EINVAL) }
}

/// See [`set_robust_list`]: there is none (get_robust_list(2)).
#[syscall]
fn get_robust_list(thread: i32, head: UserOut<usize>, len: UserOut<usize>) -> Result<(), Errno> {
    if thread != 0 && !exists(thread) {
        return Err(Errno::ESRCH);
    }
    head.write(0);
    len.write(ROBUST_HEAD);
    Ok(())
}

/// Sets or gets the thread pointer (arch_prctl(2)). The other base is the system's own.
#[syscall]
fn arch_prctl(#[trace(ArchCode)] code: i32, address: UserWord) -> Result<(), Errno> {
    match code {
        ARCH_SET_FS => {
            // SAFETY: the program says that this is where its thread-local variables are.
            unsafe { task::set_thread_pointer(address.value()) };
            Ok(())
        }
        ARCH_GET_FS => {
            let place: UserPtr<'_, usize> = address.pointer()?;
            place.write(ukplat::thread_pointer());
            Ok(())
        }
        ARCH_SET_GS | ARCH_GET_GS => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// Ends the thread, and with the last one the image (_exit(2)).
#[syscall]
fn exit(code: i32) -> ! {
    create::exit(code, 0..0)
}

/// Ends the thread and unmaps its stack: what a detached thread cannot do itself.
#[syscall(nr = 511)]
fn exit_and_unmap(#[trace(Address)] start: usize, len: usize) -> ! {
    create::exit(0, start..start.saturating_add(len))
}

/// Ends the image with the low eight bits of the code (exit_group(2)).
#[syscall]
pub fn exit_group(code: i32) -> ! {
    ukboot::exit(code as u8)
}

/// Lets another thread run that is ready (sched_yield(2)).
#[syscall]
fn sched_yield() {
    #[cfg(feature = "threads")]
    uksched::yield_now();
}
