//! Timers that send signals: `alarm`, `setitimer`, `timer_create`.

mod calls;
#[cfg_attr(feature = "threads", path = "timers/thread.rs")]
#[cfg_attr(not(feature = "threads"), path = "timers/interrupt.rs")]
mod engine;

use posix_time::Clock;
use syscall_shim::Errno;
use uklock::Mutex;
use ukmap::SortedMap;

use crate::info::{Info, SI_KERNEL};
use crate::number::bit;
use crate::post::{Sent, Target, send};

pub use engine::{look, request};

/// Timers of one process at most.
const MOST: usize = 4096;

/// How long a timer pauses at least whose signal nobody wants, in nanoseconds: as long as a tick of
/// Linux.
const PAUSE_NS: u64 = 1_000_000;

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
    /// Its signal was sent, and not taken since. Nobody looks at the timer until then: what expires
    /// meanwhile is counted when the signal is taken.
    sent: bool,
    /// Of the signal that was delivered last.
    overrun: i32,
}

impl Timer {
    const fn new(clock: Clock, sends: Option<(Target, i32)>, value: u64) -> Self {
        Self { clock, sends, value, next: None, interval: 0, sent: false, overrun: 0 }
    }

    /// Nanoseconds until it expires, 0 when it is not armed.
    fn left(&self) -> u64 {
        let Some((clock, next)) = self.next else { return 0 };
        match clock.now_ns() {
            Clock::ENDED => 0,
            now if now < next => next - now,
            // Expired, and nobody has looked since: what counts is when it does again.
            now if self.interval > 0 => self.interval - (now - next) % self.interval,
            // One that is only asked has nobody who looks.
            _ => u64::from(self.sends.is_some()),
        }
    }

    fn arm(&mut self, value: u64, interval: u64, absolute: bool) {
        self.interval = interval;
        self.sent = false;
        // A duration is one, however the clock is set.
        let lasting = if self.clock == Clock::Real { Clock::Monotonic } else { self.clock };
        self.next = match (value, absolute) {
            (0, _) => None,
            (_, true) => Some((self.clock, value)),
            (_, false) => Some((lasting, lasting.now_ns().saturating_add(value))),
        };
    }

    /// When to look at it, if its signal is to be sent then.
    fn awaited(&self) -> Option<(Clock, u64)> {
        self.next.filter(|_| self.sends.is_some() && !self.sent)
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

    /// Its signal went to nobody: it goes on, but not so often that nothing else goes on.
    fn pause(&mut self) {
        self.sent = false;
        if let Some((clock, next)) = self.next {
            let soon = clock.now_ns().saturating_add(PAUSE_NS);
            let periods = soon.saturating_sub(next).div_ceil(self.interval.max(1));
            self.next = Some((clock, next.saturating_add(periods.saturating_mul(self.interval))));
        }
    }
}

/// Timers of wall-clock time expire by it when it is set, too.
static WALL_SET: ukplat::WallSet = |_| engine::look_again();

/// Timers by number; those of `setitimer` have negative ones.
static TIMERS: Mutex<SortedMap<i32, Timer>> = Mutex::new(SortedMap::new());

/// Sends the signals of all timers that have expired; returns when to look again, by the monotonic clock.
pub fn expire() -> Option<u64> {
    // One at a time: it takes no memory, and nothing is locked while signals are sent.
    while let Some((id, target, info)) = expired() {
        match send(target, info) {
            Ok(Sent::Pending) => {}
            Ok(Sent::Ignored) | Err(Errno::EAGAIN) => {
                TIMERS.lock().get_mut(&id).into_iter().for_each(Timer::pause);
            }
            // A thread that has ended gets nothing any more.
            Err(_) => {}
        }
    }
    let timers = TIMERS.lock();
    let awaited = timers.values().filter_map(Timer::awaited);
    awaited.map(|(clock, next)| clock.deadline_ns(next)).min()
}

/// One of the timers that have expired, if one sends a signal: its number, and what it sends.
fn expired() -> Option<(i32, Target, Info)> {
    TIMERS.lock().iter_mut().filter(|(_, timer)| timer.awaited().is_some()).find_map(
        |(id, timer)| {
            let times = timer.expire();
            let (target, signal) = timer.sends.filter(|_| times > 0)?;
            timer.sent = true;
            let overrun = (times - 1).min(i32::MAX as u64) as i32;
            let info = if *id < 0 {
                Info::new(signal, SI_KERNEL)
            } else {
                Info::from_timer(signal, *id, overrun, timer.value)
            };
            Some((*id, target, info))
        },
    )
}

/// A signal is taken. If it is a timer's, what expired since it was sent is counted, and told with it;
/// the timer goes on. Returns whether it is one's.
pub fn delivered(info: &mut Info) -> bool {
    let mut goes_on = false;
    let mut timers = TIMERS.lock();
    // One signal may stand for an interval timer's, too, which is sent once.
    let interval_timer = calls::interval_timer_of(info.signal);
    for id in info.timer().into_iter().chain(interval_timer) {
        let Some(timer) = timers.get_mut(&id) else { continue };
        let more = if core::mem::take(&mut timer.sent) { timer.expire() } else { 0 };
        goes_on |= timer.next.is_some();
        if info.timer() == Some(id) {
            info.count_overruns(more);
            timer.overrun = info.overrun();
        }
    }
    drop(timers);
    if goes_on {
        engine::look_again();
    }
    info.timer().is_some() || interval_timer.is_some()
}

/// Pending signals of a set were forgotten: timers that sent them go on.
pub fn forgotten(set: u64) {
    let mut goes_on = false;
    for timer in TIMERS.lock().values_mut() {
        if timer.sent && timer.sends.is_some_and(|(_, signal)| set & bit(signal) != 0) {
            timer.sent = false;
            goes_on = true;
        }
    }
    if goes_on {
        engine::look_again();
    }
}
