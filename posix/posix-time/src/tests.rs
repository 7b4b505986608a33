//! The calls by number, as a program makes them. One test sets the clock.

use syscall_shim::{Errno, call, nr};

use crate::{Clock, TimeSpec};

const EINVAL: isize = -22;
const EPERM: isize = -1;

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
    for clock in [(!0 << 3) | 6, (!1 << 3) | 4] {
        assert!(now(clock).to_ns().is_ok(), "the only thread");
    }
    for clock in [10, 12, 99, (!7 << 3) | 2, (!7 << 3) | 6, (!0 << 3) | 3, (!0 << 3) | 7] {
        assert_eq!(call!(nr::clock_gettime, clock, &mut time), EINVAL, "{clock}");
        assert_eq!(call!(nr::clock_getres, clock, 0), EINVAL, "{clock}");
    }
    assert_eq!((call!(nr::clock_getres, 0, &mut time), time), (0, [0, 1]));
    let first = now(1).to_ns().unwrap();
    assert!(now(1).to_ns().unwrap() >= first);
    let mut times = [9i64; 4];
    let before = now(1).to_ns().unwrap() / 10_000_000;
    let ticks = call!(nr::times, &mut times) as u64;
    assert!((before..=now(1).to_ns().unwrap() / 10_000_000).contains(&ticks));
    assert!(times[0] >= 0 && times[1..] == [0; 3]);
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
    for clock in 4..=6 {
        let result = call!(nr::clock_nanosleep, clock, 0, &ms(1), 0);
        assert_eq!(result, Errno::EOPNOTSUPP.to_raw());
    }
    assert_eq!(call!(nr::nanosleep, 0, 0), Errno::EFAULT.to_raw());
}

/// What is measured of threads is told by whoever knows them.
#[test]
fn threads_have_clocks() {
    static TIME: crate::ThreadTime = |number| match number {
        0 | 7 => Ok(Some(7_000_000_005)),
        8 => Ok(None),
        _ => Err(Errno::ESRCH),
    };
    assert_eq!(Clock::Thread(7).now_ns(), Clock::ENDED);
    crate::set_thread_time(&TIME);
    let of = |number: i32| (!number << 3) | 6;
    assert_eq!([now(3), now(of(7))].map(|time| (time.seconds, time.nanoseconds)), [(7, 5); 2]);
    let (before, time) = (Clock::Process.now_ns(), now(of(8)).to_ns().unwrap());
    assert!((before..=Clock::Process.now_ns()).contains(&time), "the process's");
    assert_eq!(call!(nr::clock_gettime, of(9), &mut [0i64; 2]), EINVAL);
    // Its time is over, so nobody waits.
    assert_eq!(crate::sleep_until(Clock::Thread(9), u64::MAX - 1), Ok(()));
    static NOBODY: crate::ThreadTime =
        |number| if number > 1 { Err(Errno::ESRCH) } else { Ok(None) };
    crate::set_thread_time(&NOBODY);
}

#[test]
fn cpu_time_that_is_slept_for_goes_by() {
    let start = Clock::Process.now_ns();
    assert_eq!(call!(nr::clock_nanosleep, 2, 0, &[0i64, 300_000], 0), 0);
    assert!(Clock::Process.now_ns() >= start + 300_000);
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
    for (clock, error) in [(1, EINVAL), (11, EINVAL), (99, EINVAL), (2, EPERM), (3, EPERM)] {
        assert_eq!(call!(nr::clock_settime, clock, &[5i64, 0]), error, "{clock}");
    }
    assert_eq!(call!(nr::clock_settime, 0, &[0i64, 0]), EINVAL, "before boot");
    // Whoever waits for a time of this clock goes on when the clock is set.
    let hour = |hours: i64| [2_000_000_000 + hours * 3600, 0];
    let sleeper = std::thread::spawn(move || call!(nr::clock_nanosleep, 0, 1, &hour(1), 0));
    // Whether it waits by then or not.
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(!sleeper.is_finished());
    assert_eq!(call!(nr::clock_settime, 0, &hour(2)), 0);
    assert_eq!(sleeper.join().unwrap(), 0);
    // Not everybody may.
    crate::allow_setting(false);
    assert_eq!(call!(nr::clock_settime, 0, &[0i64, -1]), EINVAL);
    assert_eq!(call!(nr::clock_settime, 0, &hour(0)), EPERM);
    assert_eq!(call!(nr::settimeofday, &hour(0), 0), EPERM);
    assert_eq!(call!(nr::settimeofday, 0, &[0i32; 2]), EPERM);
    crate::allow_setting(true);
    assert_eq!(call!(nr::settimeofday, 0, &[0i32; 2]), 0);
}

#[test]
fn times_that_are_too_long_are_the_end_of_time() {
    assert_eq!(TimeSpec { seconds: i64::MAX, nanoseconds: 0 }.to_ns(), Ok(u64::MAX));
    // 500 years from now, and no sum that wraps around.
    assert!(Clock::Monotonic.deadline_ns(u64::MAX) > 500 * 365 * 86_400 * 1_000_000_000);
    assert!(Clock::Real.deadline_ns(u64::MAX) > 400 * 365 * 86_400 * 1_000_000_000);
}
