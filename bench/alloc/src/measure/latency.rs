//! How long single calls take. A pass of its own: time stamps would disturb the others.

use super::throughput::Run;
use super::{ARENA, Effort, Plans, is_slow};
use crate::arena::Arena;
use crate::clock::{Clock, ticks};
use crate::list::{self, Spec};
use crate::workload::{Probe, Workload};

/// Takes the time of each call.
#[derive(Debug, Default)]
struct Timed {
    ticks: Vec<u32>,
}

impl Probe for Timed {
    #[inline]
    fn call<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let before = ticks();
        let result = call();
        let after = ticks();
        self.ticks.push(u32::try_from(after - before).unwrap_or(u32::MAX));
        result
    }

    fn merge(&mut self, other: Self) {
        self.ticks.extend(other.ticks);
    }
}

/// Nanoseconds of single calls.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// Half of the calls take at most this.
    pub p50: f64,
    /// 99 % of the calls take at most this.
    pub p99: f64,
    /// The longest call. Of several rounds the smallest is taken: what the machine does in between
    /// is not the allocator's.
    pub max: f64,
}

/// Latencies of one workload.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub workload: &'static Workload,
    /// For each allocator that could do it.
    pub cells: Vec<(&'static Spec, Option<Latency>)>,
}

/// Percentiles of time stamps' differences.
pub fn of(ticks: &mut [u32], clock: &Clock) -> Option<Latency> {
    ticks.sort_unstable();
    let at = |share: f64| {
        ticks.get(((ticks.len() as f64 * share) as usize).min(ticks.len().saturating_sub(1)))
    };
    Some(Latency {
        p50: clock.ns(u64::from(*at(0.5)?)),
        p99: clock.ns(u64::from(*at(0.99)?)),
        max: clock.ns(u64::from(*ticks.last()?)),
    })
}

/// The best of several rounds, number by number.
pub fn best(a: Option<Latency>, b: Latency) -> Latency {
    let Some(a) = a else { return b };
    Latency { p50: a.p50.min(b.p50), p99: a.p99.min(b.p99), max: a.max.min(b.max) }
}

/// All workloads on all allocators, in rounds.
///
/// # Errors
/// A message, when there is no memory or a trace is damaged.
pub fn measure(
    effort: Effort,
    works: &[&'static Workload],
    specs: &[&'static Spec],
    clock: &Clock,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Row>, String> {
    let arena = Arena::warm(ARENA)?;
    let rounds = effort.rounds.min(5);
    let mut rows = Vec::new();
    for work in works {
        progress(work.name);
        let plans = Plans::of(work, effort)?;
        let mut cells: Vec<Option<Latency>> = vec![None; specs.len()];
        let mut slow = vec![false; specs.len()];
        for _ in 0..=rounds {
            for (index, spec) in specs.iter().enumerate() {
                if !spec.takes_part(work) || slow[index] {
                    continue;
                }
                let mut probe = Timed { ticks: Vec::with_capacity(2 * effort.calls) };
                let (plan, base, len) = (plans.plan(spec), arena.base(), arena.len());
                let run = Run { plan, base, len, probe: &mut probe };
                let Some(Ok(done)) = list::visit(spec.name, run) else {
                    slow[index] = true;
                    continue;
                };
                slow[index] = done.ns > 5e8 || is_slow(spec);
                if let Some(latency) = of(&mut probe.ticks, clock) {
                    cells[index] = Some(best(cells[index], latency));
                }
            }
        }
        rows.push(Row { workload: work, cells: specs.iter().copied().zip(cells).collect() });
    }
    Ok(rows)
}
