//! How much memory work takes: fragmentation, and what one block costs.

use std::process::Command;

use super::throughput::Run;
use super::{ARENA, Effort, is_slow};
use crate::arena::{Arena, resident};
use crate::list::{self, Spec, Visitor};
use crate::subject::{Memory, Subject};
use crate::workload::{Plan, Touch, Unseen, Workload};

/// Memory of one workload.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub workload: &'static Workload,
    /// Most bytes asked for and not freed at any time.
    pub live: usize,
    /// Bytes that the allocator needed for it.
    pub cells: Vec<(&'static Spec, Option<usize>)>,
}

/// Sizes whose overhead is measured.
pub const SIZES: [usize; 3] = [16, 64, 256];

/// What blocks of one size cost.
#[derive(Clone, Debug)]
pub struct Overhead {
    /// Bytes asked for.
    pub size: usize,
    /// Bytes of each block beside those.
    pub cells: Vec<(&'static Spec, Option<f64>)>,
}

fn is_process(spec: &Spec) -> bool {
    list::memory(spec) == Some(Memory::Process)
}

/// For allocators that are given memory: the smallest arena, tables of the allocator in other
/// places not counted, in which the workload runs to its end, to 1/256. For the others: growth of
/// the resident memory of a process that does nothing else and writes to all it gets.
///
/// # Errors
/// A message.
pub fn footprint(
    effort: Effort,
    works: &[&'static Workload],
    specs: &[&'static Spec],
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Row>, String> {
    let arena = Arena::warm(ARENA)?;
    let mut rows = Vec::new();
    for work in works {
        progress(work.name);
        let plan = work.plan(effort.calls).map_err(|e| format!("{}: {e}", work.name))?;
        let mut cells = Vec::new();
        for spec in specs {
            // Of those that are slow, most of the memory is in tables of the system.
            let bytes = if !spec.takes_part(work) || is_slow(spec) {
                None
            } else if is_process(spec) {
                child(&["--resident", spec.name, work.name, &effort.calls.to_string()])
            } else {
                smallest(spec, &plan, &arena)
            };
            cells.push((*spec, bytes));
        }
        rows.push(Row { workload: work, live: plan.peak_bytes(), cells });
    }
    Ok(rows)
}

fn smallest(spec: &Spec, plan: &Plan, arena: &Arena) -> Option<usize> {
    let runs = |len: usize| {
        let run = Run { plan, base: arena.base(), len, probe: &mut Unseen };
        matches!(list::visit(spec.name, run), Some(Ok(_)))
    };
    let mut low = plan.peak_bytes() & !4095;
    let mut high = (2 * low).max(1 << 16);
    while !runs(high) {
        low = high;
        high *= 2;
        if high > arena.len() {
            return None;
        }
    }
    while high - low > (high / 256).max(4096) {
        let middle = low.midpoint(high) & !4095;
        if runs(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

/// Runs this program again and reads the number that it prints.
fn child(args: &[&str]) -> Option<usize> {
    let out = Command::new(std::env::current_exe().ok()?).args(args).output().ok()?;
    if !out.status.success() {
        return None;
    }
    String::from_utf8(out.stdout).ok()?.trim().parse().ok()
}

struct Grow<'a>(&'a Plan);

impl Visitor for Grow<'_> {
    type Out = Option<usize>;
    fn visit<One: Subject, Many: Subject>(self, _: &'static Spec) -> Self::Out {
        let before = resident()?;
        let none = core::ptr::null_mut();
        let run = Run { plan: self.0, base: none, len: 0, probe: &mut Touch };
        run.with(&*One::empty()).ok()?;
        Some(peak_resident()?.saturating_sub(before))
    }
}

fn peak_resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
}

/// The child's part of [`footprint`].
pub fn resident_growth(name: &str, work: &'static Workload, calls: usize) -> Option<usize> {
    let plan = work.plan(calls).ok()?;
    list::visit(name, Grow(&plan))?
}

struct Fill {
    size: usize,
    arena: Option<Arena>,
}

impl Visitor for Fill {
    type Out = Option<f64>;
    fn visit<One: Subject, Many: Subject>(self, _: &'static Spec) -> Self::Out {
        if One::MEMORY == Memory::Mapped {
            // The host limits the number of mappings: blocks end before memory does.
            return None;
        }
        let subject = One::of_size(self.size);
        let mut count = 0usize;
        let bytes = match self.arena {
            Some(arena) => {
                // SAFETY: the arena outlives the subject's use.
                if !unsafe { subject.add(arena.base(), arena.len()) } {
                    return None;
                }
                while !subject.malloc(self.size).is_null() {
                    count += 1;
                }
                arena.len()
            }
            None => {
                let before = resident()?;
                while count < FILLED / self.size {
                    let block = subject.malloc(self.size);
                    if block.is_null() {
                        return None;
                    }
                    // SAFETY: a block of that size, never freed.
                    unsafe { block.write_bytes(1, self.size) };
                    count += 1;
                }
                resident()?.saturating_sub(before)
            }
        };
        Some(bytes as f64 / count.max(1) as f64 - self.size as f64)
    }
}

/// Memory that is filled with blocks to see what each costs.
const FILLED: usize = 16 << 20;

/// Blocks of one size in 16 MiB; for allocators with memory of their own, the growth of the
/// process with as many as would fill 16 MiB without overhead.
pub fn overhead(specs: &[&'static Spec]) -> Result<Vec<Overhead>, String> {
    let mut rows = Vec::new();
    for size in SIZES {
        let mut cells = Vec::new();
        for spec in specs {
            let bytes = if is_process(spec) {
                child(&["--overhead", spec.name, &size.to_string()]).map(|b| b as f64 / 1000.0)
            } else {
                list::visit(spec.name, Fill { size, arena: Some(Arena::cold(FILLED)?) }).flatten()
            };
            cells.push((*spec, bytes));
        }
        rows.push(Overhead { size, cells });
    }
    Ok(rows)
}

/// The child's part of [`overhead`], in thousandths of a byte.
pub fn process_overhead(name: &str, size: usize) -> Option<usize> {
    let bytes = list::visit(name, Fill { size, arena: None })??;
    Some((bytes * 1000.0) as usize)
}
