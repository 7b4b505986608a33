//! Calendar dates in UTC.

use core::fmt;

/// A moment in the proleptic Gregorian calendar, UTC, to the second.
///
/// ```
/// let moment = uktime::DateTime::from_unix(1_000_000_000);
/// assert_eq!(moment.to_string(), "2001-09-09T01:46:40Z");
/// assert_eq!(moment.to_unix(), 1_000_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// Year, 1970 or later.
    pub year: u32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59; leap seconds are not counted.
    pub second: u8,
}

const DAYS_PER_400_YEARS: u64 = 146_097;

impl DateTime {
    /// The moment `seconds` after 1970-01-01T00:00:00Z.
    pub const fn from_unix(seconds: u64) -> Self {
        // Years are taken to start in March, so that the leap day ends them (H. Hinnant,
        // "chrono-compatible low-level date algorithms", civil_from_days).
        let days = seconds / 86_400 + 719_468;
        let in_day = seconds % 86_400;
        let era = days / DAYS_PER_400_YEARS;
        let day_of_era = days % DAYS_PER_400_YEARS;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self {
            year: (year_of_era + era * 400 + (month <= 2) as u64) as u32,
            month: month as u8,
            day: (day_of_year - (153 * march_month + 2) / 5 + 1) as u8,
            hour: (in_day / 3_600) as u8,
            minute: (in_day / 60 % 60) as u8,
            second: (in_day % 60) as u8,
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z; 0 for earlier moments. Fields out of range carry over.
    pub const fn to_unix(self) -> u64 {
        let day = ukplat::clock::unix_seconds(self.year as u64, self.month as u64, self.day as u64);
        day + self.hour as u64 * 3_600 + self.minute as u64 * 60 + self.second as u64
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(DateTime::from_unix(seconds).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn there_and_back(seconds in 0u64..400_000_000_000) {
            prop_assert_eq!(DateTime::from_unix(seconds).to_unix(), seconds);
        }
    }
}
