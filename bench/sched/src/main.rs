//! Measures threads, locks and tasks side by side in one run: ours, in images that run as Linux
//! processes, and those of Linux.
//!
//! `cargo oxk bench sched` builds the images and this program and runs it. What an image measures
//! is in `apps/schedbench`; the same things with threads and mutexes of glibc are in `posix.rs`,
//! with tasks of tokio in `tasks.rs`. `bare.rs` is the limit: nothing but the registers that a
//! function has to keep.

mod args;
mod bare;
mod posix;
mod report;
mod subjects;
mod tasks;

use std::io::Write as _;
use std::process::ExitCode;

use args::{Args, Mode};
use bench_report::run::rounds;
use subjects::image;

fn main() -> ExitCode {
    let mode = match Args::parse(std::env::args().skip(1)) {
        Ok(mode) => mode,
        Err(message) => {
            eprintln!("error: {message}\nhelp: bench-sched --help lists the arguments");
            return ExitCode::from(2);
        }
    };
    match act(&mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn act(mode: &Mode) -> Result<(), String> {
    match mode {
        Mode::Help => print!("{}", args::HELP),
        Mode::Bare(thousands) => bare::measure(thousands * 1000, false),
        Mode::BareControl(thousands) => bare::measure(thousands * 1000, true),
        Mode::Posix(thousands) => posix::measure(thousands * 1000)?,
        Mode::PosixCpus(thousands) => posix::measure_on_two_cpus(thousands * 1000)?,
        Mode::Tasks(thousands) => tasks::measure(thousands * 1000)?,
        Mode::Compare(args) => compare(args)?,
    }
    Ok(())
}

fn compare(args: &Args) -> Result<(), String> {
    let own = |name: &str, part: &str| subjects::own(name, part, args.thousands);
    let mut subjects =
        vec![own("bare, 6 registers", "--bare")?, own("bare, with FP control", "--bare-control")?];
    subjects.extend(args.images.iter().map(|(name, path)| image(name, path, args.thousands)));
    subjects.push(own("glibc", "--posix")?);
    subjects.push(own("glibc, 2 CPUs", "--posix-cpus")?);
    subjects.push(own("tokio", "--tasks")?);
    let progress = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let results = rounds(&subjects, args.runs, |round| {
        if progress {
            eprint!("\r\x1b[Kround {round} of {}", args.runs);
            let _ = std::io::stderr().flush();
        }
    })?;
    if progress {
        eprint!("\r\x1b[K");
    }
    if args.json {
        println!("{}", report::json(&results, args.runs));
    } else {
        print!("{}", report::text(&results, args.runs));
    }
    if let Some(path) = &args.output {
        std::fs::write(path, report::svg(&results))
            .map_err(|e| format!("cannot write {path}: {e}"))?;
        eprintln!("{path}");
    }
    Ok(())
}
