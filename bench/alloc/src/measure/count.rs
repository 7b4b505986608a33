//! Instructions per call, by valgrind's callgrind.

use std::process::Command;

use super::throughput::Run;
use super::{ARENA, Effort, takes_part};
use crate::arena::Arena;
use crate::list::{self, Spec};
use crate::peers::Nothing;
use crate::subject::Subject;
use crate::workload::{OutOfMemory, Unseen, Workload};

/// Workloads whose instructions are counted.
pub const WORKS: [&str; 7] =
    ["pair-16", "pair-64", "pair-256", "pair-4096", "lifo-64", "random-64", "mixed"];

/// Results of one workload.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub workload: &'static Workload,
    /// Instructions of a pair of malloc and free, the harness not counted.
    pub cells: Vec<(&'static Spec, Option<f64>)>,
}

/// The name of what only costs what the harness costs.
const NOTHING: &str = "nothing";

/// Runs that many calls; the part of this program that is run under valgrind.
///
/// # Errors
/// A message.
pub fn run(name: &str, work: &'static Workload, calls: usize) -> Result<(), String> {
    let plan = work.plan(calls).map_err(|e| e.to_string())?;
    // Untouched memory: the difference of two runs has none of it.
    let arena = Arena::cold(ARENA)?;
    let run = Run { plan: &plan, base: arena.base(), len: arena.len(), probe: &mut Unseen };
    let done = if name == NOTHING {
        run.with(&*Nothing::empty())
    } else {
        list::visit(name, run).ok_or_else(|| format!("no allocator `{name}`"))?
    };
    done.map(|_| ()).map_err(|OutOfMemory| "out of memory".to_owned())
}

/// Whether valgrind can be had.
pub fn available() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|out| out.status.success())
}

/// Instructions of this program with these arguments, by callgrind.
pub fn instructions(options: &[&str], args: &[&str]) -> Option<f64> {
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(options)
        .arg(std::env::current_exe().ok()?)
        .args(args)
        .output()
        .ok()?;
    if !out.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&out.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

fn per_pair(name: &str, work: &Workload, calls: usize) -> Option<f64> {
    let count = |calls: usize| instructions(&[], &["--count", name, work.name, &calls.to_string()]);
    // Twice as many calls less as many: start, setup and end are the same.
    Some((count(2 * calls)? - count(calls)?) / (calls / 2) as f64)
}

/// Counts for all allocators.
pub fn measure(
    effort: Effort,
    specs: &[&'static Spec],
    progress: &mut dyn FnMut(&str),
) -> Vec<Row> {
    let calls = effort.calls.min(20_000) / 2000 * 2000;
    let mut rows = Vec::new();
    for work in WORKS.iter().filter_map(|name| Workload::named(name)) {
        progress(work.name);
        let harness = per_pair(NOTHING, work, calls);
        let count = |spec: &Spec| {
            if takes_part(spec, work) {
                Some(per_pair(spec.name, work, calls)? - harness?)
            } else {
                None
            }
        };
        let cells = specs.iter().map(|spec| (*spec, count(spec))).collect();
        rows.push(Row { workload: work, cells });
    }
    rows
}
