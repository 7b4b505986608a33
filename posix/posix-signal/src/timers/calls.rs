//! The system calls.

use posix_time::{Clock, NANOSECONDS, TimeSpec};
use syscall_shim::{
    ClockId, Errno, Hexadecimal, IntervalTimer, Notify, Plain, Signal, TimerFlags, UserOut,
    UserPtr, syscall,
};

use super::{MOST, TIMERS, Timer, engine};
use crate::number::{SIGALRM, SIGPROF, SIGVTALRM, is_signal};
use crate::post::{Target, activate};

/// Flag of `timer_settime`: the time is that of the clock.
const ABSOLUTE: i32 = 1;

// Clocks that no timer has (`linux/time.h`).
const MONOTONIC_RAW: i32 = 4;
const COARSE_REAL: i32 = 5;
const COARSE_MONOTONIC: i32 = 6;

// How a timer tells (`sigevent(7)`).
const SIGEV_SIGNAL: i32 = 0;
const SIGEV_NONE: i32 = 1;
const SIGEV_THREAD_ID: i32 = 4;

/// `struct sigevent`.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct SignalEvent {
    #[trace(Hexadecimal)]
    value: u64,
    #[trace(Signal)]
    signal: i32,
    #[trace(Notify)]
    notify: i32,
    thread: i32,
    #[trace(_)]
    padding: [i32; 11],
}

/// `struct itimerspec`.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct TimerSpec {
    interval: TimeSpec,
    value: TimeSpec,
}

/// `struct itimerval`, in seconds and microseconds.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct TimerValue {
    interval: [i64; 2],
    value: [i64; 2],
}

impl TimerSpec {
    fn of(timer: &Timer) -> Self {
        Self { interval: TimeSpec::from_ns(timer.interval), value: TimeSpec::from_ns(timer.left()) }
    }
}

fn find<R>(id: i32, f: impl FnOnce(&mut Timer) -> R) -> Result<R, Errno> {
    match TIMERS.lock().get_mut(&id).filter(|_| id >= 0) {
        Some(timer) => Ok(f(timer)),
        None => Err(Errno::EINVAL),
    }
}

/// See timer_create(2). Timers of CPU time expire up to a millisecond late.
#[syscall]
fn timer_create(
    clock: ClockId,
    event: Option<UserPtr<SignalEvent>>,
    place: UserOut<i32>,
) -> Result<(), Errno> {
    // Clocks that are for looking at.
    if [COARSE_REAL, COARSE_MONOTONIC, MONOTONIC_RAW].contains(&clock.0) {
        return Err(Errno::EOPNOTSUPP);
    }
    let clock = match Clock::from_number(clock.0)? {
        // Whoever looks at the timer is another thread.
        Clock::Thread(0) => Clock::Thread(posix_thread::gettid()),
        clock => clock,
    };
    let event = event.map(UserPtr::read);
    let sends = match event {
        None => Some((Target::Process, SIGALRM)),
        Some(event) => match event.notify {
            SIGEV_NONE => None,
            _ if !is_signal(event.signal) => return Err(Errno::EINVAL),
            SIGEV_SIGNAL => Some((Target::Process, event.signal)),
            SIGEV_THREAD_ID if posix_thread::exists(event.thread) => {
                Some((Target::Thread(event.thread), event.signal))
            }
            _ => return Err(Errno::EINVAL),
        },
    };
    activate();
    let mut timers = TIMERS.lock();
    if timers.len() >= MOST {
        return Err(Errno::EAGAIN);
    }
    let taken = |id: &i32| timers.contains_key(id);
    let id = (0..).find(|id| !taken(id)).ok_or(Errno::EAGAIN)?;
    // Without an event the signal carries the timer's number.
    let value = event.map_or(id as u64, |event| event.value);
    timers.try_insert(id, Timer::new(clock, sends, value)).map_err(|_| Errno::EAGAIN)?;
    drop(timers);
    place.write(id);
    Ok(())
}

/// See timer_settime(2).
#[syscall]
fn timer_settime(
    id: i32,
    #[trace(TimerFlags)] flags: i32,
    new: UserPtr<TimerSpec>,
    old: Option<UserOut<TimerSpec>>,
) -> Result<(), Errno> {
    let new = new.read();
    let (value, interval) = (new.value.to_ns()?, new.interval.to_ns()?);
    ukplat::on_wall_set(&super::WALL_SET);
    let before = find(id, |timer| {
        let before = TimerSpec::of(timer);
        timer.arm(value, interval, flags & ABSOLUTE != 0);
        before
    })?;
    engine::changed()?;
    if let Some(old) = old {
        old.write(before);
    }
    Ok(())
}

