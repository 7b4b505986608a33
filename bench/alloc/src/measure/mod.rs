//! The measurements.

pub mod count;
pub mod init;
pub mod latency;
pub mod memory;
pub mod throughput;
pub mod worst;

pub use bench_report::{Rounds, Spread};

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
