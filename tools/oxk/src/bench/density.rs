//! `oxk bench density`: how many guests fit into the machine. Starts many of the same image, which
//! stay and answer on their consoles, and looks at what they take.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use super::{BenchArgs, spread};
use crate::build::{self, Progress, human_size};
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::project::{Project, Target};
use crate::run::{self, Launch, RunArgs};
use crate::tender;

/// Guests of a measurement, and of a quick one.
const MANY: usize = 1000;
const FEW: usize = 50;
/// Guests that are being started at the same time.
const AT_ONCE: usize = 4;
/// Descriptors of this program for each guest: both ends of its console are pipes.
const DESCRIPTORS: u64 = 3;
/// How often answers of all guests are measured.
const ROUNDS: usize = 3;

/// A guest, which ends with this.
struct Guest {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Guest {
    fn start(launch: &Launch) -> Result<Self> {
        let (program, arguments) = launch.command();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context(format!("cannot start {}", program.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        match (input, output) {
            (Some(input), Some(output)) => {
                Ok(Self { child, input, output: BufReader::new(output) })
            }
            _ => Err(Diagnostic::new("a guest has no console")),
        }
    }

    /// Waits for a line.
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let len = self.output.read_line(&mut line).context("cannot read from a guest")?;
        if len == 0 {
            return Err(Diagnostic::new("a guest ended").help("run one by hand: oxk run apps/echo"));
        }
        Ok(line.trim_end().to_owned())
    }

    fn say(&mut self, text: &str) -> Result<()> {
        writeln!(self.input, "{text}").context("cannot write to a guest")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a platform's guests took.
#[derive(Debug)]
struct Row {
    platform: &'static str,
    guests: usize,
    /// From the first start to the last guest's first line.
    started: Duration,
    /// By guest: from a line to its answer, while all others wait, in nanoseconds, sorted.
    answers: Vec<u64>,
    /// Sum over the guests: memory of their own, and their share of what they share.
    proportional: Option<u64>,
    /// Sum over the guests: what each has in memory, shared or not.
    resident: u64,
    /// Memory of the machine that is not available any more, the kernel's for the guests included.
    machine: u64,
}

/// The verb.
pub fn run(args: &BenchArgs) -> Result<u8> {
    let guests = args.guests.map_or(if args.quick { FEW } else { MANY }, |guests| guests as usize);
    raise_limit(guests)?;
    let project = Project::find()?;
    let hvt = tender::kvm_opens().then_some(tender::PLATFORM);
    if hvt.is_none() {
        eprintln!("not measured: hvt, because /dev/kvm does not open");
    }
    let mut rows = Vec::new();
    for platform in hvt.into_iter().chain(["linuxu"]) {
        rows.push(measure(&project, platform, guests)?);
    }
    if args.json {
        println!("{}", Value::from(rows.iter().map(as_json).collect::<Vec<_>>()));
    } else {
        print!("{}", table(&rows));
    }
    Ok(0)
}

/// Lets this program have enough descriptors.
fn raise_limit(guests: usize) -> Result<()> {
    let needed = guests as u64 * DESCRIPTORS + 64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(needed), maximum };
    setrlimit(Resource::Nofile, raised).map_err(|_| {
        Diagnostic::new(format!("this takes {needed} open files, more than the limit allows"))
            .help("raise it (ulimit -Hn), or have fewer: --guests 100")
    })
}

fn measure(project: &Project, platform: &'static str, count: usize) -> Result<Row> {
    let app = project.root.join("apps/echo");
    let target = Target::new(&app, platform);
    let loaded = target.load()?;
    let resolution = loaded.resolve()?;
    let image = build::build(&loaded, &resolution, None, Progress::Quiet)?;
    // As guests in the background are started.
    let args = RunArgs { detach: true, ..run::default_args(&app) };
    let launch = Launch::new(&args, project, &resolution, &image)?;
    let bar = ProgressBar::new(count as u64).with_message(platform);
    let before = available()?;
    let start = Instant::now();
    let mut guests: Vec<Guest> = Vec::new();
    let mut ready = 0;
    while ready < count {
        if guests.len() < count && guests.len() < ready + AT_ONCE {
            guests.push(Guest::start(&launch)?);
            continue;
        }
        let line = guests[ready].line()?;
        if !line.starts_with("ready") {
            return Err(Diagnostic::new(format!("a guest said `{line}` instead of `ready`")));
        }
        ready += 1;
        bar.inc(1);
    }
    let started = start.elapsed();
    let mut answers = Vec::new();
    for round in 0..ROUNDS {
        for (number, guest) in guests.iter_mut().enumerate() {
            let question = format!("guest {number}, round {round}");
            let start = Instant::now();
            guest.say(&question)?;
            let answer = guest.line()?;
            answers.push(start.elapsed().as_nanos() as u64);
            if answer != question {
                return Err(Diagnostic::new(format!("a guest answered `{answer}`")));
            }
        }
    }
    bar.finish_and_clear();
    answers.sort_unstable();
    let pids = || guests.iter().map(|guest| guest.child.id());
    Ok(Row {
        platform,
        guests: count,
        started,
        answers,
        proportional: pids().map(|pid| kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum(),
        resident: pids()
            .map(|pid| kib(&format!("/proc/{pid}/status"), "VmRSS:").unwrap_or(0))
            .sum(),
        machine: before.saturating_sub(available()?),
    })
}

/// A line of a file in /proc, in bytes; `None` when it cannot be read, as that of another user.
fn kib(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// Memory that programs could still have, in bytes.
fn available() -> Result<u64> {
    kib("/proc/meminfo", "MemAvailable:")
        .ok_or_else(|| Diagnostic::new("the kernel does not say how much memory there is"))
}

fn table(rows: &[Row]) -> String {
    let mut out = format!(
        "{:<8} {:>6} {:>10} {:>24} {:>12} {:>12} {:>12}\n",
        "", "guests", "all up in", "answer min/median/max", "memory each", "resident", "of machine"
    );
    for row in rows {
        let each = |bytes: u64| human_size(bytes / row.guests as u64);
        let answers = spread(&row.answers).map_or_else(
            || "-".to_owned(),
            |times| {
                let [a, b, c] = times.map(|ns| ns as f64 / 1e3);
                format!("{a:.0} / {b:.0} / {c:.0} us")
            },
        );
        let _ = writeln!(
            out,
            "{:<8} {:>6} {:>8.2} s {answers:>24} {:>12} {:>12} {:>12}",
            row.platform,
            row.guests,
            row.started.as_secs_f64(),
            row.proportional.map_or_else(|| "-".to_owned(), each),
            each(row.resident),
            each(row.machine),
        );
    }
    out += "memory each: the monitor's included, what guests share in equal parts (PSS); resident: with\n\
            all that is shared (RSS); of machine: less of it available, by guest, the kernel's included\n";
    if rows.iter().any(|row| row.proportional.is_none()) {
        out += "-: the monitor's memory can only be looked at as root\n";
    }
    out
}

fn as_json(row: &Row) -> Value {
    json!({
        "platform": row.platform,
        "guests": row.guests,
        "started_ns": row.started.as_nanos() as u64,
        "answer_ns": spread(&row.answers),
        "pss_bytes": row.proportional,
        "rss_bytes": row.resident,
        "machine_bytes": row.machine,
    })
}
