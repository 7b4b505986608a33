//! Guests that run in the background: a record of each in a folder of the user, and the verbs that
//! manage them.
//!
//! There is no daemon: a record says which process a guest is, beyond doubt, and where its output
//! goes. With each guest stays a process that notes how it ends. A guest that has ended stays known for a day, for those who want to read what it said.

pub mod detach;
pub mod keep;
pub mod logs;
pub mod process;
pub mod ps;
pub mod stop;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::diagnostic::{Context, Diagnostic, Result, did_you_mean};
use process::{Identity, Process};

/// Names the folder in place of the usual one.
const VARIABLE: &str = "OXIKRAFT_STATE";
/// How long the record of a guest that has ended is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Length of names at most.
const MAX_NAME: usize = 64;

/// What is known of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Name, unique among the user's guests.
    pub name: String,
    /// Platform that it runs on.
    pub platform: String,
    /// The image.
    pub image: PathBuf,
    /// The image with debug information.
    pub dbg: PathBuf,
    /// The process that it is, or that runs it.
    pub identity: Identity,
    /// When it was started, in seconds since 1970.
    pub since: u64,
    /// File with its output.
    pub log: PathBuf,
    /// File that says how it ended, when it has.
    pub end: PathBuf,
    /// File in which a machine of QEMU leaves the exit code.
    pub code_file: Option<PathBuf>,
    /// Socket of the monitor of a machine of QEMU.
    pub monitor: Option<PathBuf>,
}

impl Guest {
    /// The process, if it still runs.
    pub fn process(&self) -> Option<Process> {
        self.identity.open()
    }

    /// For scripts, and for the record.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "platform": self.platform,
            "image": self.image,
            "dbg": self.dbg,
            "pid": self.identity.pid,
            "start_ticks": self.identity.start_ticks,
            "boot": self.identity.boot,
            "since": self.since,
            "log": self.log,
            "end": self.end,
            "code_file": self.code_file,
            "monitor": self.monitor,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let path = |key: &str| value[key].as_str().map(PathBuf::from);
        Some(Self {
            name: text("name")?,
            platform: text("platform")?,
            image: path("image")?,
            dbg: path("dbg")?,
            identity: Identity {
                pid: u32::try_from(value["pid"].as_u64()?).ok()?,
                start_ticks: value["start_ticks"].as_u64()?,
                boot: text("boot")?,
            },
            since: value["since"].as_u64()?,
            log: path("log")?,
            end: path("end")?,
            code_file: path("code_file"),
            monitor: path("monitor"),
        })
    }
}

/// The folder with the records of a user's guests.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// Held while records are looked at and changed.
    _lock: File,
}

impl Store {
    /// The user's, made when it is not there; waits while another call changes it.
    ///
    /// # Errors
    /// It cannot be made, or others can write to it.
    pub fn open() -> Result<Self> {
        let user = rustix::process::getuid().as_raw();
        let dir = match (std::env::var_os(VARIABLE), std::env::var_os("XDG_RUNTIME_DIR")) {
            (Some(dir), _) => PathBuf::from(dir),
            (None, Some(dir)) if Path::new(&dir).is_dir() => PathBuf::from(dir).join("oxikraft"),
            _ => std::env::temp_dir().join(format!("oxikraft-{user}")),
        };
        Self::open_in(dir, user)
    }