/// See timer_gettime(2).
#[syscall]
fn timer_gettime(id: i32, place: UserOut<TimerSpec>) -> Result<(), Errno> {
    place.write(find(id, |timer| TimerSpec::of(timer))?);
    Ok(())
}

/// See timer_getoverrun(2).
#[syscall]
fn timer_getoverrun(id: i32) -> Result<i32, Errno> {
    find(id, |timer| timer.overrun)
}

/// See timer_delete(2).
#[syscall]
fn timer_delete(id: i32) -> Result<(), Errno> {
    find(id, |_| ())?;
    TIMERS.lock().remove(&id);
    Ok(())
}

/// The key of an interval timer, its clock, and its signal.
fn interval_timer(which: i32) -> Result<(i32, Clock, i32), Errno> {
    match which {
        0 => Ok((-1, Clock::Monotonic, SIGALRM)),
        1 => Ok((-2, Clock::Process, SIGVTALRM)),
        2 => Ok((-3, Clock::Process, SIGPROF)),
        _ => Err(Errno::EINVAL),
    }
}

/// The interval timer that sends a signal.
pub fn interval_timer_of(signal: i32) -> Option<i32> {
    match signal {
        SIGALRM => Some(-1),
        SIGVTALRM => Some(-2),
        SIGPROF => Some(-3),
        _ => None,
    }
}

fn from_micros([seconds, micros]: [i64; 2]) -> Result<u64, Errno> {
    if !(0..1_000_000).contains(&micros) {
        return Err(Errno::EINVAL);
    }
    TimeSpec { seconds, nanoseconds: micros * 1000 }.to_ns()
}

fn to_micros(ns: u64) -> [i64; 2] {
    // What is left of a microsecond is not nothing.
    let micros = ns.div_ceil(1000) as i64;
    [micros / 1_000_000, micros % 1_000_000]
}

/// Sets an interval timer; returns what was left of it and its interval, in nanoseconds.
fn set(which: i32, value: u64, interval: u64) -> Result<(u64, u64), Errno> {
    let (key, clock, signal) = interval_timer(which)?;
    activate();
    let new = Timer::new(clock, Some((Target::Process, signal)), 0);
    let mut timers = TIMERS.lock();
    if !timers.contains_key(&key) {
        timers.try_insert(key, new).map_err(|_| Errno::ENOMEM)?;
    }
    let timer = timers.get_or_insert_with(key, || new);
    let before = (timer.left(), timer.interval);
    timer.arm(value, interval, false);
    drop(timers);
    engine::changed()?;
    Ok(before)
}

/// See setitimer(2).
#[syscall]
fn setitimer(
    #[trace(IntervalTimer)] which: i32,
    new: Option<UserPtr<TimerValue>>,
    old: Option<UserOut<TimerValue>>,
) -> Result<(), Errno> {
    let (value, interval) = match new.map(UserPtr::read) {
        Some(new) => (from_micros(new.value)?, from_micros(new.interval)?),
        None => (0, 0),
    };
    let (left, before) = set(which, value, interval)?;
    if let Some(old) = old {
        old.write(TimerValue { interval: to_micros(before), value: to_micros(left) });
    }
    Ok(())
}

/// See getitimer(2).
#[syscall]
fn getitimer(#[trace(IntervalTimer)] which: i32, place: UserOut<TimerValue>) -> Result<(), Errno> {
    let (key, ..) = interval_timer(which)?;
    let timers = TIMERS.lock();
    let (left, interval) = timers.get(&key).map_or((0, 0), |timer| (timer.left(), timer.interval));
    place.write(TimerValue { interval: to_micros(interval), value: to_micros(left) });
    Ok(())
}

/// See alarm(2): a signal after that many seconds; returns the seconds that were left.
#[syscall]
fn alarm(seconds: u32) -> Result<u64, Errno> {
    let (left, _) = set(0, u64::from(seconds) * NANOSECONDS, 0)?;
    // Rounded, but never to nothing.
    let rounded = (left + NANOSECONDS / 2) / NANOSECONDS;
    Ok(if left > 0 { rounded.max(1) } else { 0 })
}
