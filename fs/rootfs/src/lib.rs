//! The tree of files at boot: memory, filled from the initial ram disk.
//!
//! ```
//! # let archive: &'static [u8] = include_bytes!("../../cpio/tests/two-files.cpio");
//! let root = rootfs::make(ramfs::Limits::default(), Some(archive)).unwrap();
//! let files = vfs::Context::new(root);
//! let found = files.metadata(None, b"/etc/motd", vfs::Follow::Yes)?;
//! assert_eq!((found.kind, found.size), (ukfile::Kind::Regular, 8));
//! # Ok::<(), ukerrno::Errno>(())
//! ```
//!
//! Files of the archive are not copied until they are written to. Names that lead out of the root
//! directory are refused. `/dev` has the devices, `/tmp` is there for everybody.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod extract;

use core::fmt;

use ramfs::{KIND, Limits, RamFs};
use ukerrno::Errno;
use ukplat::{BootInfo, InitError};
use vfs::{Context, Follow, Location, Mount, MountFlags};

pub use extract::extract;

/// Constants of the image.
#[derive(Debug)]
pub struct Config {
    /// Option `rootfs.size`, in bytes.
    pub size: usize,
}

/// Why there is no tree of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The initial ram disk cannot be read.
    Archive(cpio::Error),
    /// Entry number so-and-so of the initial ram disk, from 1, cannot be made.
    Entry(usize, Errno),
    /// The first directories cannot be made.
    Tree(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(error) => write!(f, "the initial ram disk is bad: {error}"),
            Self::Entry(number, error) => {
                write!(f, "cannot make entry {number} of the initial ram disk: {error}")
            }
            Self::Tree(error) => write!(f, "cannot make the root file system: {error}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<Errno> for Error {
    fn from(error: Errno) -> Self {
        Self::Tree(error)
    }
}

/// A tree with what `archive` has, `/dev`, and `/tmp`.
///
/// # Errors
/// See [`Error`].
pub fn make(limits: Limits, archive: Option<&'static [u8]>) -> Result<Location, Error> {
    let mount = Mount::new(RamFs::new(limits)?, b"rootfs", MountFlags::empty())?;
    let root = Location::root_of(mount);
    let mut files = Context::new(root.clone());
    files.umask = 0;
    if let Some(archive) = archive {
        extract(&files, archive)?;
    }
    for (path, permissions) in [("/dev", 0o755), ("/tmp", 0o1777)] {
        match files.make_directory(None, path.as_bytes(), permissions) {
            // The archive has it: as it is there.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let devices = Mount::new(devfs::file_system()?, b"devfs", MountFlags::empty())?;
    files.resolve(None, b"/dev", Follow::Yes)?.mount(&devices)?;
    Ok(root)
}

/// Boot phase `rootfs`.
///
/// # Errors
/// The initial ram disk is bad, or there is no memory.
pub fn init(boot: &'static BootInfo, config: &'static Config) -> Result<(), InitError> {
    vfs::register(&KIND).map_err(|_| InitError::new("cannot register ramfs"))?;
    let bytes = if config.size == 0 { u64::MAX } else { config.size as u64 };
    match make(Limits { bytes, ..Limits::default() }, boot.initrd) {
        Ok(root) => {
            vfs::set_root(root);
            Ok(())
        }
        Err(error) => {
            ukplat::eprintln!("{}", error);
            Err(InitError::new("there is no root file system"))
        }
    }
}
