//! Running images and reading what they and the monitor say.

use std::collections::BTreeMap;
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

/// Runs a shell command. QEMU ends with a code of its own, so that only the output tells whether
/// all went well.
fn shell(name: &str, line: &str) -> Result<(u64, Output, u64), String> {
    run(name, Command::new("sh").args(["-c", &format!("exec {line}")]))
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
    /// From exec to the guest's first instruction.
    to_guest: f64,
    /// From there to `main`, as the guest says.
    guest: f64,
    /// From exec to the end.
    whole: f64,
}

fn start(tender: &str, image: &str, megabytes: u64) -> Result<Start, String> {
    let mut command = Command::new(tender);
    command.args(["--times", "--memory", &format!("{megabytes}M"), image]);
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
    parts.push(("guest: first instruction to main", guest));
    parts.push(("end: exit call to the end of the process", (ended as f64 - point("end")?) / 1e3));
    let to_guest = (last - spawned as f64) / 1e3;
    parts.push(("exec to main", to_guest + guest));
    let whole = (ended - spawned) as f64 / 1e3;
    Ok(Start { parts, kernel, to_guest, guest, whole })
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
    let mut calls = Table::default();
    let sizes = if args.quick { &MEMORY[..2] } else { &MEMORY[..] };
    let mut by_memory: BTreeMap<u64, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for _ in 0..args.runs {
        if let Some((tender, image)) = &args.tender {
            for size in sizes {
                let start = start(tender, image, *size)?;
                let entry = by_memory.entry(*size).or_default();
                entry.0.push(start.kernel);
                entry.1.push(start.to_guest + start.guest);
                if *size == USUAL {
                    whole.add("hvt", start.whole);
                    guest.add("hvt", start.guest);
                    for (what, us) in start.parts {
                        parts.add(what, us);
                    }
                }
            }
        }
        for (name, line) in &args.runs_of {
            let (start, output, end) = shell(name, line)?;
            whole.add(name, (end - start) as f64 / 1e3);
            let text = text_of(&output);
            let boot = number(&text, "boot: ", "total");
            let silent = || format!("{name} told no boot time, {}: {text}", output.status);
            guest.add(name, boot.ok_or_else(silent)? / 1e3);
        }
    }
    for (name, line) in &args.calls {
        for _ in 0..args.runs.min(5) {
            let (_, output, _) = shell(name, line)?;
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
    fn failures_say_what_was_said() {
        let mut command = Command::new("sh");
        let said = run_well("x", command.args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(said.contains("x ended with") && said.contains("why"), "{said}");
    }
}