    fn open_in(dir: PathBuf, user: u32) -> Result<Self> {
        let doing = format!("cannot use {}", dir.display());
        if !dir.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(&dir).context(&doing)?;
        }
        // The folder may lie where others can make one of the same name first.
        let meta = dir.symlink_metadata().context(&doing)?;
        if !meta.is_dir() || meta.uid() != user || meta.mode() & 0o022 != 0 {
            let cause = format!("{doing}: it is not a folder that only you can write to");
            return Err(Diagnostic::new(cause)
                .help(format!("remove it, or name another folder in {VARIABLE}")));
        }
        let lock = File::create(dir.join("lock")).context(&doing)?;
        lock.lock().context(&doing)?;
        Ok(Self { dir, _lock: lock })
    }

    /// All guests by name, with the processes of those that run. Forgets those that ended long ago.
    pub fn guests(&self) -> Result<Vec<(Guest, Option<Process>)>> {
        let doing = format!("cannot read {}", self.dir.display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir).context(&doing)? {
            let path = entry.context(&doing)?.path();
            if path.extension().is_none_or(|e| e != "json") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let guest = serde_json::from_str(&text).ok().and_then(|v| Guest::from_json(&v));
            let Some(guest) = guest else {
                // Cut short when the machine stopped, or of another version.
                let _ = std::fs::remove_file(&path);
                continue;
            };
            let process = guest.process();
            if process.is_none() && age(&guest.log).is_none_or(|age| age > KEPT) {
                self.forget(&guest);
            } else {
                found.push((guest, process));
            }
        }
        found.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        Ok(found)
    }

    /// The guest of that name.
    pub fn find(&self, name: &str) -> Result<(Guest, Option<Process>)> {
        let mut guests = self.guests()?;
        if let Some(index) = guests.iter().position(|(guest, _)| guest.name == name) {
            return Ok(guests.swap_remove(index));
        }
        let names = guests.iter().map(|(guest, _)| guest.name.as_str());
        let help = match did_you_mean(name, names) {
            Some(like) => format!("did you mean `{like}`?"),
            None => "`oxk ps --all` lists them; `oxk run --detach` starts one".to_owned(),
        };
        Err(Diagnostic::new(format!("there is no guest `{name}`")).help(help))
    }

    /// A name for a new guest: the one that was asked for, or one made from the application's. Of a
    /// guest that has ended nothing is kept then.
    pub fn name(&self, wanted: Option<&str>, app: &str) -> Result<String> {
        let guests = self.guests()?;
        let runs = |name: &str| guests.iter().any(|(g, p)| g.name == name && p.is_some());
        let name = match wanted {
            Some(name) => {
                check_name(name)?;
                if runs(name) {
                    return Err(Diagnostic::new(format!("a guest `{name}` is running already"))
                        .help(format!("take another --name, or stop it: oxk stop {name}")));
                }
                name.to_owned()
            }
            None => {
                let known = |name: &String| guests.iter().any(|(guest, _)| guest.name == *name);
                let numbered = (2u32..).map(|number| format!("{app}-{number}"));
                let mut names = std::iter::once(app.to_owned()).chain(numbered);
                names.find(|name| !known(name)).unwrap_or_else(|| app.to_owned())
            }
        };
        if let Some((old, _)) = guests.iter().find(|(guest, _)| guest.name == name) {
            self.forget(old);
        }
        Ok(name)
    }

    /// Where the output of a guest of that name goes.
    pub fn log_path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    /// Where it stands how a guest of that name ended.
    pub fn end_path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.end"))
    }

    /// Writes the record of a guest.
    pub fn add(&self, guest: &Guest) -> Result<()> {
        let path = self.record(&guest.name);
        let partial = path.with_extension("part");
        std::fs::write(&partial, format!("{:#}\n", guest.to_json()))
            .and_then(|()| std::fs::rename(&partial, &path))
            .context(format!("cannot write {}", path.display()))
    }

    /// Removes a guest's record and what it said.
    pub fn forget(&self, guest: &Guest) {
        let files = [&self.record(&guest.name), &guest.log, &guest.end];
        for path in files.into_iter().chain(&guest.code_file).chain(&guest.monitor) {
            // What is not there need not be removed.
            let _ = std::fs::remove_file(path);
        }
    }

    fn record(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }
}

/// Names are file names.
fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= MAX_NAME && name.chars().all(plain) {
        return Ok(());
    }
    Err(Diagnostic::new(format!("`{name}` is not a name for a guest")).help(format!(
        "up to {MAX_NAME} letters, digits, dots, dashes and underscores, a letter or digit first"
    )))
}

/// How long ago a file was written to.
fn age(path: &Path) -> Option<Duration> {
    Some(path.metadata().ok()?.modified().ok()?.elapsed().unwrap_or_default())
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
