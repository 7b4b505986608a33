//! The programs in `bench/`: building and calling them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use indicatif::ProgressBar;

use super::BenchArgs;
use crate::diagnostic::{Context, Diagnostic, Result, relative_to_cwd};
use crate::project::Project;

/// Builds `bench/NAME` and calls it with the arguments that all take, and others.
pub fn run(args: &BenchArgs, name: &str, others: &[String]) -> Result<u8> {
    let project = Project::find()?;
    if !project.root.join("bench").join(name).join("Cargo.toml").is_file() {
        return Err(Diagnostic::new(format!("there is no bench/{name} in this project"))
            .help("run this in a clone of the Oxikraft repository"));
    }
    // Optimising over all crates takes a minute, in which a quick look is over.
    let profile = if args.quick { "release" } else { "measure" };
    let program = build(&project.root, &format!("bench-{name}"), profile)?;
    let output = match &args.output {
        Some(path) => path.clone(),
        None => {
            let dir = project.root.join("build");
            std::fs::create_dir_all(&dir).context(format!("cannot create {}", dir.display()))?;
            relative_to_cwd(&dir.join(format!("bench-{name}.svg")))
        }
    };
    let mut command = Command::new(&program);
    command.arg("--runs").arg(args.runs.to_string()).arg("-o").arg(output).args(others);
    if args.json {
        command.arg("--json");
    }
    if args.quick {
        command.arg("--quick");
    }
    let status = command.status().context(format!("cannot start {}", program.display()))?;
    if !status.success() {
        return Err(Diagnostic::new(format!("measuring {name} ended with {status}"))
            .help("the reason is printed above"));
    }
    Ok(0)
}

/// Builds it with a profile, the same for ours and the others: `measure` optimises over all crates.
fn build(root: &Path, package: &str, profile: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--package", package, "--profile", profile])
        .args(["--message-format", "json-render-diagnostics"])
        // What the shell says about other builds must not reach this one.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start cargo")?;
    let bar = ProgressBar::new_spinner().with_message(format!("building {package}, optimised"));
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let mut program = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.context("cannot read what cargo says")?;
            let Ok(message) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            if let Some(path) = message["executable"].as_str() {
                program = Some(PathBuf::from(path));
            }
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    bar.finish_and_clear();
    match program {
        Some(path) if status.success() => Ok(path),
        _ => Err(Diagnostic::new(format!("cannot build {package}: cargo reported errors"))
            .help("they are printed above; what is compared may need a C compiler")),
    }
}
