//! Event counters and timers as file descriptors.
//!
//! ```
//! use posix_eventfd::EventCounter;
//! use ukfile::{Description, Events, OpenFlags};
//!
//! let file = Description::new(EventCounter::new(3, false), OpenFlags::READ_WRITE)?;
//! file.write(&[&4u64.to_ne_bytes()])?;
//! let mut count = [0; 8];
//! file.read(&mut [&mut count])?;
//! assert_eq!(u64::from_ne_bytes(count), 7);
//! assert!(!file.file().ready().contains(Events::IN));
//! # Ok::<(), ukerrno::Errno>(())
//! ```
//!
//! Calls: `eventfd`, `eventfd2`, `timerfd_create`, `timerfd_settime`, `timerfd_gettime`. A timer
//! needs no thread and no interrupt of its own: whoever waits knows when it expires.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod counter;
#[cfg(test)]
mod tests;
mod timer;

pub use counter::EventCounter;
pub use timer::{Setting, Timer};
