//! Reads cpio archives, as initial ram disks are.
//!
//! ```
//! # let archive: &[u8] = include_bytes!("../tests/two-files.cpio");
//! for entry in cpio::entries(archive) {
//!     let entry = entry?;
//!     println!("{:o} {} bytes {}", entry.mode, entry.data.len(), entry.name.escape_ascii());
//! }
//! # assert_eq!(cpio::entries(archive).count(), 3);
//! # Ok::<(), cpio::Error>(())
//! ```
//!
//! The format is "newc", with or without checksums (`cpio(5)`). Archives may follow each other, as
//! boot loaders join them, with zeros in between. Nothing is copied and nothing allocated; whatever
//! the bytes are, the result is entries or an [`Error`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::fmt;

/// Bytes of a header: a magic number of 6 digits and 13 fields of 8.
const HEADER: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!";

/// A file, directory, link or device of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Entry<'a> {
    /// Path, as it stands there.
    pub name: &'a [u8],
    /// Type and permissions, as `st_mode`.
    pub mode: u32,
    /// Owner.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Number of names that the file has in the archive; with more than one, those with the same
    /// `inode` and `device` are the same file, and one of them has the data.
    pub links: u32,
    /// Number of the file.
    pub inode: u32,
    /// Number of its device, major and minor.
    pub device: (u32, u32),
    /// Number of the device that a device file stands for, major and minor.
    pub special: (u32, u32),
    /// Seconds since 1970 when its contents last changed.
    pub modified: u32,
    /// Contents, or where a link leads to.
    pub data: &'a [u8],
}

/// What is wrong with an archive, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no header where one must be.
    NotNewc(usize),
    /// A field of a header is not made of hexadecimal digits.
    BadNumber(usize),
    /// A name is empty or has no zero at its end.
    BadName(usize),
    /// The archive ends within an entry.
    CutOff(usize),
    /// The contents do not have the sum that the header tells.
    BadChecksum(usize),
    /// The archive ends without a trailer.
    NoTrailer(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, at) = match self {
            Self::NotNewc(at) => ("no cpio archive of format newc", at),
            Self::BadNumber(at) => ("cpio header with a field that is no number", at),
            Self::BadName(at) => ("cpio entry without a name", at),
            Self::CutOff(at) => ("cpio archive cut off in the entry", at),
            Self::BadChecksum(at) => ("cpio entry with a wrong checksum", at),
            Self::NoTrailer(at) => ("cpio archive without its trailer", at),
        };
        write!(f, "{what} at byte {at}")
    }
}

impl core::error::Error for Error {}

/// The entries of `archive`, and of those that follow it.
pub fn entries(archive: &[u8]) -> Entries<'_> {
    Entries { archive, at: 0, inside: true, failed: false }
}

/// Iterator of [`entries`]; ends after the first error.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    archive: &'a [u8],
    at: usize,
    /// Between the start of an archive and its trailer.
    inside: bool,
    failed: bool,
}

impl<'a> Entries<'a> {
    fn field(&self, index: usize) -> Result<u32, Error> {
        let at = self.at + 6 + 8 * index;
        let digits = self.archive.get(at..at + 8).ok_or(Error::CutOff(self.at))?;
        digits.iter().try_fold(0, |value, &digit| {
            let digit = char::from(digit).to_digit(16).ok_or(Error::BadNumber(at))?;
            Ok(value << 4 | digit)
        })
    }

    fn entry(&mut self) -> Result<Option<Entry<'a>>, Error> {
        if !self.inside {
            let zeros = self.archive[self.at..].iter().take_while(|&&b| b == 0).count();
            self.at += zeros;
            if self.at == self.archive.len() {
                return Ok(None);
            }
            self.inside = true;
        }
        let start = self.at;
        if start == self.archive.len() {
            return Err(Error::NoTrailer(start));
        }
        let sum = match self.archive.get(start..start + 6) {
            Some(b"070701") => false,
            Some(b"070702") => true,
            _ => return Err(Error::NotNewc(start)),
        };
        let name_length = self.field(11)? as usize;
        let length = self.field(6)? as usize;
        let name_start = start + HEADER;
        let name_end = name_start.checked_add(name_length).ok_or(Error::CutOff(start))?;
        let data_start = name_end.checked_next_multiple_of(4).ok_or(Error::CutOff(start))?;
        let data_end = data_start.checked_add(length).ok_or(Error::CutOff(start))?;
        let name = self.archive.get(name_start..name_end).ok_or(Error::CutOff(start))?;
        let data = match length {
            0 => &[],
            _ => self.archive.get(data_start..data_end).ok_or(Error::CutOff(start))?,
        };
        let Some((0, name)) = name.split_last() else { return Err(Error::BadName(name_start)) };
        if name.is_empty() || name.contains(&0) {
            return Err(Error::BadName(name_start));
        }
        if sum && data.iter().fold(0u32, |s, &b| s.wrapping_add(b.into())) != self.field(12)? {
            return Err(Error::BadChecksum(start));
        }
        let entry = Entry {
            name,
            inode: self.field(0)?,
            mode: self.field(1)?,
            user: self.field(2)?,
            group: self.field(3)?,
            links: self.field(4)?,
            modified: self.field(5)?,
            device: (self.field(7)?, self.field(8)?),
            special: (self.field(9)?, self.field(10)?),
            data,
        };
        // The padding of the last one may be missing.
        let next = data_end.checked_next_multiple_of(4).unwrap_or(data_end);
        self.at = next.min(self.archive.len());
        Ok(Some(entry))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let mut entry = self.entry();
        while matches!(entry, Ok(Some(Entry { name: TRAILER, .. }))) {
            self.inside = false;
            entry = self.entry();
        }
        self.failed = !matches!(entry, Ok(Some(_)));
        entry.transpose()
    }
}

#[cfg(test)]
mod tests;
