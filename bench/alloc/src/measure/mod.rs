//! The measurements.

pub mod count;
pub mod init;
pub mod latency;
pub mod memory;
pub mod throughput;
pub mod worst;

pub use bench_report::Spread;

use crate::list::Spec;
use crate::workload::Workload;

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

/// Whether an allocator takes part in a workload.
pub const fn takes_part(spec: &Spec, work: &Workload) -> bool {
    spec.general || work.stack_like()
}

/// Memory of the arenas in bytes, except where it is what is measured.
pub const ARENA: usize = 128 << 20;
