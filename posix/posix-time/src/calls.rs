//! The system calls.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use syscall_shim::{
    As, ClockId, Errno, Interrupted, Meaning, Plain, TimerFlags, Traced, UserOut, UserPtr,
    UserWord, syscall,
};

use crate::{Clock, NANOSECONDS, TimeSpec, sleep_until};

/// Flag of `clock_nanosleep`: the time is that of the clock, not a duration.
const TIMER_ABSTIME: i32 = 1;
// Clocks that nobody sleeps by (`linux/time.h`).
const CLOCK_THREAD_CPUTIME: i32 = 3;
const MONOTONIC_RAW: i32 = 4;
const COARSE_REAL: i32 = 5;
const COARSE_MONOTONIC: i32 = 6;
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
fn clock_gettime(clock: ClockId, time: UserOut<TimeSpec>) -> Result<(), Errno> {
    time.write(TimeSpec::from_ns(Clock::from_number(clock.0)?.now_ns()));
    Ok(())
}

/// See clock_getres(2).
#[syscall]
fn clock_getres(clock: ClockId, resolution: Option<UserOut<TimeSpec>>) -> Result<(), Errno> {
    Clock::from_number(clock.0)?;
    if let Some(resolution) = resolution {
        resolution.write(TimeSpec::from_ns(RESOLUTION_NS));
    }
    Ok(())
}

/// Whether the program may set the clock.
static MAY_SET: AtomicBool = AtomicBool::new(true);

/// Says whether the program may set the clock; it may at first. For the library that knows who the
/// program is.
pub fn allow_setting(allowed: bool) {
    MAY_SET.store(allowed, Relaxed);
}

fn set(ns: u64) -> Result<(), Errno> {
    if !MAY_SET.load(Relaxed) {
        return Err(Errno::EPERM);
    }
    // So that boot is not before 1970.
    if ns < Clock::Monotonic.now_ns() {
        return Err(Errno::EINVAL);
    }
    ukplat::set_wall_ns(ns);
    Ok(())
}

/// Sets wall-clock time (clock_settime(2)).
#[syscall]
fn clock_settime(clock: ClockId, time: UserPtr<TimeSpec>) -> Result<(), Errno> {
    match (clock.0, Clock::from_number(clock.0)?) {
        (0, _) => set(time.read().to_ns()?),
        (_, Clock::Process | Clock::Thread(_)) => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// See gettimeofday(2).
#[syscall]
fn gettimeofday(time: Option<UserOut<TimeVal>>, zone: Option<UserOut<[i32; 2]>>) {
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
        return set(TimeSpec { seconds, nanoseconds }.to_ns()?);
    }
    if MAY_SET.load(Relaxed) { Ok(()) } else { Err(Errno::EPERM) }
}

/// Seconds since 1970 (time(2)).
#[syscall]
fn time(place: Option<UserOut<i64>>) -> i64 {
    let seconds = (Clock::Real.now_ns() / NANOSECONDS) as i64;
    if let Some(place) = place {
        place.write(seconds);
    }
    seconds
}

/// CPU time of the process and its children, in ticks of 10 ms (times(2)); returns the ticks on the
/// monotonic clock.
#[syscall]
fn times(place: Option<UserOut<[i64; 4]>>) -> i64 {
    let ticks = |clock: Clock| (clock.now_ns() / (NANOSECONDS / CLOCK_TICKS)) as i64;
    if let Some(place) = place {
        place.write([ticks(Clock::Process), 0, 0, 0]);
    }
    ticks(Clock::Monotonic)
}

/// Sleeps for a duration; what is left of it goes to `rest` when a signal comes (nanosleep(2)).
#[syscall]
fn nanosleep(
    duration: UserPtr<TimeSpec>,
    #[trace(As<Interrupted<TimeSpec>>)] rest: Option<UserOut<TimeSpec>>,
) -> Result<(), Errno> {
    sleep_for(Clock::Monotonic, duration.read().to_ns()?, rest)
}

/// What is left of a duration; until a time of a clock nothing is left.
enum Rest {}

impl Meaning for Rest {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match call.word(1) as i32 & TIMER_ABSTIME {
            0 => Interrupted::<TimeSpec>::trace(word, call, out),
            _ => word.trace_address(out),
        }
    }
}

/// Sleeps for a duration, or until a clock shows a time (clock_nanosleep(2)).
#[syscall]
fn clock_nanosleep(
    clock: ClockId,
    #[trace(TimerFlags)] flags: i32,
    time: UserPtr<TimeSpec>,
    #[trace(As<Rest>)] rest: Option<UserOut<TimeSpec>>,
) -> Result<(), Errno> {
    let kind = Clock::from_number(clock.0)?;
    match clock.0 {
        // The caller's own CPU time stands still while it sleeps.
        CLOCK_THREAD_CPUTIME => return Err(Errno::EINVAL),
        COARSE_REAL | COARSE_MONOTONIC | MONOTONIC_RAW => return Err(Errno::EOPNOTSUPP),
        _ => {}
    }
    let ns = time.read().to_ns()?;
    if flags & TIMER_ABSTIME != 0 {
        return sleep_until(kind, ns);
    }
    // A duration is one, however the clock is set.
    sleep_for(if kind == Clock::Real { Clock::Monotonic } else { kind }, ns, rest)
}

fn sleep_for(clock: Clock, ns: u64, rest: Option<UserOut<'_, TimeSpec>>) -> Result<(), Errno> {
    let end = clock.now_ns().saturating_add(ns);
    let result = sleep_until(clock, end);
    if let (Err(_), Some(rest)) = (result, rest) {
        rest.write(TimeSpec::from_ns(end.saturating_sub(clock.now_ns())));
    }
    result
}
