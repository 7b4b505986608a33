//! The measurements.

pub mod count;
pub mod init;
pub mod latency;
pub mod memory;
pub mod throughput;
pub mod worst;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds over all allocators.
    pub rounds: u32,
    /// Calls of one run.
    pub calls: usize,
    /// Whether everything is done that takes long.
    pub full: bool,
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
}

/// Memory of the arenas in bytes, except where it is what is measured.
pub const ARENA: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        assert_eq!(Spread::of(&[]), None);
        let spread = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max, spread.rounds), (1.0, 2.0, 3.0, 3));
    }
}
