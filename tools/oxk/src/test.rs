//! `oxk test`: all tests of the repository.

use std::process::Command;

use crate::diagnostic::{Context, Result};
use crate::project::Project;
use crate::{install, qemu};

/// What only some tests need: programs, and the packages that they are in on every system.
const SOME_NEED: [(&str, &str); 2] = [("passt", "passt"), ("mke2fs", "e2fsprogs")];

/// Runs all tests: of every crate on this machine, and of images on every platform
///
/// What the image tests need is installed with the system's package manager when this user may do
/// that; otherwise the command to do it is printed and nothing runs. Without a program that only some tests
/// need, those say that they do not run.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  oxk test\n  oxk test -- -p ukalloc          arguments go to `cargo test`"
)]
pub struct TestArgs {
    /// Arguments for `cargo test` instead of `--workspace`
    #[arg(last = true)]
    pub args: Vec<String>,
}

/// The verb.
pub fn run(args: &TestArgs) -> Result<u8> {
    let project = Project::find()?;
    qemu::ensure(std::env::consts::ARCH)?;
    for (program, package) in SOME_NEED {
        install::try_ensure(program, package);
    }
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.arg("test").current_dir(&project.root);
    if args.args.is_empty() {
        command.arg("--workspace");
    } else {
        command.args(&args.args);
    }
    let status = command.status().context("cannot start cargo")?;
    Ok(if status.success() { 0 } else { 1 })
}
