//! Measures the start of images: of hello on every platform, and in parts where our own monitor, the
//! tender, runs it. `cargo oxk bench boot` builds everything and calls this.

mod args;
mod measure;
mod report;

use std::process::ExitCode;

use args::Mode;

fn main() -> ExitCode {
    let args = match args::parse(std::env::args().skip(1)) {
        Ok(Mode::Help) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Mode::Measure(args)) => args,
        Err(message) => {
            eprintln!("error: {message}\nhelp: bench-boot --help lists the arguments");
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &args::Args) -> Result<(), String> {
    let results = measure::all(args)?;
    if args.json {
        println!("{}", report::json(&results));
    } else {
        print!("{}", report::text(&results));
    }
    if let Some(path) = &args.output {
        let write = |e| format!("cannot write {path}: {e}");
        std::fs::write(path, report::svg(&results)).map_err(write)?;
        eprintln!("{path}");
    }
    Ok(())
}
