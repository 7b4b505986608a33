//! The operations of an open file.

use core::any::Any;

use ukerrno::Errno;

use crate::{Control, Events, Kind, Metadata, OpenFlags, Watchers};

/// Where `lseek` counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// `SEEK_SET`: the start.
    Start(i64),
    /// `SEEK_CUR`: the position.
    Current(i64),
    /// `SEEK_END`: the end.
    End(i64),
    /// `SEEK_DATA`: the first byte that is no hole, from here on.
    Data(i64),
    /// `SEEK_HOLE`: the first hole from here on; the end is one.
    Hole(i64),
}

/// How much `fsync` and its relatives write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// `fdatasync`: the contents, and what is needed to find them.
    Data,
    /// `fsync`: all of the file.
    All,
}

/// An open file.
///
/// Buffers are lists, as those of `readv`. *Streams* (pipes, sockets …) have no position and leave
/// `at` as it is. Operations wait unless `flags` has [`OpenFlags::NONBLOCK`]; then `EAGAIN` says
/// that they would. [`Description`](crate::Description) has checked that the file was opened for
/// what is asked.
///
/// The defaults are those of a file that can do nothing and is always ready.
pub trait File: Any + Send + Sync {
    /// Reads at `*at`, which moves on; 0 is the end.
    ///
    /// # Errors
    /// As `read(2)`.
    fn read(
        &self,
        _at: &mut u64,
        _buffers: &mut [&mut [u8]],
        _flags: OpenFlags,
    ) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes at `*at`, which moves on; with [`OpenFlags::APPEND`] at the end.
    ///
    /// # Errors
    /// As `write(2)`.
    fn write(&self, _at: &mut u64, _buffers: &[&[u8]], _flags: OpenFlags) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Whether the file has a position: `pread` and `lseek` work.
    fn has_position(&self) -> bool {
        false
    }

    /// Where `to` is, seen from the position `at`.
    ///
    /// # Errors
    /// As `lseek(2)`.
    fn seek(&self, _at: u64, _to: Seek) -> Result<u64, Errno> {
        Err(Errno::ESPIPE)
    }

    /// What `fstat` tells. As on Linux all that have no metadata of their own are
    /// [`Kind::Anonymous`], and one file for record locks.
    ///
    /// # Errors
    /// As `fstat(2)`.
    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata {
            kind: Kind::Anonymous,
            permissions: 0o600,
            links: 1,
            block_size: 4096,
            ..Metadata::default()
        })
    }

    /// What it is ready for at this moment.
    fn ready(&self) -> Events {
        Events::READABLE | Events::WRITABLE
    }

    /// Where to be told of changes of [`File::ready`]; `None` if it never changes.
    fn watchers(&self) -> Option<&Watchers> {
        None
    }

    /// Whether it may get ready without telling [`File::watchers`]: a timer, a device that has to be
    /// asked, or what watches such files. [`File::ready_at`] says when to look. It is one or is not,
    /// from the beginning to the end.
    fn is_timed(&self) -> bool {
        false
    }

    /// When, in nanoseconds of the monotonic clock, to look again at a file that
    /// [is timed](File::is_timed) and was not [ready](File::ready). Watchers are told when this
    /// becomes another time, as they are when it gets ready.
    fn ready_at(&self) -> Option<u64> {
        None
    }

    /// `ioctl`.
    ///
    /// # Errors
    /// As `ioctl(2)`; `ENOTTY` for requests that this kind of file does not have.
    fn control(&self, _request: Control<'_>) -> Result<usize, Errno> {
        Err(Errno::ENOTTY)
    }

    /// Waits until what was written cannot be lost.
    ///
    /// # Errors
    /// As `fsync(2)`.
    fn sync(&self, _what: SyncKind) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// A descriptor of it was closed, perhaps not the last.
    ///
    /// # Errors
    /// What earlier writes could not do.
    fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }
}

/// Bytes in a list of buffers.
pub fn total(buffers: &[&[u8]]) -> usize {
    buffers.iter().map(|b| b.len()).sum()
}

/// Bytes in a list of buffers to be filled.
pub fn total_mut(buffers: &[&mut [u8]]) -> usize {
    buffers.iter().map(|b| b.len()).sum()
}
