//! The table of what is mounted where (fstab(5)).

use alloc::vec::Vec;
use core::fmt;

use vfs::MountFlags;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is mounted, in words of the file system.
    pub source: Vec<u8>,
    /// The directory, absolute.
    pub path: Vec<u8>,
    /// Kind of file system.
    pub kind: Vec<u8>,
    /// Properties of the mount.
    pub flags: MountFlags,
    /// Options for the file system, with commas between.
    pub options: Vec<u8>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [source, path, kind] = [&self.source, &self.path, &self.kind].map(|t| t.escape_ascii());
        write!(f, "cannot mount `{source}` ({kind}) at {path}")
    }
}

/// An entry that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEntry<'a> {
    /// It.
    pub text: &'a str,
    /// What would have been right.
    pub expected: &'static str,
}

/// The entries of a table.
pub fn entries(table: &str) -> impl Iterator<Item = Result<Entry, BadEntry<'_>>> {
    table
        .split(';')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| parse(text).map_err(|expected| BadEntry { text, expected }))
}

fn parse(text: &str) -> Result<Entry, &'static str> {
    const FIELDS: &str = "expected: source path type [options]";
    let mut fields = text.split_ascii_whitespace();
    let mut field = || fields.next().map(unescape);
    let (Some(source), Some(path), Some(kind)) = (field(), field(), field()) else {
        return Err(FIELDS);
    };
    let words = fields.next().unwrap_or_default();
    if fields.next().is_some() {
        return Err(FIELDS);
    }
    if !path.starts_with(b"/") {
        return Err("the path must begin with /");
    }
    let mut flags = MountFlags::empty();
    let mut options = Vec::new();
    for word in words.split(',').filter(|w| !w.is_empty()) {
        let (flag, on) = match word {
            "ro" => (MountFlags::READ_ONLY, true),
            "rw" => (MountFlags::READ_ONLY, false),
            "nosuid" => (MountFlags::NO_SUID, true),
            "suid" => (MountFlags::NO_SUID, false),
            "nodev" => (MountFlags::NO_DEVICES, true),
            "dev" => (MountFlags::NO_DEVICES, false),
            "noexec" => (MountFlags::NO_EXECUTE, true),
            "exec" => (MountFlags::NO_EXECUTE, false),
            "sync" => (MountFlags::SYNCHRONOUS, true),
            "async" => (MountFlags::SYNCHRONOUS, false),
            "noatime" => (MountFlags::NO_ATIME, true),
            "nodiratime" => (MountFlags::NO_DIRECTORY_ATIME, true),
            "relatime" => (MountFlags::RELATIVE_ATIME, true),
            "defaults" => (MountFlags::empty(), true),
            other => {
                if !options.is_empty() {
                    options.push(b',');
                }
                options.extend(unescape(other));
                continue;
            }
        };
        flags.set(flag, on);
    }
    Ok(Entry { source, path, kind, flags, options })
}

/// Bytes in octal are what they stand for.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |byte: u8| matches!(byte, b'0'..=b'7').then(|| u32::from(byte - b'0'));
        let octal = match after {
            [a, b, c, ..] if *first == b'\\' => match (digit(*a), digit(*b), digit(*c)) {
                (Some(a), Some(b), Some(c)) => u8::try_from(a * 64 + b * 8 + c).ok(),
                _ => None,
            },
            _ => None,
        };
        bytes.push(octal.unwrap_or(*first));
        rest = &after[if octal.is_some() { 3 } else { 0 }..];
    }
    bytes
}
