//! SQLite on a disk: an ext4 in a file of the host, beside Linux programs that have their database in a file
//! of the same folder.

use std::process::Command;

use bench_report::run::{Line, Subject, name_and_number};
use tempfile::TempDir;

use super::MEMORY;
use crate::build::{self, Progress};
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::disk::Disk;
use crate::option::format_size;
use crate::project::{Project, Target};
use crate::resolve::ALLOC;
use crate::run::{self, Launch};
use crate::tender;

/// What the names of these measurements begin with.
pub const DISK: &str = "disk ";
/// Where the image has what is on the disk.
const FOLDER: &str = "/disk";
/// How large the disk is.
const SIZE: &str = "256M";
/// Of the mix, what waits for the disk.
const IN_ONE: &str = "insert-in-one-transaction";

/// Who measures, as long as the folder with the disk is there.
pub struct OnDisk {
    pub subjects: Vec<Subject>,
    _folder: TempDir,
}

/// Images with this allocator, and the Linux programs among `others`. `None`, and says why: there is nothing
/// that makes a disk.
pub fn subjects(
    project: &Project,
    allocator: &str,
    others: &[Subject],
    is_quick: bool,
) -> Result<Option<OnDisk>> {
    // Not in memory: what is measured waits for the disk of the host.
    let build = project.root.join("build");
    std::fs::create_dir_all(&build).context(format!("cannot create {}", build.display()))?;
    let folder = tempfile::tempdir_in(&build)
        .context(format!("cannot make a folder in {}", build.display()))?;
    let path = folder.path().join("disk");
    let made = Command::new("mke2fs")
        .env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin")
        .args(["-q", "-F", "-t", "ext4"])
        .arg(&path)
        .arg(SIZE)
        .output();
    match made {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Diagnostic::new(format!("mke2fs cannot make a disk: {}", said.trim())));
        }
        Err(error) => {
            eprintln!("not measured: disks, because mke2fs (e2fsprogs) does not start: {error}");
            return Ok(None);
        }
    }
    // Rows of the mix, inserts.
    let work = if is_quick { ["2000", "100"] } else { ["60000", "1000"] };
    let arguments =
        |folder: &str| [folder].iter().chain(&work).map(|word| (*word).to_owned()).collect();
    let disk = Disk { path, read_only: false, mount: Some(FOLDER.to_owned()) };
    let mut subjects = Vec::new();
    let hvt = tender::kvm_opens().then_some(tender::PLATFORM);
    for platform in ["linuxu"].into_iter().chain(hvt) {
        let mut subject = image(project, platform, allocator, &disk, arguments(FOLDER))?;
        subject.name = match platform {
            tender::PLATFORM => format!("{allocator}, {platform}, ext4"),
            _ => format!("{allocator}, ext4"),
        };
        subjects.push(subject);
    }
    let beside = folder.path().to_string_lossy();
    subjects.extend(
        others
            .iter()
            .filter(|other| !other.ours)
            .map(|other| Subject { arguments: arguments(&beside), ..other.clone() }),
    );
    Ok(Some(OnDisk { subjects, _folder: folder }))
}

fn image(
    project: &Project,
    platform: &str,
    allocator: &str,
    disk: &Disk,
    arguments: Vec<String>,
) -> Result<Subject> {
    let app = project.root.join("apps/sqlitebench");
    let mut call = run::default_args(&app);
    call.target = Target::new(&app, platform);
    call.target.choices.provider.push(format!("{ALLOC}={allocator}"));
    call.memory = Some(format_size(MEMORY));
    call.disk = vec![disk.clone()];
    call.args = arguments;
    let loaded = call.target.load_to_run(&[], &call.disk)?;
    let resolution = loaded.resolve()?;
    let dir = loaded.build_dir().join("bench-sqlitebench-ext4");
    let image = build::build(&loaded, &resolution, Some(&dir), Progress::Quiet)?;
    let launch = Launch::new(&call, &loaded.project, &resolution, &image)?;
    let (program, arguments) = launch.command();
    Ok(Subject {
        name: String::new(),
        ours: true,
        program: program.to_owned(),
        arguments: arguments.to_vec(),
    })
}

/// A line of the program: of the mix only what writes.
pub fn line(line: &str) -> Line {
    match name_and_number(line) {
        Line::Value(name, ms) if name == IN_ONE || name.starts_with("inserts-") => {
            Line::Value(format!("{DISK}{name}"), ms)
        }
        Line::Value(..) => Line::Other,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_writes_is_measured() {
        assert_eq!(line("inserts-10 2.5"), Line::Value("disk inserts-10".to_owned(), 2.5));
        assert_eq!(line("join 2.5"), Line::Other);
        assert_eq!(line("disk I/O error"), Line::Unknown);
    }
}
