//! Several schedulers in one image: a control plane, a cooperative one, and a data plane.
//!
//! Without arguments it checks that each keeps to its CPUs and rules, and that waking, joining and
//! locks work between them. `instances idle MS` waits; `instances list` tells who has which CPUs.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod between;
pub mod plane;
mod rules;

use core::time::Duration;

use ukplat::println;

/// See the crate's documentation.
pub fn main(args: &[&str]) -> u8 {
    match args {
        [] => uktest::run(&[&plane::CHECKS, &rules::CHECKS, &between::CHECKS]),
        ["idle", ms] => {
            plane::stop();
            uktime::sleep(Duration::from_millis(ms.parse().unwrap_or(0)));
            0
        }
        ["list"] => {
            for instance in uksched::instances() {
                println!("{} on {:#b}", instance.name(), instance.cpus());
            }
            0
        }
        _ => {
            println!("unknown arguments");
            2
        }
    }
}
