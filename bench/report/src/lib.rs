//! Spreads of measured values, and bars that show them.
//!
//! ```
//! use bench_report::Spread;
//! use bench_report::svg::{Bar, Panel, Section, draw};
//!
//! let bar = |name: &str, ours, values: &[f64]| {
//!     Some(Bar { name: name.into(), ours, values: Spread::of(values)? })
//! };
//! let bars = [bar("new", true, &[3.0, 1.0, 2.0]), bar("old", false, &[5.0, 4.0])];
//! let bars = bars.into_iter().flatten().collect();
//! let panels = vec![Panel { title: "sorting".into(), bars }];
//! let picture = draw(&[Section { title: "time in ns".into(), panels }]);
//! assert!(picture.contains("sorting") && picture.ends_with("</svg>\n"));
//! ```
#![forbid(unsafe_code)]

pub mod svg;

/// Smallest, middle and largest of several values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// Middle.
    pub median: f64,
    /// Largest.
    pub max: f64,
    /// How many there were.
    pub rounds: usize,
}

impl Spread {
    /// Of values in any order; `None` when there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            min: *sorted.first()?,
            median: *sorted.get(sorted.len() / 2)?,
            max: *sorted.last()?,
            rounds: sorted.len(),
        })
    }

    /// Of a value that is always the same, such as a number of instructions.
    pub fn exact(value: f64) -> Self {
        Self { min: value, median: value, max: value, rounds: 1 }
    }

    /// The same in another unit.
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        let [min, median, max] = [self.min, self.median, self.max].map(change);
        Self { min, median, max, rounds: self.rounds }
    }
}

/// Three numbers for tables: smallest, middle, largest.
pub fn three([a, b, c]: [f64; 3]) -> String {
    let one = |v: f64| if v < 100.0 { format!("{v:.1}") } else { format!("{v:.0}") };
    format!("{} / {} / {}", one(a), one(b), one(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        assert_eq!(Spread::of(&[]), None);
        let spread = Spread::of(&[3.0, 1.0, 2.0, 9.0]);
        assert_eq!(spread, Some(Spread { min: 1.0, median: 3.0, max: 9.0, rounds: 4 }));
        assert_eq!(Spread::exact(2.0).map(|v| v * 2.0).max, 4.0);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(three([1.04, 99.94, 100.4]), "1.0 / 99.9 / 100");
    }
}
