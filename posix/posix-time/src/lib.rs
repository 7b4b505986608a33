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
//! Clocks are the platform's two, monotonic time since boot, and wall-clock time, to which a program
//! may add an offset by setting the clock; and those of CPU time. The process's is the time that CPUs
//! were not idle, all of them together. What a thread was on a CPU is measured with the option
//! `cpu-time` of `uksched`; without it the clocks of threads are that of the process.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod calls;
mod clock;
mod sleep;
#[cfg(test)]
mod tests;

pub use calls::allow_setting;
pub use clock::{Clock, NANOSECONDS, ThreadTime, TimeSpec, set_thread_time};
pub use sleep::sleep_until;
