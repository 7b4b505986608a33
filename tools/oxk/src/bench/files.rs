//! `oxk bench files`: builds one program in C as an image and for Linux, and the program that runs
//! both.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BenchArgs, program};
use crate::build::{self, Progress};
use crate::diagnostic::{Diagnostic, Result};
use crate::project::{Project, Target};
use crate::run::{self, Launch};
use crate::share::Share;

/// The application.
const APP: &str = "apps/filebench";

pub fn run(args: &BenchArgs) -> Result<u8> {
    let root = Project::find()?.root;
    // In memory too, so that no disk is measured.
    let directory = tempfile::tempdir_in("/dev/shm").map_err(|e| {
        Diagnostic::new(format!("cannot make a directory in /dev/shm: {e}"))
            .help("mount a tmpfs there, which is what is compared with")
    })?;
    let mut arguments = Vec::new();
    for (name, path, shared) in [("ramfs", "/tmp", false), ("hostfs on tmpfs", "/shared", true)] {
        let share = Share {
            directory: directory.path().to_owned(),
            path: "/shared".into(),
            read_only: false,
        };
        let shares = if shared { vec![share] } else { Vec::new() };
        let command = image(&root, path, &shares)?;
        arguments.extend(["--run".to_owned(), format!("{name}={command}")]);
    }
    let linux = for_linux(&root)?;
    arguments.extend(["--linux".to_owned(), format!("Linux, tmpfs={}", linux.display())]);
    let result = program::run(args, "files", &arguments);
    drop(directory);
    result
}

/// The command that starts the image with files in `path`.
fn image(root: &Path, path: &str, shares: &[Share]) -> Result<String> {
    let mut call = run::default_args(&root.join(APP));
    call.share = shares.to_vec();
    call.args.push(path.to_owned());
    let target = Target::new(&call.target.app, "linuxu");
    let loaded = target.load_to_run(shares, &[])?;
    let resolution = loaded.resolve()?;
    let kind = if shares.is_empty() { "ramfs" } else { "hostfs" };
    let dir = loaded.build_dir().join(format!("bench-files-{kind}"));
    let image = build::build(&loaded, &resolution, Some(&dir), Progress::Quiet)?;
    Ok(Launch::new(&call, &loaded.project, &resolution, &image)?.shell_line())
}

/// The same source, compiled for this system.
fn for_linux(root: &Path) -> Result<PathBuf> {
    let program = root.join("build/filebench-linux");
    let status = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(root.join(APP).join("src/filebench.c"))
        .status();
    match status {
        Ok(status) if status.success() => Ok(program),
        _ => Err(Diagnostic::new("cannot compile the program to compare with, as cc failed")
            .help("install a C compiler")),
    }
}
