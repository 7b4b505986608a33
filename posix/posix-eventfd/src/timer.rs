//! Timers.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use fdtab::TABLE;
use syscall_shim::{ClockId, Plain, TimerFdFlags, TimerFdSetFlags, UserOut, UserPtr, syscall};
use ukerrno::Errno;
use ukfile::{Description, Events, File, OpenFlags, Scatter, Watchers};
use uklock::{Mutex, WaitQueue};

const SECOND: u64 = 1_000_000_000;
/// `TFD_TIMER_ABSTIME`
const ABSOLUTE: u32 = 1;
/// `TFD_TIMER_CANCEL_ON_SET`
const CANCEL_ON_SET: u32 = 2;

/// Clocks that a timer may have (`clock_gettime(2)`).
const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;
const BOOTTIME: i32 = 7;
const REALTIME_ALARM: i32 = 8;
const BOOTTIME_ALARM: i32 = 9;

/// When a timer expires, and how often; in nanoseconds, 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Until it expires.
    pub value: u64,
    /// From one expiration to the next.
    pub interval: u64,
}

#[derive(Debug, Default)]
struct State {
    /// When it expires next, in time of the monotonic clock; `None` when it is disarmed.
    next: Option<u64>,
    interval: u64,
    /// What happens when the wall clock is set.
    on_set: OnSet,
    /// It was, and the reader is to be told.
    canceled: bool,
}

/// What happens to a timer when the wall clock is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum OnSet {
    /// Nothing: it counts a duration.
    #[default]
    Stays,
    /// It expires when the clock shows its time.
    Follows,
    /// The same, and its reader is told.
    Cancels,
}

impl State {
    /// The wall clock jumped by that many nanoseconds.
    fn clock_was_set(&mut self, jump: i64) {
        if self.on_set == OnSet::Stays {
            return;
        }
        let shift = |next: u64| next.saturating_add_signed(jump.saturating_neg());
        self.next = self.next.map(shift);
        self.canceled |= self.on_set == OnSet::Cancels && self.next.is_some();
    }

    /// Takes the expirations until `now`.
    fn take(&mut self, now: u64) -> u64 {
        let Some(next) = self.next.filter(|&next| next <= now) else { return 0 };
        if self.interval == 0 {
            self.next = None;
            return 1;
        }
        let count = 1 + (now - next) / self.interval;
        self.next = Some(next.saturating_add(count.saturating_mul(self.interval)));
        count
    }

    /// What reading finds, if anything, and when it expires next.
    fn read(&mut self, now: u64) -> (Option<Result<u64, Errno>>, Option<u64>) {
        let taken = if core::mem::take(&mut self.canceled) {
            Some(Err(Errno::ECANCELED))
        } else {
            Some(self.take(now)).filter(|&count| count > 0).map(Ok)
        };
        (taken, self.next)
    }

    /// Whether there is something to read.
    fn is_ready(&self, now: u64) -> bool {
        self.canceled || self.next.is_some_and(|next| next <= now)
    }
}

/// A timer that is read (`timerfd_create(2)`).
#[derive(Debug)]
pub struct Timer {
    wall_clock: bool,
    state: Mutex<State>,
    changed: WaitQueue,
    watchers: Watchers,
}

impl Timer {
    /// A timer that is not armed. `wall_clock` says whose time absolute settings are.
    pub const fn new(wall_clock: bool) -> Self {
        Self {
            wall_clock,
            state: Mutex::new(State {
                next: None,
                interval: 0,
                on_set: OnSet::Stays,
                canceled: false,
            }),
            changed: WaitQueue::new(),
            watchers: Watchers::new(),
        }
    }

    /// Time until it expires, and the interval.
    pub fn setting(&self) -> Setting {
        let now = ukplat::monotonic_ns();
        let state = self.state.lock();
        let left = match (state.next, state.interval) {
            (None, _) => 0,
            (Some(next), _) if next > now => next - now,
            // Expired, and not read: what counts is when it does again.
            (Some(_), 0) => 0,
            (Some(next), interval) => interval - (now - next) % interval,
        };
        Setting { value: left, interval: state.interval }
    }

