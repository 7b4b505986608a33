//! `oxk bench`: the measurements behind the numbers in SPEC.md.

mod boot;
mod density;
mod files;
mod program;
mod sched;
mod sqlite;
mod syscall;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use crate::build::{self, Image, Progress};
use crate::diagnostic::{Diagnostic, Result};
use crate::graph::parse_times;
use crate::option::format_size;
use crate::project::{Project, Target};
use crate::qemu::{self, Model};
use crate::resolve::Resolution;
use crate::run::{self, RunArgs};
use crate::tender;

/// Measures something, side by side in one run
///
/// `hello`: size of the image, guest boot time (as the guest reports it), time of the whole run,
/// and the smallest memory in which it boots, on every platform; beside it the same greeting as
/// an ordinary Rust program with the standard library.
///
/// `alloc`: time, latency, memory, start and instructions of our allocators and of the best that
/// others made, in the same harness, as tables and as bars (SVG).
///
/// `sched`: switches, waking, locks, making threads and tasks, under every scheduler, in images
/// that run as Linux processes; beside them the threads and locks of the C library, the tasks of
/// tokio, and the bare switch as limit.
///
/// `files`: opening, reading, and other calls on small files, in memory and in a directory of the
/// host; beside them the same program on Linux, with files on a tmpfs.
///
/// `boot`: the start of hello on every platform, from exec to the end; on hvt in parts, the
/// monitor's share apart from the kernel's, and by size of memory; calls and waits.
///
/// `density`: a thousand guests that stay and answer on their consoles: how long it takes to start
/// them all, and the memory of each.
///
/// `syscall`: a system call that does nothing: as the C library calls it, by the table of all calls,
/// by an instruction that traps, and the same of Linux; beside them a call of a function (Table 1 of
/// the paper). For kvm it counts instructions.
///
/// `sqlite`: inserts and a mix of statements on a database in memory, in images that run as Linux
/// processes, with each allocator, and in a virtual machine; beside them the same SQLite as a Linux program on a tmpfs, with
/// glibc and with musl.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples: oxk bench hello --runs 30\n          oxk bench alloc -o alloc.svg\n          oxk bench sched --quick\n          oxk bench boot\n          oxk bench density --quick\n          oxk bench sqlite --runs 5"
)]
pub struct BenchArgs {
    /// What to measure
    #[arg(value_enum)]
    pub name: Experiment,
    /// How often each thing is run
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub runs: u32,
    /// Print JSON: for hello a list of {"what", "image_bytes", "boot_ns", "run_ns",
    /// "memory_bytes"}, for density of {"platform", "guests", "started_ns", "answer_ns",
    /// "pss_bytes", "rss_bytes", "machine_bytes"}, for syscall of {"platform", "what", "cycles" or "instructions"},
    /// for the others an object of tables; times as [min, median, max]
    #[arg(long)]
    pub json: bool,
    /// A few seconds instead of minutes: less exact, fewer guests [alloc, sched, files, boot, density, sqlite]
    #[arg(long)]
    pub quick: bool,
    /// How many guests [density; default: 1000, or 50 with --quick]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub guests: Option<u32>,
    /// With which allocator; may be given several times, the first serves on hvt [sqlite; default: all that
    /// can]
    #[arg(long, value_name = "LIBRARY", value_parser = sqlite::ALLOCATORS)]
    pub allocator: Vec<String>,
    /// Where to write the bars [alloc, sched, files, boot, sqlite; default: build/bench-NAME.svg]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Known experiments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Experiment {
    /// The smallest application
    Hello,
    /// Allocators, ours and others
    Alloc,
    /// Threads, locks and tasks, ours and others
    Sched,
    /// Calls on small files, ours and Linux's
    Files,
    /// The start of an image, in parts, and calls of the platform
    Boot,
    /// Many guests at the same time
    Density,
    /// System calls that do nothing
    Syscall,
    /// SQLite in images and as a Linux program
    Sqlite,
}

/// Results for one platform.
#[derive(Debug, Clone)]
struct Row {
    what: String,
    image_bytes: u64,
    /// Guest boot in nanoseconds, sorted; empty where there is no guest.
    boot: Vec<u64>,
    /// Start to end of the process in nanoseconds, sorted.
    run: Vec<u64>,
    /// Memory of image and heaps at which it still boots.
    memory: Option<u64>,
}

