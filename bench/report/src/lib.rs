//! Measured values round by round, how they compare, and bars that show them.
//!
//! ```
//! use bench_report::svg::{Bar, Panel, Section, draw};
//! use bench_report::{Rounds, Spread};
//!
//! // The machine was slower in the second round, for both.
//! let (new, old) = (Rounds::of(vec![3.0, 6.0, 3.1]), Rounds::of(vec![5.0, 10.0, 5.2]));
//! let ratio = new.zip(old).map(|(new, old)| new.against(&old).median);
//! assert_eq!(ratio, Some(0.6));
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

pub mod run;
pub mod svg;
pub mod table;

/// What one subject measured, a value for each round, in order. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    /// `None` when there are no values.
    pub fn of(values: Vec<f64>) -> Option<Self> {
        if values.is_empty() { None } else { Some(Self(values)) }
    }

    /// Smallest, middle and largest.
    pub fn spread(&self) -> Spread {
        // Of no values there is none: `Rounds::of` saw to that.
        Spread::of(&self.0).unwrap_or(Spread::exact(f64::NAN))
    }

    /// These values divided by another subject's of the same round, as far as both have rounds. What
    /// slows the machine for a while slows both, so that ratios say more than times do.
    pub fn against(&self, other: &Self) -> Spread {
        let ratios = self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs);
        Spread::of(&ratios.collect::<Vec<_>>()).unwrap_or(Spread::exact(f64::NAN))
    }
}

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

/// Ratios for tables: smallest, middle, largest.
pub fn ratio(spread: Spread) -> String {
    let one = |v: f64| match v {
        ..0.1 => format!("{v:.3}"),
        ..100.0 => format!("{v:.2}"),
        _ => format!("{v:.0}"),
    };
    format!("{} / {} / {}", one(spread.min), one(spread.median), one(spread.max))
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
    fn ratios_are_within_a_round() {
        assert_eq!(Rounds::of(Vec::new()), None);
        let rounds = |values: &[f64]| Rounds::of(values.to_vec()).unwrap();
        // A subject that was stopped early has fewer.
        let ratio = rounds(&[2.0, 30.0, 4.0]).against(&rounds(&[1.0, 10.0]));
        assert_eq!(ratio, Spread { min: 2.0, median: 3.0, max: 3.0, rounds: 2 });
        assert_eq!(rounds(&[2.0, 1.0]).spread().max, 2.0);
    }

    #[test]
    fn numbers_are_short() {
        let spread = Spread { min: 0.0123, median: 4.0, max: 123.4, rounds: 3 };
        assert_eq!(ratio(spread), "0.012 / 4.00 / 123");
        assert_eq!(three([1.04, 99.94, 100.4]), "1.0 / 99.9 / 100");
    }
}
