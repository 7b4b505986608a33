//! Clocks by number, and their times.

use syscall_shim::{Errno, Plain};
use ukplat::StaticRef;

/// Nanoseconds of a second.
pub const NANOSECONDS: u64 = 1_000_000_000;

/// `struct timespec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
#[repr(C)]
pub struct TimeSpec {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds, less than [`NANOSECONDS`].
    pub nanoseconds: i64,
}

impl TimeSpec {
    /// Of that many nanoseconds.
    pub fn from_ns(ns: u64) -> Self {
        Self { seconds: (ns / NANOSECONDS) as i64, nanoseconds: (ns % NANOSECONDS) as i64 }
    }

    /// As nanoseconds; what is too much is `u64::MAX`.
    ///
    /// # Errors
    /// `EINVAL` when it is negative or has too many nanoseconds.
    pub fn to_ns(self) -> Result<u64, Errno> {
        if self.seconds < 0 || !(0..NANOSECONDS as i64).contains(&self.nanoseconds) {
            return Err(Errno::EINVAL);
        }
        Ok((self.seconds as u64)
            .saturating_mul(NANOSECONDS)
            .saturating_add(self.nanoseconds as u64))
    }
}

/// What a clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Time since 1970, which can be set.
    Real,
    /// Time since an arbitrary point before boot.
    Monotonic,
    /// Time that CPUs were not idle since boot, all of them together.
    Process,
    /// Time that a thread was on a CPU, by its number, 0 being the calling one. In images that do not
    /// measure it the same as [`Clock::Process`].
    Thread(i32),
}

/// Nanoseconds that a thread was on a CPU, by its number, 0 being the calling one; `None` where they
/// are not measured.
///
/// # Errors
/// `ESRCH`
pub type ThreadTime = fn(i32) -> Result<Option<u64>, Errno>;

static THREAD_TIME: StaticRef<ThreadTime> = StaticRef::new();

/// Sets who knows what time threads were on a CPU.
pub fn set_thread_time(time: &'static ThreadTime) {
    THREAD_TIME.set(time);
}

/// Without anybody who knows threads there is the first one, which is the process.
fn thread_time(number: i32) -> Result<u64, Errno> {
    let measured = match THREAD_TIME.get() {
        Some(time) => time(number)?,
        None if number <= 1 => None,
        None => return Err(Errno::ESRCH),
    };
    Ok(measured.unwrap_or_else(ukplat::busy::total_ns))
}

/// A clock of CPU time does not tell when it will show something: how long to wait at least until
/// looking again, in nanoseconds. Linux looks at its ticks, which are no more often.
const LOOK_AGAIN_NS: u64 = 1_000_000;

impl Clock {
    /// What the clock of a thread shows that has ended: nobody is to wait for it.
    pub const ENDED: u64 = u64::MAX;

    /// The clock with a number of `linux/time.h`, or of the process or a thread
    /// (clock_getcpuclockid(3), pthread_getcpuclockid(3)).
    ///
    /// # Errors
    /// `EINVAL` when there is none.
    pub fn from_number(number: i32) -> Result<Self, Errno> {
        // The clock of process or thread N is ((~N) << 3) | kind, for threads with this bit; 0 is
        // the caller. Kinds are user, user and system, and all time, which are the same here.
        const THREAD: i32 = 4;
        let id = !(number >> 3);
        match number {
            0 | 5 | 8 | 11 => Ok(Clock::Real),
            1 | 4 | 6 | 7 | 9 => Ok(Clock::Monotonic),
            2 => Ok(Clock::Process),
            3 => Ok(Clock::Thread(0)),
            0.. => Err(Errno::EINVAL),
            _ if number & 3 == 3 => Err(Errno::EINVAL),
            _ if number & THREAD != 0 => {
                thread_time(id).map(|_| Clock::Thread(id)).map_err(|_| Errno::EINVAL)
            }
            _ if id <= 1 => Ok(Clock::Process),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Its time now, in nanoseconds.
    pub fn now_ns(self) -> u64 {
        match self {
            Clock::Real => ukplat::wall_ns(),
            Clock::Monotonic => ukplat::monotonic_ns(),
            Clock::Process => ukplat::busy::total_ns(),
            Clock::Thread(number) => thread_time(number).unwrap_or(Self::ENDED),
        }
    }

    /// The monotonic time of the platform at which to look whether this clock shows `ns`: the time
    /// when it does, if it is not set meanwhile; earlier for clocks of CPU time.
    pub fn deadline_ns(self, ns: u64) -> u64 {
        let left = ns.saturating_sub(self.now_ns());
        let wait = match self {
            Clock::Process | Clock::Thread(_) if left > 0 => {
                (left / ukplat::cpu_count() as u64).max(LOOK_AGAIN_NS)
            }
            _ => left,
        };
        ukplat::monotonic_ns().saturating_add(wait)
    }
}
