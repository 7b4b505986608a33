//! Measures threads, locks and tasks from the inside; `oxk bench sched` runs it.
//!
//! Writes a line for each measurement: its name and nanoseconds. The argument is how often things
//! are done, in thousands.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod cpus;
mod tasks;
mod threads;

use core::fmt;

use ukplat::println;

/// What went wrong: a thread or a task could not be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed(&'static str);

impl From<uksched::SpawnError> for Failed {
    fn from(_: uksched::SpawnError) -> Self {
        Failed("a thread could not be made")
    }
}

impl From<uksched::Exited> for Failed {
    fn from(_: uksched::Exited) -> Self {
        Failed("a thread gave up")
    }
}

impl From<ukasync::SpawnError> for Failed {
    fn from(_: ukasync::SpawnError) -> Self {
        Failed("a task could not be made")
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// See the crate's documentation.
pub fn main(args: &[&str]) -> u8 {
    let thousands = match args {
        [] => Some(100),
        [number] => number.parse().ok().filter(|n| (1..=10_000).contains(n)),
        _ => None,
    };
    let Some(thousands) = thousands else {
        println!("the argument is how often things are done, in thousands: 1 to 10000");
        return 2;
    };
    let rounds = thousands * 1000;
    let result = if uksched::cpus() > 1 {
        cpus::measure(rounds)
    } else {
        threads::measure(rounds).and_then(|()| tasks::measure(rounds))
    };
    match result {
        Ok(()) => 0,
        Err(why) => {
            println!("error {}", why);
            1
        }
    }
}

/// Writes a result: the time of all rounds.
pub(crate) fn report(name: &str, ns: u64, rounds: u64) {
    let hundredths = ns.saturating_mul(100) / rounds.max(1);
    println!("{} {}.{:02}", name, hundredths / 100, hundredths % 100);
}

/// Measures what `work` does in that many rounds.
pub(crate) fn time(name: &str, rounds: u64, work: impl FnOnce()) {
    let start = ukplat::monotonic_ns();
    work();
    report(name, ukplat::monotonic_ns() - start, rounds);
}
