//! A file system of texts that are made when they are read.
//!
//! ```
//! use std::fmt::Write;
//! use ukerrno::Errno;
//! use ukfile::OpenFlags;
//! use vfs::{Context, Location, Mount, MountFlags};
//!
//! procfs::register("uptime", procfs::Content::Text(|out| {
//!     // What the memory for the text cannot take is an error of the read.
//!     writeln!(out, "{}.00 0.00", ukplat::monotonic_ns() / 1_000_000_000)
//! }))?;
//! let mount = Mount::new(procfs::file_system(), b"proc", MountFlags::empty())?;
//! let files = Context::new(Location::root_of(mount));
//! let mut text = [0; 100];
//! let file = files.open(None, b"/uptime", OpenFlags::empty(), 0)?;
//! let len = file.read(&mut [&mut text])?;
//! assert!(text[..len].ends_with(b".00 0.00\n"));
//! # Ok::<(), Errno>(())
//! ```
//!
//! Which files there are, other libraries say: they [register] texts, links and directories under
//! their paths. Memory that runs out is an error of calls. It is mounted at `/proc` when the image boots.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod node;
#[cfg(test)]
mod tests;
mod tree;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ukerrno::Errno;
use ukplat::{BootInfo, InitError};
use vfs::{Context, FileSystem, FileSystemType, Follow, Location, Mount, MountFlags};

pub use tree::{file_system, register};

/// What is under a path.
#[derive(Clone, Copy)]
pub enum Content {
    /// A text, made when it is read. An error means that there is no memory.
    Text(fn(&mut dyn fmt::Write) -> fmt::Result),
    /// A text that can be written to as well: the function gets what is written at once.
    Setting(fn(&mut dyn fmt::Write) -> fmt::Result, fn(&[u8]) -> Result<(), Errno>),
    /// A symbolic link.
    Link(fn() -> Result<Vec<u8>, Errno>),
    /// A directory whose entries come and go.
    Directory(&'static dyn Directory),
    /// A directory of directories that come and go, with the same files in each.
    Family(&'static dyn Family),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Setting(..) => "Setting",
            Self::Link(_) => "Link",
            Self::Directory(_) => "Directory",
            Self::Family(_) => "Family",
        })
    }
}

/// A directory whose entries come and go. They are named by numbers.
pub trait Directory: Sync {
    /// The smallest number from `from` on.
    fn next(&self, from: u64) -> Option<u64>;

    /// Where the symbolic link of a number leads to.
    ///
    /// # Errors
    /// `ENOENT` when there is no such number; `ENOMEM`
    fn link(&self, number: u64) -> Result<Vec<u8>, Errno>;

    /// Where following the link of a number leads to, when that is not the path that it tells.
    /// `through` is the mount in which the link is.
    ///
    /// # Errors
    /// As [`vfs::Node::jump`].
    fn jump(&self, _number: u64, _through: &Arc<Mount>) -> Result<Option<Location>, Errno> {
        Ok(None)
    }
}

/// A directory of directories that come and go. They are named by numbers, and have the same files.
pub trait Family: Sync {
    /// The smallest number from `from` on.
    fn next(&self, from: u64) -> Option<u64>;
    /// The files of each.
    fn members(&self) -> &'static [Member];
}

/// Gets what is written to a file of a [`Family`], with the number of its directory.
pub type SetMember = fn(u64, &[u8]) -> Result<(), Errno>;

/// A file of each directory of a [`Family`].
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Writes its text, given the directory's number.
    pub write: fn(u64, &mut dyn fmt::Write) -> fmt::Result,
    /// Gets what is written to it at once; none where it cannot be written to.
    pub set: Option<SetMember>,
}

/// The kind of file system, for `mount`.
pub static KIND: FileSystemType = FileSystemType {
    name: "proc",
    aliases: &[],
    virtual_only: true,
    open: |_, _, _| Ok(file_system()),
};

/// A text that grows as long as there is memory.
struct Growing(Vec<u8>);

impl fmt::Write for Growing {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.0.try_reserve(more.len()).map_err(|_| fmt::Error)?;
        self.0.extend_from_slice(more.as_bytes());
        Ok(())
    }
}

/// The text of a file, as it is now.
fn text_of(write: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result) -> Result<Vec<u8>, Errno> {
    let mut text = Growing(Vec::new());
    write(&mut text).map_err(|_| Errno::ENOMEM)?;
    Ok(text.0)
}

/// A text, for links.
///
/// ```
/// assert_eq!(procfs::text(format_args!("pipe:[{}]", 7)), Ok(b"pipe:[7]".to_vec()));
/// ```
///
/// # Errors
/// `ENOMEM`
pub fn text(arguments: fmt::Arguments<'_>) -> Result<Vec<u8>, Errno> {
    text_of(|out| out.write_fmt(arguments))
}

/// Boot phase `procfs`: mounts it at `/proc`.
///
/// # Errors
/// There is no memory, or no root file system.
pub fn init(_boot: &'static BootInfo) -> Result<(), InitError> {
    mount().map_err(|_| InitError::new("cannot mount /proc"))
}

fn mount() -> Result<(), Errno> {
    vfs::register(&KIND)?;
    let mut files = Context::new(vfs::root().ok_or(Errno::ENOENT)?);
    files.umask = 0;
    match files.make_directory(None, b"/proc", 0o555) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error),
    }
    let file_system: Arc<dyn FileSystem> = file_system();
    let mount = Mount::new(file_system, b"proc", MountFlags::empty())?;
    let at: Location = files.resolve(None, b"/proc", Follow::Yes)?;
    at.mount(&mount)
}