/// The verb.
pub fn run(args: &BenchArgs) -> Result<u8> {
    if !args.allocator.is_empty() && args.name != Experiment::Sqlite {
        return Err(Diagnostic::new("this experiment has no --allocator")
            .help("sqlite has; `oxk bench alloc` compares all allocators"));
    }
    if args.guests.is_some() && args.name != Experiment::Density {
        return Err(Diagnostic::new("this experiment has no --guests").help("density has"));
    }
    match args.name {
        Experiment::Hello if args.quick || args.output.is_some() => {
            Err(Diagnostic::new("hello has no --quick and no --output")
                .help("--runs 1 is quick; --json is for scripts"))
        }
        Experiment::Hello => hello(args),
        Experiment::Alloc => program::run(args, "alloc", &[]),
        Experiment::Sched => sched::run(args),
        Experiment::Files => files::run(args),
        Experiment::Boot => boot::run(args),
        Experiment::Density | Experiment::Syscall if args.output.is_some() => {
            Err(Diagnostic::new("this experiment draws nothing: it has no --output")
                .help("--json is for scripts"))
        }
        Experiment::Density => density::run(args),
        Experiment::Syscall => syscall::run(args),
        Experiment::Sqlite => sqlite::run(args),
    }
}

fn hello(args: &BenchArgs) -> Result<u8> {
    let project = Project::find()?;
    let app = project.root.join("apps/hello");
    let mut rows = Vec::new();
    let everywhere = [("linuxu", None), ("kvm", Some(Model::Q35)), ("kvm", Some(Model::Microvm))];
    let hvt = tender::kvm_opens().then_some((tender::PLATFORM, None));
    if hvt.is_none() {
        eprintln!("not measured: hvt, because /dev/kvm does not open");
    }
    for (platform, model) in hvt.into_iter().chain(everywhere) {
        if model.is_some() {
            qemu::ensure(std::env::consts::ARCH)?;
        }
        let target = Target::new(&app, platform);
        let loaded = target.load()?;
        let resolution = loaded.resolve()?;
        let image = build::build(&loaded, &resolution, None, Progress::Quiet)?;
        let mut call = run::default_args(&app);
        call.vmm_machine = model.unwrap_or_default();
        rows.push(measure(args, &project, &resolution, &image, &call)?);
    }
    rows.push(ordinary_program(args)?);
    if args.json {
        let list: Vec<serde_json::Value> = rows.iter().map(json).collect();
        println!("{}", serde_json::Value::from(list));
    } else {
        print!("{}", table(&rows, args.runs));
    }
    Ok(0)
}

fn measure(
    args: &BenchArgs,
    project: &Project,
    resolution: &Resolution<'_>,
    image: &Image,
    call: &RunArgs,
) -> Result<Row> {
    let (mut boot, mut times) = (Vec::new(), Vec::new());
    let mut traced = call.clone();
    traced.param.push("ukboot.trace=yes".into());
    for _ in 0..args.runs {
        let start = Instant::now();
        let said = run::run_captured(call, project, resolution, image)?;
        times.push(start.elapsed().as_nanos() as u64);
        if said.code != 0 {
            return Err(Diagnostic::new(format!("hello ended with code {}", said.code))
                .help("run it by hand: oxk run apps/hello"));
        }
        let said = run::run_captured(&traced, project, resolution, image)?;
        boot.extend(parse_times(&said.text).iter().find(|t| t.name == "total").map(|t| t.ns));
    }
    boot.sort_unstable();
    times.sort_unstable();
    let on = match resolution.platform_name() {
        "kvm" => format!("kvm, QEMU {}, {}", call.vmm_machine, call.accel.decide()),
        other => other.to_owned(),
    };
    Ok(Row {
        what: on,
        image_bytes: image.bytes,
        boot,
        run: times,
        memory: smallest_memory(project, resolution, image, call)?,
    })
}

