//! Timers that send signals: `alarm`, `setitimer`, `timer_create`.

mod calls;
#[cfg_attr(feature = "threads", path = "timers/thread.rs")]
#[cfg_attr(not(feature = "threads"), path = "timers/interrupt.rs")]
mod engine;

use posix_time::Clock;
use uklock::Mutex;
use ukmap::SortedMap;

use crate::info::{Info, SI_KERNEL};
use crate::post::{Target, post};

pub use engine::{look, request};

/// Timers of one process at most.
const MOST: usize = 4096;

/// A timer.
#[derive(Clone, Copy, Debug)]
struct Timer {
    clock: Clock,
    /// What is sent when it expires, and to whom; nothing for those that are only asked.
    sends: Option<(Target, i32)>,
    value: u64,
    /// When it expires, and by which clock; `None` when it is not armed.
    next: Option<(Clock, u64)>,
    /// In nanoseconds; 0 for once.
    interval: u64,
    /// Of the signal that was delivered last.
    overrun: i32,
}

impl Timer {
    const fn new(clock: Clock, sends: Option<(Target, i32)>, value: u64) -> Self {
        Self { clock, sends, value, next: None, interval: 0, overrun: 0 }
    }

    /// Nanoseconds until it expires, 0 when it is not armed.
    fn left(&self) -> u64 {
        self.next.map_or(0, |(clock, next)| next.saturating_sub(clock.now_ns()).max(1))
    }

    fn arm(&mut self, value: u64, interval: u64, absolute: bool) {
        self.interval = interval;
        // A duration is one, however the clock is set.
        let lasting = if self.clock == Clock::Real { Clock::Monotonic } else { self.clock };
        self.next = match (value, absolute) {
            (0, _) => None,
            (_, true) => Some((self.clock, value)),
            (_, false) => Some((lasting, lasting.now_ns().saturating_add(value))),
        };
    }

    /// Takes what has expired; returns how often.
    fn expire(&mut self) -> u64 {
        let Some((clock, next)) = self.next else { return 0 };
        let now = clock.now_ns();
        if now == Clock::ENDED {
            self.next = None;
        }
        let Some(late) = now.checked_sub(next).filter(|_| now != Clock::ENDED) else { return 0 };
        let Some(more) = late.checked_div(self.interval) else {
            self.next = None;
            return 1;
        };
        let next = next.saturating_add((more + 1).saturating_mul(self.interval));
        self.next = Some((clock, next));
        more + 1
    }
}

/// Timers of wall-clock time expire by it when it is set, too.
static WALL_SET: ukplat::WallSet = |_| engine::look_again();

/// Timers by number; those of `setitimer` have negative ones.
static TIMERS: Mutex<SortedMap<i32, Timer>> = Mutex::new(SortedMap::new());

/// Sends the signals of all timers that have expired; returns when to look again, by the monotonic clock.
fn expire() -> Option<u64> {
    // One at a time: it takes no memory, and nothing is locked while signals are sent.
    while let Some((target, info)) = expired() {
        // A thread that has ended gets nothing.
        let _ = post(target, info);
    }
    let timers = TIMERS.lock();
    let armed = timers.values().filter_map(|timer| timer.next);
    armed.map(|(clock, next)| clock.deadline_ns(next)).min()
}

/// The signal of one of the timers that have expired, if one sends any.
fn expired() -> Option<(Target, Info)> {
    TIMERS.lock().iter_mut().find_map(|(id, timer)| {
        let times = timer.expire();
        let (target, signal) = timer.sends.filter(|_| times > 0)?;
        let overrun = (times - 1).min(i32::MAX as u64) as i32;
        let info = if *id < 0 {
            Info::new(signal, SI_KERNEL)
        } else {
            Info::from_timer(signal, *id, overrun, timer.value)
        };
        Some((target, info))
    })
}

/// The signal of a timer was delivered.
pub fn delivered(timer: i32, overrun: i32) {
    if let Some(timer) = TIMERS.lock().get_mut(&timer) {
        timer.overrun = overrun;
    }
}
