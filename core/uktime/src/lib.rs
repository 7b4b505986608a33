//! Monotonic and wall-clock time, and sleeping.
//!
//! ```
//! use core::time::Duration;
//!
//! let start = uktime::Instant::now();
//! uktime::sleep(Duration::from_millis(2));
//! assert!(start.elapsed() >= Duration::from_millis(2));
//! assert!(uktime::unix_time().as_secs() > 1_700_000_000);
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::ops::{Add, Sub};
use core::time::Duration;

mod date;

pub use date::DateTime;

/// A point of the monotonic clock, which never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    ns: u64,
}

impl Instant {
    /// Now.
    #[inline]
    pub fn now() -> Self {
        Self { ns: ukplat::monotonic_ns() }
    }

    /// Time since this point.
    #[inline]
    pub fn elapsed(self) -> Duration {
        Self::now() - self
    }

    /// Nanoseconds of the monotonic clock, as [`ukplat::idle_until`] takes them.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.ns
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Later by `duration`; saturates at the end of the clock, 584 years after its start.
    fn add(self, duration: Duration) -> Self {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { ns: self.ns.saturating_add(ns) }
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The time between two points; zero when `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.ns.saturating_sub(earlier.ns))
    }
}

/// Time since 1970-01-01T00:00:00 UTC.
pub fn unix_time() -> Duration {
    Duration::from_nanos(ukplat::wall_ns())
}

/// Waits at least `duration` without using the CPU.
pub fn sleep(duration: Duration) {
    sleep_until(Instant::now() + duration);
}

/// Waits until the monotonic clock has reached `deadline`, without using the CPU.
pub fn sleep_until(deadline: Instant) {
    while Instant::now() < deadline {
        ukplat::idle_until(Some(deadline.ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_takes_at_least_that_long() {
        let start = Instant::now();
        sleep(Duration::from_millis(3));
        assert!(start.elapsed() >= Duration::from_millis(3));
    }

    #[test]
    fn arithmetic_saturates() {
        let now = Instant::now();
        assert_eq!(now - (now + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!((now + Duration::MAX).as_nanos(), u64::MAX);
    }
}
