//! What stays with a guest in the background: starts it, waits for its end, and notes how it ended. A
//! parent alone learns the exit code of a process.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::now;
use crate::diagnostic::{Context, Result};
use crate::pool::Machine;
use crate::run::{EXIT_NOT_STARTED, exit_code};

/// Starts an image and stays until it ends, for `oxk run --detach`
#[derive(Debug, Clone, clap::Args)]
#[command(hide = true)]
pub struct KeepArgs {
    /// File for what it says
    #[arg(long)]
    log: PathBuf,
    /// File for how it ended
    #[arg(long)]
    end: PathBuf,
    /// Where QEMU leaves the exit code
    #[arg(long)]
    code_file: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// The verb: prints the number of the process, and has written how it ended when it ends itself.
pub fn run(args: &KeepArgs) -> Result<u8> {
    // Who wants to read the file waits for the lock, and so for the end.
    let mut end = File::create(&args.end).context("cannot note the end")?;
    end.lock().context("cannot note the end")?;
    let code = start(args).map(|mut child| {
        // Whoever started this may have gone already.
        let _ = writeln!(std::io::stdout(), "{}", child.id());
        let machine = match args.code_file {
            Some(_) => Machine::Qemu,
            None => Machine::Process,
        };
        let status = child.wait().context("cannot wait for the image")?;
        Ok(exit_code(machine, status, args.code_file.as_deref()))
    });
    let code = code.and_then(|code| code).unwrap_or_else(|error| {
        eprintln!("oxk: {error}");
        EXIT_NOT_STARTED
    });
    writeln!(end, "{}", json!({ "code": code, "at": now() })).context("cannot note the end")?;
    Ok(0)
}

fn start(args: &KeepArgs) -> Result<Child> {
    let (program, arguments) = args.command.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
    let log = || File::options().append(true).open(&args.log).context("cannot open its log");
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log()?)
        .stderr(log()?)
        .spawn();
    child.context(format!("cannot start {program}"))
}

/// Starts a program that stays with an image, and returns the number of the image's process; `None` if
/// that did not start.
pub fn spawn(
    log: &Path,
    end: &Path,
    code_file: Option<&Path>,
    (program, arguments): (&Path, &[String]),
) -> Result<Option<u32>> {
    let doing = "cannot start a guest in the background";
    let own = std::env::current_exe().context(doing)?;
    let errors = File::options().append(true).open(log).context(doing)?;
    let mut command = Command::new(own);
    command.arg("keep").arg("--log").arg(log).arg("--end").arg(end);
    if let Some(code_file) = code_file {
        command.arg("--code-file").arg(code_file);
    }
    let mut keeper = command
        .arg("--")
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        // What the terminal sends to those in the foreground is not for them.
        .process_group(0)
        .spawn()
        .context(doing)?;
    let mut line = String::new();
    if let Some(output) = keeper.stdout.take() {
        BufReader::new(output).read_line(&mut line).context(doing)?;
    }
    Ok(line.trim().parse().ok())
}

/// How a guest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Its exit code, as that of `oxk run`.
    pub code: u8,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// How a guest ended; waits until it has. `None` when nobody noted it: what stays with it was ended.
pub fn read(end: &Path) -> Option<End> {
    let file = File::open(end).ok()?;
    file.lock_shared().ok()?;
    let value: serde_json::Value = serde_json::from_reader(&file).ok()?;
    let code = u8::try_from(value["code"].as_u64()?).ok()?;
    Some(End { code, at: value["at"].as_u64()? })
}