    /// Arms it, or disarms it with the value 0. Settings that are absolute times of the wall clock
    /// follow it when it is set.
    pub fn set(&self, to: Setting, absolute: bool) {
        self.set_with(to, absolute, OnSet::Follows);
    }

    fn set_with(&self, to: Setting, absolute: bool, on_set: OnSet) {
        let now = ukplat::monotonic_ns();
        let next = match (absolute, self.wall_clock) {
            (false, _) => now.saturating_add(to.value),
            (true, false) => to.value,
            (true, true) => now.saturating_add(to.value.saturating_sub(ukplat::wall_ns())),
        };
        let next = (to.value > 0).then_some(next);
        let on_set = if absolute && self.wall_clock { on_set } else { OnSet::Stays };
        *self.state.lock() = State { next, interval: to.interval, on_set, canceled: false };
        self.tell();
    }

    /// Those that wait look again, and learn until when to wait.
    fn tell(&self) {
        self.changed.wake_all();
        self.watchers.notify(Events::IN);
    }
}

impl File for Timer {
    fn read(
        &self,
        _at: &mut u64,
        buffers: &mut [&mut [u8]],
        flags: OpenFlags,
    ) -> Result<usize, Errno> {
        if ukfile::total_mut(buffers) < 8 {
            return Err(Errno::EINVAL);
        }
        loop {
            let (taken, next) = self.state.lock().read(ukplat::monotonic_ns());
            if let Some(taken) = taken {
                // It was ready; when it will be again, those that watch have to learn.
                if next.is_some() {
                    self.watchers.notify(Events::IN);
                }
                Scatter::new(buffers).put(&taken?.to_ne_bytes());
                return Ok(8);
            }
            if flags.contains(OpenFlags::NONBLOCK) {
                return Err(Errno::EAGAIN);
            }
            let due = || {
                let state = self.state.lock();
                state.next != next || state.is_ready(ukplat::monotonic_ns())
            };
            self.changed.wait_interruptible(next, due).map_err(|_| Errno::EINTR)?;
        }
    }

    fn ready(&self) -> Events {
        if self.state.lock().is_ready(ukplat::monotonic_ns()) {
            Events::IN
        } else {
            Events::empty()
        }
    }

