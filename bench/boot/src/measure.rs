//! Running images and reading what they and the monitor say.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Output, Stdio};

use bench_report::Spread;

use crate::args::Args;

/// Sizes of memory that guests are started with, in MiB.
const MEMORY: [u64; 5] = [8, 64, 256, 1024, 4096];
/// The one that parts are measured with.
const USUAL: u64 = 64;

/// Values by name, in order.
pub type Rows = Vec<(String, Spread)>;

/// Everything that was measured. Times are in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// How often each was run.
    pub runs: u32,
    /// From the start of the process to its end, by platform.
    pub whole: Rows,
    /// From the start of the process to the first thing that the image says, just before `main`.
    pub first: Rows,
    /// From there to the end of the process.
    pub rest: Rows,
    /// From the first instruction to `main`, as the guest says, by platform.
    pub guest: Rows,
    /// Parts of the start by the tender.
    pub parts: Rows,
    /// By memory: what the kernel takes to make the machine, and from exec to `main`.
    pub by_memory: Vec<(u64, Spread, Spread)>,
    /// Calls of the platform, by what and whose.
    pub calls: Vec<(String, String, Spread)>,
    /// Smallest memory in which hello boots, in bytes.
    pub smallest: Option<u64>,
}

fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A run, with times on the monotonic clock.
struct Run {
    start: u64,
    /// When the first byte came on either stream.
    first: Option<u64>,
    end: u64,
    output: Output,
}

/// Reads all, and when the first of it came.
fn read(mut from: impl Read) -> (Option<u64>, Vec<u8>) {
    let mut bytes = vec![0; 4096];
    // What cannot be read is missed below.
    let len = from.read(&mut bytes).unwrap_or(0);
    let first = (len > 0).then(now_ns);
    bytes.truncate(len);
    let _ = from.read_to_end(&mut bytes);
    (first, bytes)
}

/// Runs a shell command. QEMU ends with a code of its own, so that only the output tells whether
/// all went well.
fn shell(name: &str, line: &str) -> Result<Run, String> {
    let wrong = |e| format!("cannot start {name}: {e}");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {line}")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = now_ns();
    let mut child = command.spawn().map_err(wrong)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = std::thread::scope(|scope| {
        let err = scope.spawn(|| err.map(read).unwrap_or_default());
        (out.map(read).unwrap_or_default(), err.join().unwrap_or_default())
    });
    let status = child.wait().map_err(wrong)?;
    let end = now_ns();
    let first = [out.0, err.0].into_iter().flatten().min();
    Ok(Run { start, first, end, output: Output { status, stdout: out.1, stderr: err.1 } })
}

/// Runs a command; its start and end on the monotonic clock.
fn run(name: &str, command: &mut Command) -> Result<(u64, Output, u64), String> {
    let start = now_ns();
    let output = command.stdin(Stdio::null()).output();
    let end = now_ns();
    let output = output.map_err(|e| format!("cannot start {name}: {e}"))?;
    Ok((start, output, end))
}

/// The same; the end must be a good one.
fn run_well(name: &str, command: &mut Command) -> Result<(u64, Output, u64), String> {
    let (start, output, end) = run(name, command)?;
    if output.status.success() {
        return Ok((start, output, end));
    }
    Err(format!("{name} ended with {}: {}", output.status, text_of(&output)))
}

fn text_of(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).replace('\r', "")
}

/// The number in the line `PREFIX NAME NUMBER …`.
fn number(text: &str, prefix: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        let mut words = line.strip_prefix(prefix)?.split_whitespace();
        (words.next()? == name).then(|| words.next()?.parse().ok())?
    })
}

/// Collects values by name, in the order in which names came first.
#[derive(Default)]
struct Table {
    order: Vec<String>,
    values: BTreeMap<String, Vec<f64>>,
}

