//! Locks between processes, so that two of `oxk` do not work in one folder at a time.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Seek as _, Write as _};
use std::path::Path;

use crate::diagnostic::{Context, Result};

/// A lock that this process has. It ends with the value, or with the process, however that ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing it unlocks")] File);

impl Lock {
    /// Takes the lock that the file stands for. While another process has it, this waits, and says on
    /// the standard error output for what: `what` is what the other does.
    ///
    /// The file holds the number of the process; it stays, since removing it would make two locks of one.
    pub fn take(path: &Path, what: &str) -> Result<Self> {
        let doing = format!("cannot lock {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).context(&doing)?;
        }
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.context(&doing)?;
        Self::of(file, path, what).context(&doing)
    }

    fn of(mut file: File, path: &Path, what: &str) -> std::io::Result<Self> {
        match file.try_lock() {
            Ok(()) => {}
            // Some network file systems have no locks.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(path).unwrap_or_default();
                let holder = holder.trim().parse::<u32>();
                let holder = holder.map_or("another process".into(), |id| format!("process {id}"));
                eprintln!("{:>12} until {holder} has {what}", "Waiting");
                file.lock()?;
            }
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn the_second_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder.lock");
        let first = Lock::take(&path, "built it").unwrap();
        let id = std::fs::read_to_string(&path).unwrap();
        assert_eq!(id.trim(), std::process::id().to_string());
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let second = Lock::take(&path, "built it");
                tell.send(()).unwrap();
                second.unwrap();
            });
            assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
            drop(first);
            told.recv().unwrap();
        });
    }

    #[test]
    fn what_cannot_be_locked_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Lock::take(dir.path(), "built it").unwrap_err();
        assert!(error.cause.starts_with("cannot lock /"), "{error}");
    }
}
