//! Measures calls on small files side by side in one run: ours, in images, and those of Linux.
//!
//! `cargo oxk bench files` builds `apps/filebench` as images and as a program of Linux, and this
//! program, and runs it. It is the same source for all: an image calls functions, the program makes
//! system calls, on a tmpfs.
#![forbid(unsafe_code)]

mod args;
mod report;
mod subjects;

use std::io::Write as _;
use std::process::ExitCode;

use args::Args;
use bench_report::run::rounds;
use bench_report::table;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("error: {message}\nhelp: bench-files --help lists the arguments");
            return ExitCode::from(2);
        }
    };
    match compare(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: &Args) -> Result<(), String> {
    let images = args.images.iter();
    let mut all: Vec<_> =
        images.map(|(name, command)| subjects::image(name, command, args.thousands)).collect();
    let mut directories = Vec::new();
    for (name, path) in &args.programs {
        let (subject, directory) = subjects::program(name, path, args.thousands)?;
        all.push(subject);
        directories.push(directory);
    }
    let progress = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let results = rounds(&all, args.runs, |round| {
        if progress {
            eprint!("\r\x1b[Kround {round} of {}", args.runs);
            let _ = std::io::stderr().flush();
        }
    })?;
    if progress {
        eprint!("\r\x1b[K");
    }
    if args.json {
        println!("{}", table::json(&results, args.runs, "ns"));
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
