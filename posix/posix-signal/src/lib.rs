//! Signals within the one process, and the timers that send them.
//!
//! ```
//! # use posix_signal as _;
//! # use syscall_shim::{Errno, call, nr};
//! const SIGUSR1: i32 = 10;
//! let (mask, mut pending) = (1u64 << (SIGUSR1 - 1), 0u64);
//! // Blocked, a signal stays pending until it is taken.
//! assert_eq!(call!(nr::rt_sigprocmask, 0, &mask, 0, 8usize), 0);
//! assert_eq!(call!(nr::tkill, 1, SIGUSR1), 0);
//! assert_eq!(call!(nr::rt_sigpending, &mut pending, 8usize), 0);
//! assert_eq!(pending, mask);
//! assert_eq!(call!(nr::rt_sigtimedwait, &mask, 0, 0, 8usize), SIGUSR1 as isize);
//! ```
//!
//! System calls are function calls, so signals are delivered as one: when a call of the thread ends,
//! handlers run, on the stack of the thread or the alternate one, and then the call returns. A call
//! that waits ends early for that, with `EINTR`, or is made again (`SA_RESTART`). A thread that makes
//! no calls gets no signals; one that the default action ends takes the process with it at once.
//!
//! Faults of the program are signals too, delivered at once: `SIGSEGV`, `SIGBUS`, `SIGFPE`, `SIGILL`
//! and `SIGTRAP` with the code and the address that the manual page tells, and with all registers in
//! the context, which the handler may change. Their default action is the crash report, and so it is
//! when the signal is blocked or ignored. A system call that is given memory it cannot use is no fault
//! of the program's code: it ends in a crash report always.
//!
//! An image whose program can reach none of these calls has nothing of this in it but a load in each
//! call; `SIGPIPE` is then not sent.
//!
//! Nobody else sends signals to the process, and nobody would let it go on: signals that stop it do
//! nothing.
//!
//! Unsafe code in this crate: calling the program's handlers, on another stack.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod actions;
mod deliver;
mod fault;
mod info;
mod masks;
mod number;
mod post;
mod queue;
mod send;
mod signalfd;
mod stack;
mod state;
#[cfg(test)]
mod tests;
mod timers;
mod wait;

use syscall_shim::Errno;

pub use info::Info;
pub use post::{Target, post};

/// Sets of signals are as long as the kernel's, not libc's.
fn check_size(size: usize) -> Result<(), Errno> {
    if size == size_of::<u64>() { Ok(()) } else { Err(Errno::EINVAL) }
}
