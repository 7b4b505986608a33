//! `oxk bench sqlite`: SQLite in images that run as Linux processes, with each allocator, and in a virtual
//! machine of our own monitor, at our statements and at SQLite's own speed test, beside the same SQLite as an ordinary Linux program, with glibc and with the
//! musl of the images.

use std::path::{Path, PathBuf};
use std::process::Command;

use bench_report::run::{Line, Row, Subject, rounds, rounds_read};
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
/// Allocators that can serve it: not those that never free, or only blocks of one size, nor the collector,
/// which is the first with threads for the collection beside it.
pub const ALLOCATORS: [&str; 5] =
    ["ukalloctlsf", "ukallocmi", "ukallocbuddy", "ukalloctiny", "ukallocoscar"];
/// What the names of speedtest1's parts begin with, and the sum of them.
const SPEEDTEST: &str = "speedtest1 ";
const TOTAL: &str = "speedtest1 TOTAL";
/// Each of its blocks is a mapping, which in a guest is a call of the monitor: minutes for what others do
/// in a second. There it is measured when it is asked for.
const SLOW_IN_GUESTS: &str = "ukallocoscar";
/// Bytes of memory of each image.
const MEMORY: u64 = 128 << 20;
/// Where databases are: file systems in memory on both sides.
const FOLDER: &str = "/data";
const LINUX_FOLDER: &str = "/dev/shm";

/// A program that measures, in images and on Linux.
struct Program<'a> {
    project: &'a Project,
    /// Its application.
    name: &'static str,
    /// Its arguments, with its files in this folder.
    arguments: &'a dyn Fn(&str) -> Vec<String>,
}

pub fn run(args: &BenchArgs) -> Result<u8> {
    if !Path::new(LINUX_FOLDER).is_dir() {
        return Err(Diagnostic::new(format!("there is no {LINUX_FOLDER}"))
            .help("the programs that SQLite in an image is compared with need a tmpfs there"));
    }
    let project = Project::find()?;
    let chosen: Vec<&str> = if args.allocator.is_empty() {
        ALLOCATORS.to_vec()
    } else {
        args.allocator.iter().map(String::as_str).collect()
    };
    // Size of the mix, numbers of inserts.
    let work: &[&str] = if args.quick {
        &["2000", "10", "1000"]
    } else {
        &["50000", "10", "100", "1000", "10000", "60000"]
    };
    // In hundredths of what its authors take for usual.
    let size = if args.quick { "2" } else { "25" };
    let in_guests: Vec<&str> = chosen
        .iter()
        .copied()
        .filter(|allocator| !args.allocator.is_empty() || *allocator != SLOW_IN_GUESTS)
        .collect();
    let statements = Program {
        project: &project,
        name: "sqlitebench",
        arguments: &|folder| [folder].iter().chain(work).map(|word| (*word).to_owned()).collect(),
    }
    .subjects(&chosen, &in_guests)?;
    let speedtest = Program {
        project: &project,
        name: "speedtest1",
        arguments: &|folder| {
            vec!["--size".to_owned(), size.to_owned(), format!("{folder}/speedtest1.db")]
        },
    }
    .subjects(&chosen, &in_guests)?;
    let bar = ProgressBar::new(u64::from(args.runs) * 2);
    let failed = |cause| Diagnostic::new(cause).help("run what failed by hand");
    let mut rows = rounds(&statements, args.runs, |_| bar.inc(1)).map_err(failed)?;
    rows.extend(
        rounds_read(&speedtest, args.runs, speedtest_line, |_| bar.inc(1)).map_err(failed)?,
    );
    bar.finish_and_clear();
    if args.json {
        println!("{}", table::json(&rows, args.runs, "ms"));
    } else {
        let single = |row: &Row| row.what.starts_with(SPEEDTEST) && row.what != TOTAL;
        let shown: Vec<Row> = rows.iter().filter(|row| !single(row)).cloned().collect();
        print!("{}", table::text(&shown, args.runs, "ms", describe));
    }
    let output = match &args.output {
        Some(path) => path.clone(),
        None => relative_to_cwd(&project.root.join("build/bench-sqlite.svg")),
    };
    std::fs::write(&output, picture(&rows))
        .context(format!("cannot write {}", output.display()))?;
    eprintln!("{}", output.display());
    Ok(0)
}

