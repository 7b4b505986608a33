//! Starts all CPUs and tests what they have for themselves and do to each other.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use ukplat::println;
use ukplatcheck::cpus;

type Check = (&'static str, fn() -> Result<(), &'static str>);

const CHECKS: [Check; 6] = [
    ("each CPU counts for itself and all count together", cpus::counters),
    ("interrupts arrive at the CPU they are sent to", cpus::interrupts),
    ("an interrupt ends the wait of a CPU", cpus::wake),
    ("every CPU has a timer", cpus::timers),
    ("CPUs forget translations when told to", cpus::flush),
    ("flows are preempted and move between CPUs", cpus::roaming),
];

/// `cpus` runs all checks; `cpus idle MS` starts all CPUs and waits; `cpus crash CPU` and
/// `cpus exit CPU CODE` do that there.
pub fn main(args: &[&str]) -> u8 {
    let count = match cpus::start_all() {
        Ok(count) => count,
        Err(reason) => {
            println!("FAILED  CPUs start: {}", reason);
            return 1;
        }
    };
    println!("{} CPUs run", count);
    match args {
        [] => CHECKS.iter().map(|(name, check)| report(name, check())).sum(),
        ["idle", ms] => {
            uktime::sleep(core::time::Duration::from_millis(ms.parse().unwrap_or(0)));
            0
        }
        ["crash", cpu] => cpus::only_on(cpu.parse().unwrap_or(0), cpus::crash),
        ["exit", cpu] => {
            cpus::only_on(cpu.parse().unwrap_or(0), || ukplat::terminate(ukplat::Exit::Code(7)))
        }
        _ => 2,
    }
}

fn report(name: &str, result: Result<(), &'static str>) -> u8 {
    match result {
        Ok(()) => println!("ok      {}", name),
        Err(reason) => println!("FAILED  {}: {}", name, reason),
    }
    u8::from(result.is_err())
}
