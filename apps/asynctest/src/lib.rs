//! Tests tasks, their timers and wakers from the inside, with and without threads.
//!
//! Without arguments it runs all checks that fit the image and ends with the number of failures.
//! `asynctest idle MS` waits with many tasks.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::time::Duration;

use ukplat::println;

/// See the crate's documentation.
pub fn main(args: &[&str]) -> u8 {
    match args {
        [] => uktest::run(&ukasynccheck::CHECKS),
        ["idle", ms] => ukasynccheck::idle(Duration::from_millis(ms.parse().unwrap_or(0))),
        _ => {
            println!("unknown arguments");
            2
        }
    }
}
