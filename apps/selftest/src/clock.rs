//! Checks of the clocks and of sleeping.

use core::time::Duration;

use uktime::{Instant, sleep, unix_time};

use crate::Check;

pub const CHECKS: [Check; 4] = [
    ("the monotonic clock never goes back", monotonic),
    ("sleeping takes at least its time", sleeping),
    ("wall and monotonic clock run alike", wall),
    ("the date is this century", date),
];

fn monotonic() -> Result<(), &'static str> {
    let mut last = Instant::now();
    for _ in 0..20_000 {
        let now = Instant::now();
        if now < last {
            return Err("went back");
        }
        last = now;
    }
    Ok(())
}

fn sleeping() -> Result<(), &'static str> {
    for ms in [0, 1, 5, 20] {
        let wanted = Duration::from_millis(ms);
        let start = Instant::now();
        sleep(wanted);
        if start.elapsed() < wanted {
            return Err("woke too early");
        }
        // Generous: other programs may have the CPU. A clock that is wrong by a factor shows.
        if start.elapsed() > wanted + Duration::from_secs(2) {
            return Err("slept far too long");
        }
    }
    Ok(())
}

fn wall() -> Result<(), &'static str> {
    let (mono, wall) = (Instant::now(), unix_time());
    sleep(Duration::from_millis(50));
    let (mono, wall) = (mono.elapsed(), unix_time().saturating_sub(wall));
    if mono.abs_diff(wall) > Duration::from_millis(25) {
        return Err("they drift apart");
    }
    Ok(())
}

fn date() -> Result<(), &'static str> {
    let year = uktime::DateTime::from_unix(unix_time().as_secs()).year;
    if (2024..2100).contains(&year) { Ok(()) } else { Err("the year is wrong") }
}

/// Measures what calls of the platform cost: prints `call NAME NANOSECONDS`.
pub fn calls() -> u8 {
    const ROUNDS: u64 = 2_000;
    let measure = |name: &str, work: &mut dyn FnMut(u64)| {
        let start = ukplat::monotonic_ns();
        (0..ROUNDS).for_each(work);
        ukplat::println!("call {} {}", name, (ukplat::monotonic_ns() - start) / ROUNDS);
    };
    measure("read", &mut |_| {
        ukplat::console_read(&mut [0]);
    });
    let far = ukplat::monotonic_ns() + 3_600_000_000_000;
    measure("timer", &mut |round| ukplat::timer_arm(Some(far + round)));
    ukplat::timer_arm(None);
    let mut late = 0;
    for _ in 0..200 {
        let until = ukplat::monotonic_ns() + 100_000;
        while ukplat::monotonic_ns() < until {
            ukplat::idle_until(Some(until));
        }
        late += ukplat::monotonic_ns() - until;
    }
    ukplat::println!("call wait {}", late / 200);
    0
}