fn picture(rows: &[Row]) -> String {
    let section = |title: &str, belongs: &dyn Fn(&str) -> bool| Section {
        title: format!("{title}, in ms: median, line from least to largest"),
        panels: rows.iter().filter(|row| belongs(&row.what)).map(table::panel).collect(),
    };
    let inserts = |what: &str| what.starts_with("inserts-");
    let speedtest = |what: &str| what.starts_with(SPEEDTEST);
    draw(&[
        section("inserts, each a transaction", &inserts),
        section("a mix of statements", &|what| !inserts(what) && !speedtest(what)),
        section("SQLite's own speed test", &|what| what == TOTAL),
    ])
}

impl Program<'_> {
    /// Images for the Linux process and the monitor with each allocator; two programs of Linux.
    fn subjects(&self, allocators: &[&str], in_guests: &[&str]) -> Result<Vec<Subject>> {
        let mut subjects = Vec::new();
        for allocator in allocators {
            let mut arguments = vec![format!("linuxu.memory={MEMORY}"), "--".to_owned()];
            arguments.extend((self.arguments)(FOLDER));
            let program = self.image("linuxu", allocator)?;
            let name = (*allocator).to_owned();
            subjects.push(Subject { name, ours: true, program, arguments });
        }
        if tender::kvm_opens() {
            for allocator in in_guests {
                subjects.push(self.guest(allocator)?);
            }
        } else {
            eprintln!("not measured: hvt, because /dev/kvm does not open");
        }
        let loaded = self.target("linuxu", allocators[0]).load()?;
        let dir = loaded.build_dir().join(format!("bench-{}-linux", self.name));
        std::fs::create_dir_all(&dir).context(format!("cannot create {}", dir.display()))?;
        for (libc, program) in
            [("glibc", with_glibc(&loaded, &dir)?), ("musl", with_musl(&loaded, &dir)?)]
        {
            let arguments = (self.arguments)(LINUX_FOLDER);
            let name = format!("Linux, {libc}");
            subjects.push(Subject { name, ours: false, program, arguments });
        }
        Ok(subjects)
    }

    fn target(&self, platform: &str, allocator: &str) -> Target {
        let mut target = Target::new(&self.project.root.join("apps").join(self.name), platform);
        target.choices.provider.push(format!("{ALLOC}={allocator}"));
        target
    }

    fn image(&self, platform: &str, allocator: &str) -> Result<PathBuf> {
        let loaded = self.target(platform, allocator).load()?;
        let dir = loaded.build_dir().join(format!("bench-{}-{allocator}", self.name));
        let image = build::build(&loaded, &loaded.resolve()?, Some(&dir), Progress::Quiet)?;
        let size = human_size(image.bytes);
        eprintln!("{} with {allocator} for {platform}: {size}", self.name);
        Ok(image.path)
    }

    fn guest(&self, allocator: &str) -> Result<Subject> {
        let image = self.image(tender::PLATFORM, allocator)?;
        let mut words = vec!["--".to_owned()];
        words.extend((self.arguments)(FOLDER));
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
        let name = format!("{allocator}, {}", tender::PLATFORM);
        let program = tender::ensure(self.project)?;
        Ok(Subject { name, ours: true, program, arguments: spec.arguments() })
    }
}

/// A line of SQLite's speed test: ` 100 - what is done.....    0.047s`.
fn speedtest_line(line: &str) -> Line {
    if line.starts_with("--") {
        return Line::Other;
    }
    let parsed = line.trim().rsplit_once(' ').and_then(|(what, time)| {
        let seconds: f64 = time.strip_suffix('s')?.parse().ok()?;
        Some((what.trim().trim_end_matches('.'), seconds))
    });
    parsed.map_or(Line::Unknown, |(what, s)| Line::Value(format!("{SPEEDTEST}{what}"), s * 1e3))
}

/// What a name means.
fn describe(what: &str) -> String {
    if what == TOTAL {
        return "SQLite's own speed test, in all".to_owned();
    }
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
    let out = dir.join("glibc.out");
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
    let out = dir.join("musl.out");
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
        assert_eq!(describe(TOTAL), "SQLite's own speed test, in all");
    }

    #[test]
    fn lines_of_the_speed_test() {
        let part = " 130 - 25 SELECTS, numeric BETWEEN, unindexed......................    0.025s";
        let name = "speedtest1 130 - 25 SELECTS, numeric BETWEEN, unindexed".to_owned();
        assert_eq!(speedtest_line(part), Line::Value(name, 25.0));
        let total = "       TOTAL.......................................................    1.614s";
        assert_eq!(speedtest_line(total), Line::Value(TOTAL.to_owned(), 1614.0));
        assert_eq!(speedtest_line("-- Speedtest1 for SQLite 3.49.1"), Line::Other);
        assert_eq!(speedtest_line("SQL error: disk I/O error"), Line::Unknown);
    }
}