impl Table {
    fn add(&mut self, name: &str, value: f64) {
        if !self.values.contains_key(name) {
            self.order.push(name.to_owned());
        }
        self.values.entry(name.to_owned()).or_default().push(value);
    }

    fn rows(self) -> Rows {
        let spread = |name: String| Some((name.clone(), Spread::of(self.values.get(&name)?)?));
        self.order.clone().into_iter().filter_map(spread).collect()
    }
}

/// One start by the tender, in microseconds.
struct Start {
    /// Names and durations of its parts, one after the other.
    parts: Vec<(&'static str, f64)>,
    /// What the kernel takes of it for the machine.
    kernel: f64,
    /// From exec to the first thing that the guest says, just before `main`.
    to_main: f64,
    /// From the first instruction to `main`, as the guest says.
    guest: f64,
    /// From exec to the end.
    whole: f64,
}

fn start(tender: &str, options: &[&str], image: &str, megabytes: u64) -> Result<Start, String> {
    let mut command = Command::new(tender);
    command.args(options).args(["--times", "--memory", &format!("{megabytes}M"), image]);
    command.args(["ukboot.trace=yes", "--"]);
    let (spawned, output, ended) = run_well("tender", &mut command)?;
    let text = text_of(&output);
    let missing = |name: &str| format!("the tender says nothing of `{name}`: {text}");
    let point = |name: &str| number(&text, "tender: ", name).ok_or_else(|| missing(name));
    let mut last = spawned as f64;
    let mut parts = Vec::new();
    for (name, what) in [
        ("main", "exec to the tender's main"),
        ("image", "tender: arguments, image, places, memory"),
        ("machine", "kernel: machine and its memory"),
        ("loaded", "tender: image into memory, page tables"),
        ("cpus", "kernel: virtual CPU"),
        ("confined", "tender: confinement"),
        ("run", "tender: boot information"),
    ] {
        let at = point(name)?;
        parts.push((what, (at - last) / 1e3));
        last = at;
    }
    let kernel =
        parts.iter().filter(|(what, _)| what.starts_with("kernel")).map(|(_, us)| us).sum();
    let own = parts.iter().filter(|(what, _)| what.starts_with("tender")).map(|(_, us)| us).sum();
    let guest = number(&text, "boot: ", "total").ok_or_else(|| missing("boot: total"))? / 1e3;
    parts.push(("the tender's own share of these", own));
    let exit = point("exit")?;
    // What the guest does not see: the machine's first entry, and its first exit, by which it speaks.
    parts.push(("the way into the guest, and once out of it", (exit - last) / 1e3 - guest));
    parts.push(("guest: first instruction to main", guest));
    parts.push(("end: exit call to the end of the process", (ended as f64 - point("end")?) / 1e3));
    let to_main = (exit - spawned as f64) / 1e3;
    parts.push(("exec to main", to_main));
    let whole = (ended - spawned) as f64 / 1e3;
    Ok(Start { parts, kernel, to_main, guest, whole })
}

/// Least memory in KiB with which hello ends well, by bisection.
fn smallest(tender: &str, image: &str) -> Option<u64> {
    let boots = |kib: u64| {
        let mut command = Command::new(tender);
        command.args(["--memory", &format!("{kib}K"), image]);
        run_well("tender", &mut command).is_ok()
    };
    let (mut low, mut high) = (0, 1024);
    if !boots(high) {
        return None;
    }
    while high - low > 4 {
        let middle = (low + high) / 8 * 4;
        if boots(middle) { high = middle } else { low = middle }
    }
    Some(high << 10)
}

/// Measures everything.
///
/// # Errors
/// A message.
pub fn all(args: &Args) -> Result<Results, String> {
    let (mut whole, mut guest, mut parts) = (Table::default(), Table::default(), Table::default());
    let (mut first, mut rest) = (Table::default(), Table::default());
    let mut calls = Table::default();
    let sizes = if args.quick { &MEMORY[..2] } else { &MEMORY[..] };
    let mut by_memory: BTreeMap<u64, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for _ in 0..args.runs {
        let mut add = |name: &str, start: &Start| {
            whole.add(name, start.whole);
            first.add(name, start.to_main);
            guest.add(name, start.guest);
            rest.add(name, start.whole - start.to_main);
        };
        if let Some((tender, image)) = &args.tender {
            for size in sizes {
                let start = start(tender, &[], image, *size)?;
                let entry = by_memory.entry(*size).or_default();
                entry.0.push(start.kernel);
                entry.1.push(start.to_main);
                if *size == USUAL {
                    add("hvt", &start);
                    for (what, us) in start.parts {
                        parts.add(what, us);
                    }
                }
            }
            add("hvt, its pages shared", &self::start(tender, &["--share-pages"], image, USUAL)?);
        }
        for (name, line) in &args.runs_of {
            let run = shell(name, line)?;
            let text = text_of(&run.output);
            let boot = number(&text, "boot: ", "total");
            let silent = || format!("{name} told no boot time, {}: {text}", run.output.status);
            let us = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e3;
            let said = run.first.ok_or_else(silent)?;
            let start = Start {
                parts: Vec::new(),
                kernel: 0.0,
                to_main: us(run.start, said),
                guest: boot.ok_or_else(silent)? / 1e3,
                whole: us(run.start, run.end),
            };
            add(name, &start);
        }
    }
    for (name, line) in &args.calls {
        for _ in 0..args.runs.min(5) {
            let Run { output, .. } = shell(name, line)?;
            let text = text_of(&output);
            if !text.contains("\ncall ") && !text.starts_with("call ") {
                return Err(format!("{name} measured no calls, {}: {text}", output.status));
            }
            for line in text.lines().filter_map(|l| l.strip_prefix("call ")) {
                let words: Vec<&str> = line.split_whitespace().collect();
                if let [what, ns] = words[..]
                    && let Ok(ns) = ns.parse::<f64>()
                {
                    calls.add(&format!("{what} {name}"), ns / 1e3);
                }
            }
        }
    }
    let spread = |(size, (kernel, main)): (u64, (Vec<f64>, Vec<f64>))| {
        Some((size, Spread::of(&kernel)?, Spread::of(&main)?))
    };
    let split = |(name, spread): (String, Spread)| {
        let (what, who) = name.split_once(' ').unwrap_or((&name, ""));
        (what.to_owned(), who.to_owned(), spread)
    };
    Ok(Results {
        runs: args.runs,
        whole: whole.rows(),
        first: first.rows(),
        rest: rest.rows(),
        guest: guest.rows(),
        parts: parts.rows(),
        by_memory: by_memory.into_iter().filter_map(spread).collect(),
        calls: calls.rows().into_iter().map(split).collect(),
        smallest: args.tender.as_ref().and_then(|(tender, image)| smallest(tender, image)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name() {
        let text = "boot: entry 5 ns\nboot: total      77 ns\ntender: run 9 ns\n";
        assert_eq!(number(text, "boot: ", "total"), Some(77.0));
        assert_eq!(number(text, "tender: ", "run"), Some(9.0));
        assert_eq!(number(text, "tender: ", "main"), None);
    }

    #[test]
    fn the_first_word_has_a_time() {
        // However late a busy machine notices the first word, that is before the second.
        let run = shell("x", "sh -c 'echo one >&2; sleep 1; echo two'").unwrap();
        let first = run.first.unwrap();
        assert!(run.start < first && first < run.end, "{first}");
        assert_eq!(text_of(&run.output), "two\none\n");
        assert_eq!(shell("x", "true").unwrap().first, None);
    }

    #[test]
    fn failures_say_what_was_said() {
        let mut command = Command::new("sh");
        let said = run_well("x", command.args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(said.contains("x ended with") && said.contains("why"), "{said}");
    }
}
