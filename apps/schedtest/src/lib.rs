//! Tests threads, waiting and scheduling from the inside.
//!
//! Without arguments it runs all checks that fit the scheduler of the image and ends with the number
//! of failures. `schedtest idle MS` waits with many threads, `overflow` uses a thread's stack up,
//! `threads` lists threads, `placement MS` tells whether they move to idle CPUs, `inversion` whom urgent threads
//! wait for; `end main` and `end thread` end the image while threads wait.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod basics;
mod ending;
mod inversion;
mod locks;
mod placement;
mod preemption;
mod waiting;

use core::time::Duration;

use ukplat::println;
use uktest::Check;

const CHECKS: [&[Check]; 3] = [&basics::CHECKS, &waiting::CHECKS, &locks::CHECKS];

/// See the crate's documentation.
pub fn main(args: &[&str]) -> u8 {
    match args {
        [] if uksched::is_preemptive() => {
            uktest::run(&[CHECKS[0], CHECKS[1], CHECKS[2], &preemption::CHECKS])
        }
        [] => uktest::run(&CHECKS),
        ["idle", ms] => waiting::idle(Duration::from_millis(ms.parse().unwrap_or(0))),
        ["end", "main"] => ending::with_blocked(false),
        ["end", "thread"] => ending::with_blocked(true),
        ["inversion"] => inversion::report(),
        ["placement", ms] => placement::report(Duration::from_millis(ms.parse().unwrap_or(0))),
        ["overflow"] => basics::overflow(),
        ["threads"] => {
            for thread in uksched::threads() {
                println!("{:?} {:?}", thread, thread.stats());
            }
            0
        }
        _ => {
            println!("unknown arguments");
            2
        }
    }
}
