//! The measurements.

pub mod count;
pub mod init;
pub mod latency;
pub mod memory;
pub mod throughput;
pub mod worst;

use crate::list::{Serves, Spec};
use crate::workload::{Plan, Workload};

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

/// Calls of one run of an allocator that leaves its work to the system: each takes microseconds.
const FEW_CALLS: usize = 2000;

/// A workload for allocators as they are, and one that is short for those that are very slow.
pub struct Plans {
    usual: Plan,
    short: Plan,
}

impl Plans {
    /// # Errors
    /// A message, when a trace is damaged.
    pub fn of(work: &'static Workload, effort: Effort) -> Result<Self, String> {
        let plan = |calls| work.plan(calls).map_err(|e| format!("{}: {e}", work.name));
        Ok(Self { usual: plan(effort.calls)?, short: plan(effort.calls.min(FEW_CALLS))? })
    }

    /// The one for an allocator.
    pub fn plan(&self, spec: &Spec) -> &Plan {
        if is_slow(spec) { &self.short } else { &self.usual }
    }
}

/// Whether an allocator leaves its work to the system: its instructions say nothing, and all is
/// thousands of times slower.
pub fn is_slow(spec: &Spec) -> bool {
    spec.serves == Serves::Slowly
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