/// The least memory for heaps with which the image runs, plus what the image takes when loaded.
fn smallest_memory(
    project: &Project,
    resolution: &Resolution<'_>,
    image: &Image,
    call: &RunArgs,
) -> Result<Option<u64>> {
    let parameter = match resolution.platform_name() {
        "kvm" => "kvm.memory",
        "linuxu" => "linuxu.memory",
        "hvt" => "hvt.memory",
        _ => return Ok(None),
    };
    let boots = |bytes: u64| -> Result<bool> {
        let mut call = call.clone();
        call.memory = None;
        call.param.push(format!("{parameter}={bytes}"));
        Ok(run::run_captured(&call, project, resolution, image)?.code == 0)
    };
    // In units of 4 KiB, from the least value that the parameter takes.
    let (mut low, mut high) = (15u64, 256u64);
    if !boots(high * 4096)? {
        return Ok(None);
    }
    while high - low > 1 {
        let middle = (low + high) / 2;
        if boots(middle * 4096)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(Some(high * 4096 + loaded_bytes(image)?))
}

/// Memory that the loaded image takes, zeroed parts included.
fn loaded_bytes(image: &Image) -> Result<u64> {
    use object::read::elf::{FileHeader, ProgramHeader};
    let wrong = || Diagnostic::new(format!("{} is not a bootable image", image.path.display()));
    let bytes = std::fs::read(&image.path).map_err(|_| wrong())?;
    let header =
        object::elf::FileHeader64::<object::Endianness>::parse(&*bytes).map_err(|_| wrong())?;
    let endian = header.endian().map_err(|_| wrong())?;
    let segments = header.program_headers(endian, &*bytes).map_err(|_| wrong())?;
    let loaded = segments.iter().filter(|s| s.p_type(endian) == object::elf::PT_LOAD);
    Ok(loaded.map(|s| s.p_memsz(endian).next_multiple_of(4096)).sum())
}

/// The same greeting with the standard library, as a Linux program.
fn ordinary_program(args: &BenchArgs) -> Result<Row> {
    let failed = |e: &dyn std::fmt::Display| {
        Diagnostic::new(format!("cannot build the program to compare with: {e}"))
    };
    let dir = tempfile::tempdir().map_err(|e| failed(&e))?;
    let (source, program) = (dir.path().join("hello.rs"), dir.path().join("hello"));
    std::fs::write(&source, "fn main() {\n    println!(\"Hello, world!\");\n}\n")
        .map_err(|e| failed(&e))?;
    let status = std::process::Command::new("rustc")
        .args(["--edition", "2024", "-O", "-Cstrip=symbols", "-Cpanic=abort", "-o"])
        .arg(&program)
        .arg(&source)
        .status()
        .map_err(|e| failed(&e))?;
    if !status.success() {
        return Err(failed(&status));
    }
    let mut times = Vec::new();
    for _ in 0..args.runs {
        let start = Instant::now();
        let out = std::process::Command::new(&program).output().map_err(|e| failed(&e))?;
        times.push(start.elapsed().as_nanos() as u64);
        if !out.status.success() {
            return Err(failed(&out.status));
        }
    }
    times.sort_unstable();
    let image_bytes = std::fs::metadata(&program).map_err(|e| failed(&e))?.len();
    Ok(Row {
        what: "Linux program, Rust std".into(),
        image_bytes,
        boot: Vec::new(),
        run: times,
        memory: None,
    })
}

/// Smallest, middle and largest of sorted values.
fn spread(values: &[u64]) -> Option<[u64; 3]> {
    Some([*values.first()?, *values.get(values.len() / 2)?, *values.last()?])
}

fn table(rows: &[Row], runs: u32) -> String {
    let mut out = format!(
        "hello, {runs} runs each: min / median / max\n{:<44} {:>11} {:>28} {:>26} {:>12}\n",
        "", "image", "guest boot", "whole run", "memory"
    );
    let times = |values: &[u64], unit: f64, name: &str| {
        spread(values).map_or_else(
            || "-".to_owned(),
            |s| {
                let [a, b, c] = s.map(|v| v as f64 / unit);
                format!("{a:.1} / {b:.1} / {c:.1} {name}")
            },
        )
    };
    for row in rows {
        let _ = writeln!(
            out,
            "{:<44} {:>7.1} KiB {:>28} {:>26} {:>12}",
            row.what,
            row.image_bytes as f64 / 1024.0,
            times(&row.boot, 1e3, "us"),
            times(&row.run, 1e6, "ms"),
            row.memory.map_or_else(|| "-".to_owned(), format_size),
        );
    }
    out += "memory: image and heap; the machine model of QEMU needs more for itself\n";
    out
}

fn json(row: &Row) -> serde_json::Value {
    serde_json::json!({
        "what": row.what,
        "image_bytes": row.image_bytes,
        "boot_ns": spread(&row.boot),
        "run_ns": spread(&row.run),
        "memory_bytes": row.memory,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[4]), Some([4, 4, 4]));
        assert_eq!(spread(&[1, 2, 9]), Some([1, 2, 9]));
    }
}
