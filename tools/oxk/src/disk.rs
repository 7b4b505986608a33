//! Files of the host that an image has as disks.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::diagnostic::{Diagnostic, Result};
use crate::manifest::check_path;

/// Bytes of a sector: a disk is a whole number of them.
const SECTOR: u64 = 512;

/// `--disk FILE[,ro][,mount=/PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The file.
    pub path: PathBuf,
    /// Whether the image can only read it.
    pub read_only: bool,
    /// Where the image has what is on it.
    pub mount: Option<String>,
}

impl FromStr for Disk {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (rest, options) = match text.rsplit_once(",mount=") {
            Some((rest, options)) => (rest, Some(options)),
            None => (text, None),
        };
        let (path, mut read_only) = access(rest);
        let mut mount = None;
        if let Some(options) = options {
            let (place, only) = access(options);
            if let Some((_, option)) = place.split_once(',') {
                return Err(format!("there is no option \"{option}\": FILE[,ro][,mount=/PATH]"));
            }
            check_path(place)?;
            mount = Some(place.to_owned());
            read_only |= only;
        }
        if path.is_empty() {
            return Err("a file is needed, as in disk.img or disk.img,ro".into());
        }
        Ok(Self { path: path.into(), read_only, mount })
    }
}

/// Takes `,ro` or `,rw` from the end, and tells whether it was `ro`.
pub fn access(text: &str) -> (&str, bool) {
    match text.strip_suffix(",ro") {
        Some(rest) => (rest, true),
        None => (text.strip_suffix(",rw").unwrap_or(text), false),
    }
}

/// As drivers take it. A name that ends like an option keeps its meaning.
impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.read_only { "ro" } else { "rw" };
        write!(f, "{},{how}", self.path.display())
    }
}

impl Disk {
    /// Fails unless the file can be a disk.
    pub fn check(&self) -> Result<()> {
        let shown = self.path.display();
        let way_out =
            |error: Diagnostic| error.help(format!("make one of 64 MiB: truncate -s 64M {shown}"));
        let opened = std::fs::OpenOptions::new().read(true).write(!self.read_only).open(&self.path);
        let file = opened.map_err(|error| {
            let error_kind = error.kind();
            let diagnostic = Diagnostic::new(format!("cannot open the disk {shown}: {error}"));
            match error_kind {
                std::io::ErrorKind::NotFound => way_out(diagnostic),
                _ if self.read_only => diagnostic.help("it must be a file that can be read"),
                _ => diagnostic.help(format!("to only read it: --disk {shown},ro")),
            }
        })?;
        let metadata = file
            .metadata()
            .map_err(|e| Diagnostic::new(format!("cannot look at the disk {shown}: {e}")))?;
        // Of devices the length is not known here.
        if metadata.is_file() && (metadata.len() == 0 || metadata.len() % SECTOR != 0) {
            let len = metadata.len();
            return Err(way_out(Diagnostic::new(format!(
                "the disk {shown} has {len} bytes, which is no whole number of sectors of {SECTOR}"
            ))));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(text: &str) -> Disk {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let plain = |path: &str, read_only| Disk { path: path.into(), read_only, mount: None };
        assert_eq!(disk("a,b"), plain("a,b", false));
        assert_eq!(disk("a,ro"), plain("a", true));
        assert_eq!(disk("a,rw"), plain("a", false));
        let mounted = Disk { mount: Some("/b".into()), ..plain("a", true) };
        assert_eq!(disk("a,ro,mount=/b"), mounted);
        assert_eq!(disk("a,mount=/b,ro"), mounted);
        assert_eq!(mounted.to_string(), "a,ro");
        let written = Disk { read_only: false, ..mounted };
        assert_eq!(disk("a,mount=/b"), written);
        assert_eq!(disk("a,mount=/b,rw"), written);
        for wrong in [
            ",ro",
            ",mount=/a",
            "a,mount=",
            "a,mount=b",
            "a,mount=/",
            "a,mount=/b/..",
            "a,mount=/b,x",
        ] {
            assert!(wrong.parse::<Disk>().is_err(), "{wrong}");
        }
        for text in ["a,ro,rw", "a,ro", "a"] {
            assert_eq!(disk(&disk(text).to_string()), disk(text));
        }
    }

    #[test]
    fn files_that_cannot_be_disks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let disk = disk(&path.to_string_lossy());
        let message = || disk.check().unwrap_err().to_string();
        assert!(message().contains("cannot open the disk"), "{}", message());
        assert!(message().contains("help: make one of 64 MiB: truncate"), "{}", message());
        for len in [0, 511, 513] {
            std::fs::write(&path, vec![0; len]).unwrap();
            assert!(message().contains("no whole number of sectors"), "{}", message());
        }
        std::fs::write(&path, vec![0; 1024]).unwrap();
        disk.check().unwrap();
    }
}