    fn watchers(&self) -> Option<&Watchers> {
        Some(&self.watchers)
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn ready_at(&self) -> Option<u64> {
        self.state.lock().next
    }
}

/// `struct itimerspec`
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct TimerSpec {
    interval: [i64; 2],
    value: [i64; 2],
}

fn nanoseconds([seconds, nanoseconds]: [i64; 2]) -> Result<u64, Errno> {
    let (Ok(seconds), Ok(rest @ 0..SECOND)) = (u64::try_from(seconds), u64::try_from(nanoseconds))
    else {
        return Err(Errno::EINVAL);
    };
    Ok(seconds.saturating_mul(SECOND).saturating_add(rest))
}

fn spec(setting: Setting) -> TimerSpec {
    let pair = |ns: u64| [(ns / SECOND) as i64, (ns % SECOND) as i64];
    TimerSpec { interval: pair(setting.interval), value: pair(setting.value) }
}

fn with_timer<R>(fd: i32, f: impl FnOnce(&Timer) -> R) -> Result<R, Errno> {
    let file: Arc<Description> = TABLE.get(fd)?;
    file.downcast::<Timer>().map(f).ok_or(Errno::EINVAL)
}

/// The timers of the wall clock, and those that have gone.
static WALL_TIMERS: Mutex<Vec<Weak<Description>>> = Mutex::new(Vec::new());

/// Tells timers when the wall clock is set.
static WALL_SET: ukplat::WallSet = |jump| {
    let mut index = 0;
    // Not under the lock: whoever is told may be the last to have the timer.
    loop {
        let timer = match WALL_TIMERS.lock().get(index) {
            Some(timer) => timer.upgrade(),
            None => break,
        };
        if let Some(timer) = timer.as_ref().and_then(|timer| timer.downcast::<Timer>()) {
            timer.state.lock().clock_was_set(jump);
            timer.tell();
        }
        index += 1;
    }
};

/// Lets a timer know when the clock is set.
fn follow(timer: &Arc<Description>) -> Result<(), Errno> {
    let mut timers = WALL_TIMERS.lock();
    timers.retain(|timer| timer.strong_count() > 0);
    ukfile::fallible::push(&mut timers, Arc::downgrade(timer))?;
    drop(timers);
    ukplat::on_wall_set(&WALL_SET);
    Ok(())
}

/// Makes a timer (timerfd_create(2)).
#[syscall]
pub fn timerfd_create(
    #[trace(ClockId)] clock: i32,
    #[trace(TimerFdFlags)] flags: u32,
) -> Result<i32, Errno> {
    let known = OpenFlags::CLOSE_ON_EXEC | OpenFlags::NONBLOCK;
    let flags = OpenFlags::from_bits(flags).filter(|f| known.contains(*f)).ok_or(Errno::EINVAL)?;
    let wall_clock = match clock {
        REALTIME | REALTIME_ALARM => true,
        MONOTONIC | BOOTTIME | BOOTTIME_ALARM => false,
        _ => return Err(Errno::EINVAL),
    };
    let file = Description::new(Timer::new(wall_clock), flags)?;
    if wall_clock {
        follow(&file)?;
    }
    TABLE.insert(file, flags.contains(OpenFlags::CLOSE_ON_EXEC))
}

/// Arms a timer, and tells how it was set (timerfd_settime(2)).
#[syscall]
fn timerfd_settime(
    fd: i32,
    #[trace(TimerFdSetFlags)] flags: u32,
    new: UserPtr<TimerSpec>,
    old: Option<UserOut<TimerSpec>>,
) -> Result<(), Errno> {
    if flags & !(ABSOLUTE | CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let new = new.read();
    let to = Setting { value: nanoseconds(new.value)?, interval: nanoseconds(new.interval)? };
    let before = with_timer(fd, |timer| {
        let before = timer.setting();
        let on_set = if flags & CANCEL_ON_SET != 0 { OnSet::Cancels } else { OnSet::Follows };
        timer.set_with(to, flags & ABSOLUTE != 0, on_set);
        before
    })?;
    if let Some(old) = old {
        old.write(spec(before));
    }
    Ok(())
}

/// Tells when a timer expires (timerfd_gettime(2)).
#[syscall]
fn timerfd_gettime(fd: i32, setting: UserOut<TimerSpec>) -> Result<(), Errno> {
    setting.write(spec(with_timer(fd, Timer::setting)?));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn read(timer: &Timer, flags: OpenFlags) -> Result<u64, Errno> {
        let mut count = [0; 8];
        timer.read(&mut 0, &mut [&mut count], flags)?;
        Ok(u64::from_ne_bytes(count))
    }

    #[test]
    fn reading_waits_and_counts_expirations() {
        let timer = Timer::new(false);
        assert_eq!(read(&timer, OpenFlags::NONBLOCK), Err(Errno::EAGAIN));
        let start = ukplat::monotonic_ns();
        timer.set(Setting { value: 20 * MS, interval: 5 * MS }, false);
        assert!(timer.ready().is_empty() && timer.ready_at().is_some());
        assert!(read(&timer, OpenFlags::empty()).unwrap() >= 1);
        assert!(ukplat::monotonic_ns() - start >= 20 * MS);
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert_eq!(timer.ready(), Events::IN);
        assert!(read(&timer, OpenFlags::NONBLOCK).unwrap() >= 5);
        let left = timer.setting();
        assert!(left.value > 0 && left.value <= 5 * MS && left.interval == 5 * MS, "{left:?}");
    }

    /// One test at a time sets the clock, or looks at it.
    static CLOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());

    #[test]
    fn once_and_absolute() {
        let _clock = CLOCK.lock().unwrap();
        let timer = Timer::new(true);
        timer.set(Setting { value: ukplat::wall_ns() - SECOND, interval: 0 }, true);
        assert_eq!(read(&timer, OpenFlags::NONBLOCK), Ok(1), "it is over");
        assert_eq!(read(&timer, OpenFlags::NONBLOCK), Err(Errno::EAGAIN));
        assert_eq!(timer.setting(), Setting::default());
        timer.set(Setting { value: ukplat::wall_ns() + 100 * SECOND, interval: 0 }, true);
        let left = timer.setting().value;
        assert!(left > 90 * SECOND && left <= 100 * SECOND, "{left}");
        timer.set(Setting::default(), false);
        assert_eq!((timer.ready_at(), timer.setting()), (None, Setting::default()));
    }

    #[test]
    fn the_wall_clock_is_set() {
        let _clock = CLOCK.lock().unwrap();
        let made = |flags: u32| {
            let fd = timerfd_create(REALTIME, flags).unwrap();
            TABLE.get(fd).unwrap()
        };
        let (follows, cancels, stays) = (made(0), made(0o4000), made(0o4000));
        fn timer(file: &Description) -> &Timer {
            file.downcast().unwrap()
        }
        let in_an_hour = Setting { value: ukplat::wall_ns() + 3600 * SECOND, interval: 0 };
        timer(&follows).set(in_an_hour, true);
        timer(&cancels).set_with(in_an_hour, true, OnSet::Cancels);
        timer(&stays).set_with(
            Setting { value: 3600 * SECOND, interval: 0 },
            false,
            OnSet::Cancels,
        );
        let twin = follows.clone();
        let reader = std::thread::spawn(move || read(timer(&twin), OpenFlags::empty()));
        assert!(timer(&cancels).ready().is_empty());
        ukplat::set_wall_ns(ukplat::wall_ns() + 1800 * SECOND);
        assert_eq!(timer(&cancels).ready(), Events::IN);
        assert_eq!(read(timer(&cancels), OpenFlags::NONBLOCK), Err(Errno::ECANCELED));
        assert_eq!(
            read(timer(&cancels), OpenFlags::NONBLOCK),
            Err(Errno::EAGAIN),
            "it is told once"
        );
        let left = timer(&follows).setting().value;
        assert!(left > 1700 * SECOND && left <= 1800 * SECOND, "{left}");
        ukplat::set_wall_ns(ukplat::wall_ns() + 1801 * SECOND);
        assert_eq!(reader.join().unwrap(), Ok(1), "whoever waits is told");
        assert_eq!(read(timer(&stays), OpenFlags::NONBLOCK), Err(Errno::EAGAIN));
        ukplat::set_wall_ns(ukplat::wall_ns() - 3601 * SECOND);
    }

    #[test]
    fn setting_it_ends_the_wait_of_a_reader() {
        let timer = Arc::new(Timer::new(false));
        let twin = timer.clone();
        let reader = std::thread::spawn(move || read(&twin, OpenFlags::empty()));
        std::thread::sleep(std::time::Duration::from_millis(10));
        timer.set(Setting { value: 1, interval: 0 }, false);
        assert_eq!(reader.join().unwrap(), Ok(1));
    }

    #[test]
    fn times_that_are_none_are_refused() {
        assert_eq!(nanoseconds([1, 5]), Ok(SECOND + 5));
        for bad in [[-1, 0], [0, -1], [0, SECOND as i64]] {
            assert_eq!(nanoseconds(bad), Err(Errno::EINVAL));
        }
        assert_eq!(nanoseconds([i64::MAX, 0]), Ok(u64::MAX));
        assert_eq!(timerfd_create(99, 0), Err(Errno::EINVAL));
        assert_eq!(timerfd_create(1, 1), Err(Errno::EINVAL));
    }
}
