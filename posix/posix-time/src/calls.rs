//! The system calls.

use syscall_shim::{ClockId, Errno, Plain, UserPtr, syscall};

use crate::{Clock, NANOSECONDS, TimeSpec, wait_until};

/// Flag of `clock_nanosleep`: the time is that of the clock, not a duration.
const TIMER_ABSTIME: i32 = 1;
/// Ticks of a second in `times`.
const CLOCK_TICKS: u64 = 100;
/// Resolution of all clocks in nanoseconds, as they are counted.
const RESOLUTION_NS: u64 = 1;

/// `struct timeval`.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct TimeVal {
    seconds: i64,
    microseconds: i64,
}

/// See clock_gettime(2).
#[syscall]
fn clock_gettime(clock: ClockId, time: UserPtr<TimeSpec>) -> Result<(), Errno> {
    time.write(TimeSpec::from_ns(Clock::from_number(clock.0)?.now_ns()));
    Ok(())
}

/// See clock_getres(2).
#[syscall]
fn clock_getres(clock: ClockId, resolution: Option<UserPtr<TimeSpec>>) -> Result<(), Errno> {
    Clock::from_number(clock.0)?;
    if let Some(resolution) = resolution {
        resolution.write(TimeSpec::from_ns(RESOLUTION_NS));
    }
    Ok(())
}

/// Sets wall-clock time (clock_settime(2)).
#[syscall]
fn clock_settime(clock: ClockId, time: UserPtr<TimeSpec>) -> Result<(), Errno> {
    let ns = time.read().to_ns()?;
    match clock.0 {
        0 => {
            ukplat::set_wall_ns(ns);
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}

/// See gettimeofday(2).
#[syscall]
fn gettimeofday(time: Option<UserPtr<TimeVal>>, zone: Option<UserPtr<[i32; 2]>>) {
    if let Some(time) = time {
        let now = TimeSpec::from_ns(Clock::Real.now_ns());
        time.write(TimeVal { seconds: now.seconds, microseconds: now.nanoseconds / 1000 });
    }
    if let Some(zone) = zone {
        zone.write([0; 2]);
    }
}

/// Sets wall-clock time (settimeofday(2)).
#[syscall]
fn settimeofday(time: Option<UserPtr<TimeVal>>, _zone: usize) -> Result<(), Errno> {
    if let Some(time) = time {
        let TimeVal { seconds, microseconds } = time.read();
        let nanoseconds = microseconds.checked_mul(1000).ok_or(Errno::EINVAL)?;
        ukplat::set_wall_ns(TimeSpec { seconds, nanoseconds }.to_ns()?);
    }
    Ok(())
}

/// Seconds since 1970 (time(2)).
#[syscall]
fn time(place: Option<UserPtr<i64>>) -> i64 {
    let seconds = (Clock::Real.now_ns() / NANOSECONDS) as i64;
    if let Some(place) = place {
        place.write(seconds);
    }
    seconds
}

/// CPU time of the process and its children, in ticks of 10 ms (times(2)); returns the ticks since
/// boot.
#[syscall]
fn times(place: Option<UserPtr<[i64; 4]>>) -> i64 {
    let ticks = (Clock::Cpu.now_ns() / (NANOSECONDS / CLOCK_TICKS)) as i64;
    if let Some(place) = place {
        place.write([ticks, 0, 0, 0]);
    }
    ticks
}

/// Sleeps for a duration; what is left of it goes to `rest` when a signal comes (nanosleep(2)).
#[syscall]
fn nanosleep(duration: UserPtr<TimeSpec>, rest: Option<UserPtr<TimeSpec>>) -> Result<(), Errno> {
    sleep_for(duration.read().to_ns()?, rest)
}

/// Sleeps for a duration, or until a clock shows a time (clock_nanosleep(2)).
#[syscall]
fn clock_nanosleep(
    clock: ClockId,
    flags: i32,
    time: UserPtr<TimeSpec>,
    rest: Option<UserPtr<TimeSpec>>,
) -> Result<(), Errno> {
    let kind = Clock::from_number(clock.0)?;
    // The caller's own CPU time stands still while it sleeps.
    if clock.0 == 3 {
        return Err(Errno::EINVAL);
    }
    let ns = time.read().to_ns()?;
    if flags & TIMER_ABSTIME == 0 {
        return sleep_for(ns, rest);
    }
    wait_until(Some(kind.deadline_ns(ns)))
}

fn sleep_for(ns: u64, rest: Option<UserPtr<'_, TimeSpec>>) -> Result<(), Errno> {
    let deadline = ukplat::monotonic_ns().saturating_add(ns);
    let result = wait_until(Some(deadline));
    if let (Err(_), Some(rest)) = (result, rest) {
        rest.write(TimeSpec::from_ns(deadline.saturating_sub(ukplat::monotonic_ns())));
    }
    result
}
