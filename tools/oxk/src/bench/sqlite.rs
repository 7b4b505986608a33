//! `oxk bench sqlite`: SQLite in images that run as Linux processes, with each allocator, and in a virtual
//! machine of our own monitor, beside the same SQLite as an ordinary Linux program, with glibc and with the
//! musl of the images.

use std::path::{Path, PathBuf};
use std::process::Command;

use bench_report::run::{Subject, rounds};
use bench_report::svg::{Section, draw};
use bench_report::table;
use indicatif::ProgressBar;

use super::BenchArgs;
use crate::build::{self, Progress, human_size};
use crate::diagnostic::{Context, Diagnostic, Result, relative_to_cwd};
use crate::native::compile::{Unit, cc, compile, file_of_compiler};
use crate::native::{self, program};
use crate::project::{Loaded, Project, Target};
use crate::resolve::ALLOC;
use crate::syscalls::Numbers;
use crate::tender;

/// Makes a Linux program of an image's objects.
const LINUX: &str = include_str!("linux.c");
/// Allocators that can serve it: not those that never free, or only blocks of one size.
pub const ALLOCATORS: [&str; 5] =
    ["ukalloctlsf", "ukallocmi", "ukallocbuddy", "ukalloctiny", "ukallocoscar"];
/// Bytes of memory of each image.
const MEMORY: u64 = 128 << 20;
/// Where databases are: file systems in memory on both sides.
const FOLDER: &str = "/data";
const LINUX_FOLDER: &str = "/dev/shm";

pub fn run(args: &BenchArgs) -> Result<u8> {
    if !Path::new(LINUX_FOLDER).is_dir() {
        return Err(Diagnostic::new(format!("there is no {LINUX_FOLDER}"))
            .help("the programs that SQLite in an image is compared with need a tmpfs there"));
    }
    let project = Project::find()?;
    let app = project.root.join("apps/sqlitebench");
    let chosen: Vec<&str> = if args.allocator.is_empty() {
        ALLOCATORS.to_vec()
    } else {
        args.allocator.iter().map(String::as_str).collect()
    };
    let target = |platform: &str, allocator: &str| Target {
        app: app.clone(),
        plat: Some(platform.into()),
        provider: vec![format!("{ALLOC}={allocator}")],
        ..Target::default()
    };
    let image = |platform: &str, allocator: &str| -> Result<PathBuf> {
        let loaded = target(platform, allocator).load()?;
        let dir = loaded.build_dir().join(format!("bench-sqlite-{allocator}"));
        let image = build::build(&loaded, &loaded.resolve()?, Some(&dir), Progress::Quiet)?;
        eprintln!("image with {allocator} for {platform}: {}", human_size(image.bytes));
        Ok(image.path)
    };
    // Size of the mix, numbers of inserts.
    let work: &[&str] = if args.quick {
        &["2000", "10", "1000"]
    } else {
        &["50000", "10", "100", "1000", "10000", "60000"]
    };
    let subject = |name: &str, ours, program: PathBuf, before: &[&str]| {
        let arguments = before.iter().chain(work).map(|word| (*word).to_owned()).collect();
        Subject { name: name.to_owned(), ours, program, arguments }
    };
    let mut subjects = Vec::new();
    for allocator in &chosen {
        let memory = format!("linuxu.memory={MEMORY}");
        let before = [memory.as_str(), "--", FOLDER];
        subjects.push(subject(allocator, true, image("linuxu", allocator)?, &before));
    }
    if tender::kvm_opens() {
        let image = image(tender::PLATFORM, chosen[0])?;
        let words: Vec<String> =
            ["--", FOLDER].iter().chain(work).map(|word| (*word).to_owned()).collect();
        let spec = tender::Spec {
            image: &image,
            cpus: 1,
            memory: MEMORY,
            words: &words,
            initrd: None,
            disks: &[],
            shared: &[],
            nets: &[],
            options: &[],
        };
        let name = format!("{}, {}", chosen[0], tender::PLATFORM);
        let program = tender::ensure(&project)?;
        subjects.push(Subject { name, ours: true, program, arguments: spec.arguments() });
    } else {
        eprintln!("not measured: hvt, because /dev/kvm does not open");
    }
    let loaded = target("linuxu", chosen[0]).load()?;
    let dir = loaded.build_dir().join("bench-sqlite-linux");
    std::fs::create_dir_all(&dir).context(format!("cannot create {}", dir.display()))?;
    subjects.push(subject("Linux, glibc", false, with_glibc(&loaded, &dir)?, &[LINUX_FOLDER]));
    subjects.push(subject("Linux, musl", false, with_musl(&loaded, &dir)?, &[LINUX_FOLDER]));
    let bar = ProgressBar::new(args.runs.into());
    let rows = rounds(&subjects, args.runs, |round| bar.set_position(round.into()))
        .map_err(|cause| Diagnostic::new(cause).help("run what failed by hand"))?;
    bar.finish_and_clear();
    if args.json {
        println!("{}", table::json(&rows, args.runs, "ms"));
    } else {
        print!("{}", table::text(&rows, args.runs, "ms", describe));
    }
    let (inserts, mix): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row.what.starts_with("inserts-"));
    let section = |title: &str, rows: Vec<_>| Section {
        title: format!("{title}, in ms: median, line from least to largest"),
        panels: rows.into_iter().map(table::panel).collect(),
    };
    let picture = draw(&[
        section("inserts, each a transaction", inserts),
        section("a mix of statements", mix),
    ]);
    let output = match &args.output {
        Some(path) => path.clone(),
        None => relative_to_cwd(&loaded.build_dir().join("bench-sqlite.svg")),
    };
    std::fs::write(&output, picture).context(format!("cannot write {}", output.display()))?;
    eprintln!("{}", output.display());
    Ok(0)
}

