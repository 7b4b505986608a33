//! Results for people, scripts and eyes.

pub mod json;
pub mod svg;
pub mod text;

use crate::list::Spec;
use crate::measure::{Rounds, Spread, count, init, latency, memory, throughput, worst};

/// Everything that was measured in one run.
#[derive(Debug)]
pub struct Report {
    /// Allocators, in the order of the tables.
    pub specs: Vec<&'static Spec>,
    /// Rounds over all of them.
    pub rounds: u32,
    /// Nanoseconds per call.
    pub throughput: Vec<throughput::Row>,
    /// Single calls.
    pub latency: Vec<latency::Row>,
    /// Memory that workloads need.
    pub memory: Vec<memory::Row>,
    /// Bytes beside each block's own.
    pub overhead: Vec<memory::Overhead>,
    /// Until ready.
    pub init: Vec<init::Row>,
    /// Instructions; empty when they were not counted.
    pub count: Vec<count::Row>,
    /// Longest paths.
    pub worst: Vec<worst::Row>,
    /// Why there are dashes.
    pub notes: Vec<String>,
}

/// Everyone is compared with these too.
const COMMON: [&str; 2] = ["glibc", "talc"];

/// A workload's time of one of ours against somebody else's, round by round.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// Ours.
    pub ours: &'static str,
    /// Theirs.
    pub peer: &'static str,
    /// Whether it is of the same design.
    pub same_design: bool,
    /// Which workload.
    pub workload: &'static str,
    /// Our time divided by theirs: below 1 is faster.
    pub ratio: Spread,
}

impl Report {
    /// Who of ours is compared with whom.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static Spec, &'static str, bool)> {
        self.specs.iter().filter(|spec| spec.ours).flat_map(|spec| {
            let design = spec.peer.map(|peer| (*spec, peer, true));
            design.into_iter().chain(COMMON.map(|peer| (*spec, peer, false)))
        })
    }

    /// All comparisons that both could take part in.
    pub fn ratios(&self) -> Vec<Ratio> {
        let mut ratios = Vec::new();
        for (spec, peer, same_design) in self.pairs() {
            for row in &self.throughput {
                let of = |name: &str| -> Option<&Rounds> {
                    row.cells.iter().find(|(spec, _)| spec.name == name)?.1.as_ref()
                };
                if let (Some(ours), Some(theirs)) = (of(spec.name), of(peer)) {
                    ratios.push(Ratio {
                        ours: spec.name,
                        peer,
                        same_design,
                        workload: row.workload.name,
                        ratio: ours.against(theirs),
                    });
                }
            }
        }
        ratios
    }
}

#[cfg(test)]
mod tests;
