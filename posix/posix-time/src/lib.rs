//! Clocks and sleeping of POSIX programs.
//!
//! ```
//! # use posix_time as _;
//! # use syscall_shim::{call, nr};
//! let mut now = [0i64; 2];
//! assert_eq!(call!(nr::clock_gettime, 1, &mut now), 0);
//! assert!(now[0] >= 0 && (0..1_000_000_000).contains(&now[1]));
//! ```
//!
//! All clocks are the platform's two: monotonic time since boot, and wall-clock time, to which a
//! program may add an offset by setting the clock. The clocks of CPU time run since boot: the
//! image is one process, and what it waits for is not told apart.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod calls;
mod clock;
#[cfg(test)]
mod tests;

pub use clock::{Clock, NANOSECONDS, TimeSpec};
use syscall_shim::Errno;

/// Waits until the monotonic clock of the platform ([`ukplat::monotonic_ns`]) reaches a deadline, or
/// for ever.
///
/// # Errors
/// `EINTR` when a signal is to be handled.
pub fn wait_until(deadline_ns: Option<u64>) -> Result<(), Errno> {
    let nobody = uklock::WaitQueue::new();
    nobody.wait_interruptible(deadline_ns, || false).map(drop).map_err(|_| Errno::EINTR)
}
