//! Futexes: what locks of POSIX programs wait with.
//!
//! ```
//! # use posix_futex as _;
//! # use syscall_shim::{Errno, call, nr};
//! const WAIT: i32 = 0;
//! const WAKE: i32 = 1;
//! let word = 5u32;
//! // The word has changed already: there is nothing to wait for.
//! assert_eq!(call!(nr::futex, &word, WAIT, 4u32, 0, 0, 0), Errno::EAGAIN.to_raw());
//! assert_eq!(call!(nr::futex, &word, WAKE, 1u32, 0, 0, 0), 0);
//! ```
//!
//! See futex(2) and futex(7). All threads share one address space, so private futexes and others
//! are the same. Those whose word names the owner (`FUTEX_LOCK_PI`) need a library that
//! [numbers threads](set_threads), and fail with `ENOSYS` without one. They are handed to the most
//! urgent thread that waits. Owners keep the priority they have: the scheduler has one place for what a
//! thread inherits, and `uklock` sets it by the mutexes that it knows, so that a second library there
//! would undo what the first did. `FUTEX_WAIT_REQUEUE_PI`, which neither musl nor glibc uses, is not
//! there.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod calls;
mod pi;
mod queue;
#[cfg(test)]
mod tests;
mod waiter;

pub use calls::{reserve, wake};
pub use pi::{Threads, set_threads, thread_ended};
