//! Nanoseconds per call.

use super::{ARENA, Effort, Plans, Rounds, is_slow};
use crate::arena::Arena;
use crate::list::{self, Spec, Visitor};
use crate::subject::{Memory, Subject};
use crate::workload::{Done, OutOfMemory, Plan, Probe, Unseen, Workload};

/// One run of a plan on fresh memory.
pub struct Run<'a, P> {
    /// What is done.
    pub plan: &'a Plan,
    /// Memory for those that take it.
    pub base: *mut u8,
    /// Its size.
    pub len: usize,
    /// What happens around the calls.
    pub probe: &'a mut P,
}

impl<P: Probe> Visitor for Run<'_, P> {
    type Out = Result<Done, OutOfMemory>;

    fn visit<One: Subject, Many: Subject>(self, _: &'static Spec) -> Self::Out {
        let work = self.plan.workload;
        match (work.threads(), work.size()) {
            (1, Some(size)) => self.with(&*One::of_size(size)),
            (1, None) => self.with(&*One::empty()),
            _ => self.with(&*Many::empty()),
        }
    }
}

impl<P: Probe> Run<'_, P> {
    /// Runs on one that was just made.
    pub fn with<S: Subject>(self, subject: &S) -> Result<Done, OutOfMemory> {
        let own = match S::MEMORY {
            Memory::Mapped => Some(Arena::cold(self.len).map_err(|_| OutOfMemory)?),
            Memory::Arena | Memory::Process => None,
        };
        let base = own.as_ref().map_or(self.base, Arena::base);
        // SAFETY: the memory is an arena's, which outlives the use of the subject and which nobody
        // else uses.
        if !unsafe { subject.add(base, self.len) } {
            return Err(OutOfMemory);
        }
        self.plan.run(subject, self.probe)
    }
}

/// Results of one workload.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub workload: &'static Workload,
    /// Nanoseconds per call, for each allocator of the list that could do it.
    pub cells: Vec<(&'static Spec, Option<Rounds>)>,
}

/// Runs that take longer than this are repeated only [`SLOW_ROUNDS`] times.
const SLOW_NS: f64 = 2e8;
const SLOW_ROUNDS: u32 = 3;

/// All workloads on all allocators, round after round, so that what disturbs the machine disturbs
/// all alike.
///
/// # Errors
/// A message, when there is no memory or a trace is damaged.
pub fn measure(
    effort: Effort,
    works: &[&'static Workload],
    specs: &[&'static Spec],
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Row>, String> {
    let arena = Arena::warm(ARENA)?;
    let mut rows = Vec::new();
    for work in works {
        progress(work.name);
        let plans = Plans::of(work, effort)?;
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); specs.len()];
        let mut slow: Vec<bool> = specs.iter().map(|spec| is_slow(spec)).collect();
        let mut failed: Vec<bool> = specs.iter().map(|spec| !spec.takes_part(work)).collect();
        // The first round warms up and is not counted.
        for round in 0..=effort.rounds {
            for (index, spec) in specs.iter().enumerate() {
                if failed[index] || (slow[index] && round > SLOW_ROUNDS) {
                    continue;
                }
                let (plan, base, len) = (plans.plan(spec), arena.base(), arena.len());
                let run = Run { plan, base, len, probe: &mut Unseen };
                match list::visit(spec.name, run) {
                    Some(Ok(done)) if round > 0 => {
                        values[index].push(done.ns / done.calls.max(1) as f64);
                    }
                    Some(Ok(done)) => slow[index] |= done.ns > SLOW_NS,
                    _ => failed[index] = true,
                }
            }
        }
        let cells = specs.iter().zip(values).map(|(spec, v)| (*spec, Rounds::of(v))).collect();
        rows.push(Row { workload: work, cells });
    }
    Ok(rows)
}
