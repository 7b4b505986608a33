//! Measures allocators side by side in one run: ours, and the best of others, in one harness.
//!
//! `cargo oxk bench alloc` builds it with optimisation over all crates and runs it. A new allocator
//! is one line in `list.rs`, a new workload one in `workload/mod.rs`.
//!
//! C `tinyalloc` is not among the peers: it is in no registry.

mod arena;
mod args;
mod clock;
mod list;
mod measure;
mod peers;
mod report;
mod subject;
mod trace;
mod workload;

use std::io::Write as _;
use std::process::ExitCode;

use args::{Args, Mode, Settings};
use clock::Clock;
use measure::{Effort, count, init, latency, memory, throughput, worst};
use report::Report;
use workload::Kind;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("error: {message}\nhelp: bench-alloc --help lists the arguments");
            return ExitCode::from(2);
        }
    };
    match run(args.mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(mode: Mode) -> Result<(), String> {
    match mode {
        Mode::Help => print!("{}", args::HELP),
        Mode::List => {
            for spec in list::ALL {
                println!(
                    "{}{}",
                    spec.name,
                    spec.peer.map_or(String::new(), |p| format!(" (vs {p})"))
                );
            }
        }
        Mode::Count { name, work, calls } => count::run(&name, work, calls)?,
        Mode::Worst { name, holes } => {
            if !worst::run_once(&name, holes) {
                return Err(format!("`{name}` cannot do this"));
            }
        }
        Mode::Resident { name, work, calls } => {
            let bytes = memory::resident_growth(&name, work, calls);
            println!("{}", bytes.ok_or("cannot measure the memory of the process")?);
        }
        Mode::Overhead { name, size } => {
            let bytes = memory::process_overhead(&name, size);
            println!("{}", bytes.ok_or("cannot measure the memory of the process")?);
        }
        Mode::Compact { raw, trace, from } => {
            let recording = std::fs::read(&raw).map_err(|e| format!("{raw}: {e}"))?;
            let bytes =
                trace::compact(&recording, from, TRACE_BYTES).map_err(|e| format!("{raw}: {e}"))?;
            trace::Trace::parse(&bytes).map_err(|e| e.to_string())?;
            std::fs::write(&trace, bytes).map_err(|e| format!("{trace}: {e}"))?;
        }
        Mode::Measure(settings) => {
            let report = measure(&settings)?;
            if settings.json {
                println!("{}", report::json::report(&report));
            } else {
                print!("{}", report::text::report(&report));
            }
            if let Some(path) = &settings.output {
                std::fs::write(path, report::svg::report(&report))
                    .map_err(|e| format!("cannot write {path}: {e}"))?;
                eprintln!("{path}");
            }
        }
    }
    Ok(())
}

/// Largest size of a trace file, roughly.
const TRACE_BYTES: usize = 300_000;

fn measure(settings: &Settings) -> Result<Report, String> {
    let effort = if settings.quick {
        Effort { rounds: settings.runs.min(2), calls: 4000, full: false }
    } else {
        Effort { rounds: settings.runs, calls: 200_000, full: true }
    };
    let (specs, works) = (&settings.specs, &settings.works);
    let say = |what: &'static str| {
        move |name: &str| {
            if settings.progress {
                eprint!("\r\x1b[K{what}: {name}");
                let _ = std::io::stderr().flush();
            }
        }
    };
    let clock = Clock::calibrate();
    let uses_memory = |kind: Kind| matches!(kind, Kind::Mixed | Kind::Replay(_));
    let memory_works: Vec<_> = works.iter().copied().filter(|w| uses_memory(w.kind)).collect();
    let counting = effort.full && settings.count && count::available();
    let mut notes: Vec<String> =
        specs.iter().filter_map(|spec| Some(format!("{} {}", spec.name, spec.limit()?))).collect();
    let report = Report {
        specs: specs.clone(),
        rounds: effort.rounds,
        throughput: throughput::measure(effort, works, specs, &mut say("throughput"))?,
        latency: latency::measure(effort, works, specs, &clock, &mut say("latency"))?,
        memory: memory::footprint(effort, &memory_works, specs, &mut say("memory"))?,
        overhead: memory::overhead(specs)?,
        init: init::measure(effort, specs)?,
        count: if counting {
            count::measure(effort, specs, &mut notes, &mut say("instructions"))
        } else {
            Vec::new()
        },
        worst: worst::measure(
            effort.rounds,
            specs,
            &clock,
            counting,
            &mut notes,
            &mut say("longest paths"),
        ),
        notes,
    };
    if settings.progress {
        eprint!("\r\x1b[K");
    }
    if effort.full && settings.count && !counting {
        eprintln!("instructions were not counted: valgrind is not installed");
    }
    Ok(report)
}
