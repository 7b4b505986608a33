//! Clocks by number, and their times.

use syscall_shim::{Errno, Plain};

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
    /// Time of the CPU for this process.
    Cpu,
}

impl Clock {
    /// The clock with a number of `linux/time.h`, or of the process or a thread.
    ///
    /// # Errors
    /// `EINVAL` when there is none.
    pub fn from_number(number: i32) -> Result<Self, Errno> {
        match number {
            0 | 5 | 8 | 11 => Ok(Clock::Real),
            1 | 4 | 6 | 7 | 9 => Ok(Clock::Monotonic),
            2 | 3 => Ok(Clock::Cpu),
            // The clock of process or thread N is ((~N) << 3) | kind; 0 is the caller.
            _ if number < 0 && number & 3 != 3 && (0..=1).contains(&!(number >> 3)) => {
                Ok(Clock::Cpu)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// Its time now, in nanoseconds.
    pub fn now_ns(self) -> u64 {
        match self {
            Clock::Real => ukplat::wall_ns(),
            Clock::Monotonic => ukplat::monotonic_ns(),
            Clock::Cpu => {
                let start = ukplat::BootInfo::get().map_or(0, |boot| boot.entry_ticks);
                ukplat::ticks_to_ns(ukplat::ticks().saturating_sub(start))
            }
        }
    }

    /// The monotonic time of the platform at which this clock shows `ns`, if it is not set again.
    pub fn deadline_ns(self, ns: u64) -> u64 {
        ukplat::monotonic_ns().saturating_add(ns.saturating_sub(self.now_ns()))
    }
}
