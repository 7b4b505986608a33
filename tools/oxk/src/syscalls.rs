//! `oxk syscalls`: which system calls there are, who handles them, what a program needs.

mod registered;
mod report;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::build::{self, Progress};
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::project::{Choices, Project, Target};

pub use registered::{Handler, registered};

/// Lists system calls: those that there are, or what an image has and its program needs
///
/// Without an application: every registered call with the library that handles it and what its
/// documentation says. With one, the image is built, and its calls are listed: those it has, and those
/// that the program's objects need and nobody handles, which fail with ENOSYS.
///
/// JSON: a list of {"number", "name", "library", "help"}, or with an application {"image",
/// "by_number", "calls": [{"number", "name", "library", "handled"}]}.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  oxk syscalls\n  oxk syscalls apps/c-hello\n  oxk syscalls apps/sqlite --set strace=true\n  oxk syscalls --library posix-time"
)]
pub struct SyscallsArgs {
    /// The application (with its oxk.toml) whose image is looked at
    pub app: Option<PathBuf>,
    /// Of which image of it
    #[command(flatten)]
    pub choices: Choices,
    /// Only calls of this library
    #[arg(long, value_name = "NAME")]
    pub library: Option<String>,
    /// Print a table for the documentation
    #[arg(long, conflicts_with_all = ["app", "json"])]
    pub markdown: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The verb.
pub fn run(args: &SyscallsArgs) -> Result<u8> {
    match &args.app {
        Some(app) => of_image(args, app),
        None if args.choices == Choices::default() => all(args),
        None => Err(Diagnostic::new("what an image is built for is said, but not of which")
            .help("name the application: oxk syscalls APP …; without one, all calls are listed")),
    }
}

fn all(args: &SyscallsArgs) -> Result<u8> {
    let project = Project::find()?;
    let pool = project.pool(None)?;
    let numbers = Numbers::read(&project.root, std::env::consts::ARCH)?;
    let mut handlers = registered(&pool, &numbers)?;
    if let Some(library) = &args.library {
        if pool.get(library).is_none() {
            return Err(Diagnostic::new(format!("unknown library `{library}`"))
                .help("`oxk libs` lists all"));
        }
        handlers.retain(|handler| handler.library == *library);
    }
    if args.json {
        let list: Vec<_> = handlers.iter().map(report::json).collect();
        println!("{}", serde_json::Value::from(list));
    } else if args.markdown {
        print!("{}", report::markdown(&handlers));
    } else {
        print!("{}", report::table(&handlers));
    }
    Ok(0)
}

fn of_image(args: &SyscallsArgs, app: &Path) -> Result<u8> {
    let loaded = Target { app: app.to_owned(), choices: args.choices.clone() }.load()?;
    let resolution = loaded.resolve()?;
    if loaded.manifest.kind != crate::manifest::Kind::C {
        return Err(Diagnostic::new(format!("{} is no program in C", loaded.manifest.name))
            .help("programs in Rust call libraries, not numbers; `oxk graph` shows which"));
    }
    let numbers = Numbers::read(&loaded.project.root, &resolution.arch)?;
    let mut handlers = registered(&loaded.pool, &numbers)?;
    // Another library may have a handler of the same call.
    handlers.retain(|handler| resolution.library(&handler.library).is_some());
    let image = build::build(&loaded, &resolution, None, Progress::Quiet)?;
    let mut calls = report::of_image(&image.dbg, &handlers, &numbers)?;
    if let Some(library) = &args.library {
        calls.list.retain(|call| call.library.as_ref() == Some(library));
    }
    let name = resolution.image_name();
    if args.json {
        println!("{}", report::image_json(&name, &calls));
    } else {
        print!("{}", report::image_table(&name, &calls));
    }
    Ok(0)
}

/// Names of system calls with their numbers, as an architecture has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers(Vec<(u16, String)>);

impl Numbers {
    /// Reads the table of `syscall-shim`.
    pub fn read(root: &Path, arch: &str) -> Result<Self> {
        let path = root.join(format!("posix/syscall-shim/src/numbers_{arch}.rs"));
        let text = std::fs::read_to_string(&path).map_err(|_| {
            Diagnostic::new(format!("there is no table of system calls for {arch}"))
                .help(format!("add {}", path.display()))
        })?;
        Self::parse(&text).context(format!("cannot read {}", path.display()))
    }

    /// Lines `NUMBER NAME,` between those with other things.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut numbers = Vec::new();
        for line in text.lines().map(str::trim) {
            let Some((number, name)) = line.strip_suffix(',').and_then(|l| l.split_once(' '))
            else {
                continue;
            };
            let number = number.parse().map_err(|_| format!("`{number}` is no number"))?;
            numbers.push((number, name.to_owned()));
        }
        Ok(Self(numbers))
    }

    /// The number of a call.
    pub fn number(&self, name: &str) -> Option<u16> {
        self.0.iter().find(|(_, other)| other == name).map(|(number, _)| *number)
    }

    /// The header `uk_syscalls.h`, with a line for each call.
    pub fn header(&self) -> String {
        let mut text = String::new();
        for (number, name) in &self.0 {
            let _ = writeln!(text, "UK({number}, {name})");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_this_architecture() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let numbers = Numbers::read(root, "x86_64").unwrap();
        let header = numbers.header();
        assert!(header.starts_with("UK(0, read)\nUK(1, write)\n") && numbers.0.len() > 350);
        assert!(Numbers::read(root, "pdp11").unwrap_err().cause.contains("pdp11"));
    }
}
