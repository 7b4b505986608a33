//! Directories of the host that an image has in its tree of files.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::str::FromStr;

use crate::diagnostic::{Diagnostic, Result};
use crate::disk::access;
use crate::manifest::{MountSource, MountSpec, check_path, escape};
use crate::pool::Machine;

/// `--share DIR:/PATH[,ro]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The directory of the host.
    pub directory: PathBuf,
    /// Where the image has it.
    pub path: String,
    /// Whether the image can only read it.
    pub read_only: bool,
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (rest, read_only) = access(text);
        // The last one: names of directories may have colons.
        let parts = rest.rfind(":/").map(|at| (&rest[..at], &rest[at + 1..]));
        let Some((directory, path)) = parts.filter(|(directory, _)| !directory.is_empty()) else {
            return Err("a directory and a path in the image are needed, as in data:/data or \
                        data:/data,ro"
                .into());
        };
        check_path(path)?;
        Ok(Self { directory: directory.into(), path: path.to_owned(), read_only })
    }
}

/// A directory of the host that a machine has to show to its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The name that the image finds it by.
    pub tag: String,
    /// The directory, absolute.
    pub directory: PathBuf,
    /// Whether the image can only read it.
    pub read_only: bool,
}

/// What `mounts` come to on a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The table that the image gets; empty for none.
    pub table: String,
    /// What the machine has to show. A process looks by itself.
    pub shared: Vec<Shared>,
}

impl Plan {
    /// Looks for the directories.
    pub fn new(mounts: &[MountSpec], machine: Machine) -> Result<Self> {
        let mut plan = Self::default();
        let mut entries = Vec::new();
        for mount in mounts {
            let MountSource::Share(directory) = &mount.source else {
                entries.extend(mount.own_entry());
                continue;
            };
            let shown = directory.display();
            let directory = directory.canonicalize().map_err(|error| {
                Diagnostic::new(format!("cannot share the directory {shown}: {error}"))
                    .help(format!("make it: mkdir -p {shown}"))
            })?;
            if !directory.is_dir() {
                return Err(Diagnostic::new(format!("cannot share {shown}: it is no directory"))
                    .help("share the directory that it is in"));
            }
            if machine == Machine::Process {
                let source = escape(directory.as_os_str().as_bytes());
                entries.push(mount.entry(&source, "hostfs"));
                continue;
            }
            let tag = format!("share{}", plan.shared.len());
            entries.push(mount.entry(&tag, "9p"));
            let read_only = mount.is_read_only();
            plan.shared.push(Shared { tag, directory, read_only });
        }
        plan.table = entries.join(";");
        Ok(plan)
    }

    /// The word of the image's command line.
    pub fn parameter(&self) -> Option<String> {
        (!self.table.is_empty()).then(|| format!("mounts.table={}", self.table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let share = |text: &str| text.parse::<Share>().map(|s| (s.directory, s.path, s.read_only));
        assert_eq!(share("a:/b"), Ok(("a".into(), "/b".into(), false)));
        assert_eq!(share("/a:/x:/b,c,ro"), Ok(("/a:/x".into(), "/b,c".into(), true)));
        assert_eq!(share("a:/b,rw"), Ok(("a".into(), "/b".into(), false)));
        for wrong in ["", "a", "a:b", ":/b", "a:/", "a:/b/../..", "/b"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_machine_has_its_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a;b c");
        std::fs::create_dir(&path).unwrap();
        let share = |options: &str| MountSpec {
            source: MountSource::Share(path.clone()),
            path: "/d e".into(),
            options: options.into(),
        };
        let plan = Plan::new(&[share("ro")], Machine::Qemu).unwrap();
        assert_eq!(plan.parameter().unwrap(), "mounts.table=share0 /d\\040e 9p ro");
        assert!(plan.shared[0].read_only && plan.shared[0].directory.ends_with("a;b c"));
        let plan = Plan::new(&[share("")], Machine::Process).unwrap();
        assert!(plan.table.ends_with("/a\\073b\\040c /d\\040e hostfs defaults"), "{}", plan.table);
        assert!(plan.shared.is_empty());
        assert_eq!(Plan::new(&[], Machine::Qemu).unwrap().parameter(), None);
        let gone = MountSpec { source: MountSource::Share(path.join("x")), ..share("") };
        let error = Plan::new(&[gone], Machine::Tender).unwrap_err().to_string();
        assert!(error.contains("cannot share the directory") && error.contains("mkdir -p"));
    }
}
