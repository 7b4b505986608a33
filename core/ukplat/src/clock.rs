//! Conversion of counter ticks to nanoseconds without division.

/// A ratio `nanoseconds = ticks * mult / 2^shift`, as kvmclock and vDSO clocks use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickScale {
    mult: u64,
    shift: u32,
}

impl TickScale {
    /// One tick is one nanosecond.
    pub const NANOSECONDS: Self = Self { mult: 1, shift: 0 };

    /// The scale of a counter that runs at `hz` ticks per second.
    ///
    /// Returns `None` for frequencies below 1 kHz or above 1 THz, which no counter has.
    pub const fn from_hz(hz: u64) -> Option<Self> {
        if hz < 1_000 || hz > 1_000_000_000_000 {
            return None;
        }
        Self::from_ratio(1_000_000_000, hz)
    }

    /// The scale `ns = ticks * ns_part / tick_part`, with at least 31 significant bits.
    ///
    /// Returns `None` when either part is zero or the ratio is 2^32 or more.
    pub const fn from_ratio(ns_part: u64, tick_part: u64) -> Option<Self> {
        if ns_part == 0 || tick_part == 0 {
            return None;
        }
        let mut shift = 63;
        loop {
            let mult = ((ns_part as u128) << shift) / tick_part as u128;
            // 32 bits of multiplier keep the error below 2^-31 and the product below 2^96.
            if mult < 1 << 32 {
                return if mult == 0 { None } else { Some(Self { mult: mult as u64, shift }) };
            }
            if shift == 0 {
                return None;
            }
            shift -= 1;
        }
    }

    /// Multiplier and shift.
    pub const fn parts(self) -> (u64, u32) {
        (self.mult, self.shift)
    }

    /// The scale with this multiplier and shift, as hypervisors give them. The shift must be
    /// below 64, the multiplier not 0; both are forced to be.
    pub const fn from_parts(mult: u64, shift: u32) -> Self {
        Self { mult: if mult == 0 { 1 } else { mult }, shift: shift & 63 }
    }

    /// Nanoseconds of `ticks`, rounded down; saturates.
    #[inline]
    pub const fn to_ns(self, ticks: u64) -> u64 {
        let ns = (ticks as u128 * self.mult as u128) >> self.shift;
        if ns > u64::MAX as u128 { u64::MAX } else { ns as u64 }
    }

    /// Ticks that take at least `ns` nanoseconds; saturates.
    pub const fn to_ticks(self, ns: u64) -> u64 {
        let ticks = ((ns as u128) << self.shift).div_ceil(self.mult as u128);
        if ticks > u64::MAX as u128 { u64::MAX } else { ticks as u64 }
    }
}

/// Seconds from 1970-01-01T00:00:00Z to the start of a day of the Gregorian calendar (H. Hinnant,
/// "chrono-compatible low-level date algorithms", `days_from_civil`). Year 1970 or later, month
/// from 1, day from 1.
pub const fn unix_seconds(year: u64, month: u64, day: u64) -> u64 {
    // Years are taken to start in March, so that the leap day ends them.
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).saturating_sub(719_469) * 86_400
}

#[cfg(test)]
mod tests {
    use super::{TickScale, unix_seconds};
    use proptest::prelude::*;

    #[test]
    fn exact_frequencies() {
        let scale = TickScale::from_hz(1_000_000_000).unwrap();
        assert_eq!(scale.to_ns(123), 123);
        assert_eq!(TickScale::NANOSECONDS.to_ns(5), 5);
        assert!(TickScale::from_hz(0).is_none());
        assert!(TickScale::from_ratio(1, 0).is_none());
    }

    #[test]
    fn days() {
        assert_eq!(unix_seconds(1970, 1, 1), 0);
        assert_eq!(unix_seconds(2000, 2, 29), 951_782_400);
        assert_eq!(unix_seconds(2100, 3, 1), 4_107_542_400);
    }

    proptest! {
        #[test]
        fn error_stays_below_one_in_a_billion(hz in 1_000_000u64..10_000_000_000, secs in 1u64..100_000) {
            let scale = TickScale::from_hz(hz).unwrap();
            let ns = scale.to_ns(hz * secs);
            let want = secs * 1_000_000_000;
            prop_assert!(ns <= want && want - ns <= want / 1_000_000_000 + 1, "{ns} {want}");
        }

        #[test]
        fn ticks_for_a_time_last_at_least_that_long(hz in 1_000_000u64..10_000_000_000, ns in 0u64..1 << 50) {
            let scale = TickScale::from_hz(hz).unwrap();
            prop_assert!(scale.to_ns(scale.to_ticks(ns)) >= ns);
        }
    }
}
