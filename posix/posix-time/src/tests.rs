//! The calls by number, as a program makes them. One test sets the clock.

use syscall_shim::{Errno, call, nr};

use crate::{Clock, TimeSpec};

const EINVAL: isize = -22;

fn now(clock: i32) -> TimeSpec {
    let mut time = TimeSpec { seconds: -1, nanoseconds: -1 };
    assert_eq!(call!(nr::clock_gettime, clock, &mut time), 0, "clock {clock}");
    time
}

#[test]
fn clocks_by_number() {
    for clock in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, (!0 << 3) | 2, (!1 << 3) | 2] {
        assert!(now(clock).to_ns().is_ok());
        assert_eq!(call!(nr::clock_getres, clock, 0), 0);
    }
    let mut time = [0i64; 2];
    for clock in [10, 12, 99, (!7 << 3) | 2] {
        assert_eq!(call!(nr::clock_gettime, clock, &mut time), EINVAL, "{clock}");
        assert_eq!(call!(nr::clock_getres, clock, 0), EINVAL, "{clock}");
    }
    assert_eq!((call!(nr::clock_getres, 0, &mut time), time), (0, [0, 1]));
    let first = now(1).to_ns().unwrap();
    assert!(now(1).to_ns().unwrap() >= first);
    assert!(call!(nr::times, &mut [9i64; 4]) >= 0);
}

#[test]
fn sleeping_takes_at_least_as_long() {
    let start = Clock::Monotonic.now_ns();
    let ms = |ms: i64| TimeSpec { seconds: 0, nanoseconds: ms * 1_000_000 };
    assert_eq!(call!(nr::nanosleep, &ms(3), 0), 0);
    assert_eq!(call!(nr::clock_nanosleep, 0, 0, &ms(3), 0), 0);
    assert!(Clock::Monotonic.now_ns() >= start + 6_000_000);
    let at = TimeSpec::from_ns(Clock::Monotonic.now_ns() + 3_000_000);
    assert_eq!(call!(nr::clock_nanosleep, 1, 1, &at, 0), 0);
    assert!(now(1).to_ns().unwrap() >= at.to_ns().unwrap());
    // A time that has been is no reason to wait.
    assert_eq!(call!(nr::clock_nanosleep, 1, 1, &TimeSpec::from_ns(5), 0), 0);
    for wrong in [[-1i64, 0], [0, -1], [0, 1_000_000_000]] {
        assert_eq!(call!(nr::nanosleep, &wrong, 0), EINVAL);
    }
    assert_eq!(call!(nr::clock_nanosleep, 3, 0, &ms(1), 0), EINVAL);
    assert_eq!(call!(nr::nanosleep, 0, 0), Errno::EFAULT.to_raw());
}

#[test]
fn wall_clock_time_can_be_set() {
    let mut time = [0i64; 2];
    assert_eq!(call!(nr::gettimeofday, &mut time, &mut [1i32; 2]), 0);
    assert!((0..1_000_000).contains(&time[1]));
    assert_eq!(call!(nr::clock_settime, 0, &[1_000_000_000i64, 5]), 0);
    let mut seconds = 0i64;
    let returned = call!(nr::time, &mut seconds);
    assert!((1_000_000_000..1_000_000_600).contains(&seconds) && returned as i64 == seconds);
    assert_eq!(call!(nr::settimeofday, &[2_000_000_000i64, 0], 0), 0);
    assert!((2_000_000_000..2_000_000_600).contains(&now(0).seconds));
    assert_eq!(call!(nr::settimeofday, &[5i64, 1_000_000], 0), EINVAL);
    assert_eq!(call!(nr::settimeofday, &[5i64, i64::MAX], 0), EINVAL);
    assert_eq!(call!(nr::clock_settime, 1, &[5i64, 0]), EINVAL);
}

#[test]
fn times_that_are_too_long_are_the_end_of_time() {
    assert_eq!(TimeSpec { seconds: i64::MAX, nanoseconds: 0 }.to_ns(), Ok(u64::MAX));
    // 500 years from now, and no sum that wraps around.
    assert!(Clock::Monotonic.deadline_ns(u64::MAX) > 500 * 365 * 86_400 * 1_000_000_000);
    assert!(Clock::Real.deadline_ns(u64::MAX) > 400 * 365 * 86_400 * 1_000_000_000);
}
