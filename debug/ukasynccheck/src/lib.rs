//! Checks of tasks, their timers and wakers, with and without threads: for images, which have what
//! wakes tasks.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(not(feature = "threads"))]
#[path = "without_threads.rs"]
mod others;
#[cfg(feature = "threads")]
#[path = "with_threads.rs"]
mod others;
mod tasks;

use uktest::Check;

/// All that fit the image.
pub const CHECKS: [&[Check]; 2] = [&tasks::CHECKS, &others::CHECKS];

pub use tasks::idle;
