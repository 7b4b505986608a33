//! Instructions per call, by valgrind's callgrind.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::throughput::Run;
use super::{ARENA, Effort, is_slow};
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

/// What a run under callgrind may take. The others take a second or two.
const LIMIT: Duration = Duration::from_secs(10);

/// Instructions of this program with these arguments, by callgrind.
///
/// # Errors
/// Why they were not counted.
pub fn instructions(options: &[&str], args: &[&str]) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(options);
    let text = run_limited(command.arg(program).args(args), LIMIT)?;
    let sum = text.lines().find_map(|line| line.split_once("Collected :"));
    sum.and_then(|(_, sum)| sum.trim().parse().ok())
        .ok_or_else(|| "callgrind did not say how many".to_owned())
}

/// What a command writes to its standard error; it is ended when it takes too long.
fn run_limited(command: &mut Command, limit: Duration) -> Result<String, String> {
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| e.to_string())?;
    // Its few lines fit into the pipe.
    let status = loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) => break status,
            None if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(5)),
            None => {
                // Both fail only if it has just ended.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("not done within {} s", limit.as_secs()));
            }
        }
    };
    if !status.success() {
        return Err(status.to_string());
    }
    let mut text = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut text).map_err(|e| e.to_string())?;
    }
    Ok(text)
}

fn per_pair(name: &str, work: &Workload, calls: usize) -> Result<f64, String> {
    let count = |calls: usize| instructions(&[], &["--count", name, work.name, &calls.to_string()]);
    // Twice as many calls less as many: start, setup and end are the same.
    Ok((count(2 * calls)? - count(calls)?) / (calls / 2) as f64)
}

/// Why a cell is empty.
pub fn note(spec: &Spec, what: &str, why: &str) -> String {
    format!("{}, {what}: instructions not counted: {why}", spec.name)
}

/// Counts for all allocators. What could not be counted is noted.
pub fn measure(
    effort: Effort,
    specs: &[&'static Spec],
    notes: &mut Vec<String>,
    progress: &mut dyn FnMut(&str),
) -> Vec<Row> {
    let calls = effort.calls.min(20_000) / 2000 * 2000;
    let mut rows = Vec::new();
    for work in WORKS.iter().filter_map(|name| Workload::named(name)) {
        progress(work.name);
        let harness = per_pair(NOTHING, work, calls);
        let mut count = |spec: &Spec| {
            if !spec.takes_part(work) || is_slow(spec) {
                return None;
            }
            let pair = harness
                .clone()
                .and_then(|harness| per_pair(spec.name, work, calls).map(|pair| pair - harness));
            pair.map_err(|why| notes.push(note(spec, work.name, &why))).ok()
        };
        let cells = specs.iter().map(|spec| (*spec, count(spec))).collect();
        rows.push(Row { workload: work, cells });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_ended() {
        let start = Instant::now();
        let mut sleep = Command::new("sleep");
        let result = run_limited(sleep.arg("60"), Duration::from_millis(50));
        assert!(result.unwrap_err().contains("not done"));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_fails_says_so() {
        let limit = Duration::from_secs(30);
        assert!(run_limited(&mut Command::new("false"), limit).unwrap_err().contains("exit"));
        let mut echo = Command::new("sh");
        assert_eq!(run_limited(echo.args(["-c", "echo text >&2"]), limit).unwrap(), "text\n");
    }
}
