//! The command line of the tool.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::diagnostic::Result;
use crate::guests::{keep, logs, ps, stop};
use crate::{bench, build, graph, libs, menu, new, run, rustc, size, syscalls, test};

/// Composes an application and the micro-libraries it needs into one bootable image
#[derive(Debug, Parser)]
#[command(name = "oxk", bin_name = "oxk", version, arg_required_else_help = true)]
#[command(after_help = "In a clone of the repository the same commands are `cargo oxk …`.")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(new::NewArgs),
    Build(build::BuildArgs),
    Run(Box<run::RunArgs>),
    Keep(keep::KeepArgs),
    Ps(ps::PsArgs),
    Logs(logs::LogsArgs),
    Stop(stop::StopArgs),
    Menu(menu::MenuArgs),
    Libs(libs::LibsArgs),
    Graph(graph::GraphArgs),
    Size(size::SizeArgs),
    Syscalls(syscalls::SyscallsArgs),
    Test(test::TestArgs),
    Bench(bench::BenchArgs),
}

impl Verb {
    fn execute(&self) -> Result<u8> {
        match self {
            Verb::New(args) => new::run(args),
            Verb::Build(args) => build::run(args),
            Verb::Run(args) => run::run(args),
            Verb::Keep(args) => keep::run(args),
            Verb::Ps(args) => ps::run(args),
            Verb::Logs(args) => logs::run(args),
            Verb::Stop(args) => stop::run(args),
            Verb::Menu(args) => menu::run(args),
            Verb::Libs(args) => libs::run(args),
            Verb::Graph(args) => graph::run(args),
            Verb::Size(args) => size::run(args),
            Verb::Syscalls(args) => syscalls::run(args),
            Verb::Test(args) => test::run(args),
            Verb::Bench(args) => bench::run(args),
        }
    }

    /// Exit code when the verb itself fails.
    fn failure_code(&self) -> u8 {
        match self {
            Verb::Run(_) => run::EXIT_NOT_STARTED,
            _ => 1,
        }
    }
}

/// Whether the tool takes these words as its command line, the name of the program first.
///
/// # Errors
/// What the user would be told.
pub fn accepts(words: &[String]) -> std::result::Result<(), String> {
    Cli::try_parse_from(words).map(|_| ()).map_err(|error| error.to_string())
}

/// Parses the command line, runs the verb, reports its error.
pub fn main() -> ExitCode {
    if let Some(code) = rustc::as_wrapper() {
        return code;
    }
    let cli = Cli::parse();
    match cli.verb.execute() {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("error: {error}");
            cli.verb.failure_code().into()
        }
    }
}