/// What a name means.
fn describe(what: &str) -> String {
    match what.strip_prefix("inserts-") {
        Some(count) => format!("{count} inserts, each a transaction of its own"),
        None => format!("mix: {}", what.replace('-', " ")),
    }
}

/// The same program, compiled and linked as is usual on this machine.
fn with_glibc(loaded: &Loaded, dir: &Path) -> Result<PathBuf> {
    let bar = ProgressBar::hidden();
    let sources = program::sources(loaded)?;
    let mut flags = vec!["-O2".to_owned()];
    flags.extend(program::own_flags(loaded)?);
    let units: Vec<Unit> =
        sources.into_iter().map(|source| Unit { source, flags: flags.clone() }).collect();
    let objects = compile(&units, dir, &dir.join("glibc"), &|| bar.inc(1))?;
    let out = dir.join("sqlitebench-glibc");
    link(Command::new(cc()).args(&objects).arg("-lm").arg("-o").arg(&out))?;
    Ok(out)
}

/// The objects of the image with its musl, as a static Linux program; `malloc` is musl's.
fn with_musl(loaded: &Loaded, dir: &Path) -> Result<PathBuf> {
    let resolution = loaded.resolve()?;
    let bar = ProgressBar::hidden();
    let libc = native::libc_of(loaded, &resolution, &bar)?;
    let objects = program::build(loaded, &resolution, &libc, &bar)?;
    let numbers = Numbers::read(&loaded.project.root, &resolution.arch)?;
    let source = dir.join("linux.c");
    for (path, text) in [(&source, LINUX), (&dir.join("uk_syscalls.h"), &numbers.header())] {
        std::fs::write(path, text).context(format!("cannot write {}", path.display()))?;
    }
    let flags = ["-O2", "-fno-stack-protector", "-fcf-protection=none"].map(str::to_owned).to_vec();
    let linux = compile(&[Unit { source, flags }], dir, &dir.join("musl"), &|| ())?;
    let out = dir.join("sqlitebench-musl");
    let mut command = Command::new(cc());
    command.args(["-static", "-nostdlib", "-no-pie", "-o"]).arg(&out).args(linux).args(objects);
    command.arg(&libc.archive).args(file_of_compiler("-print-libgcc-file-name"));
    link(&mut command)?;
    Ok(out)
}

fn link(command: &mut Command) -> Result<()> {
    let output = command.output().context("cannot start the C compiler")?;
    if output.status.success() {
        return Ok(());
    }
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Err(Diagnostic::new("cannot link the program to compare with")
        .help("what the compiler says stands above"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_explained() {
        assert_eq!(describe("inserts-10"), "10 inserts, each a transaction of its own");
        assert_eq!(describe("make-index"), "mix: make index");
    }
}
