//! The tree of files at boot: memory, filled from the initial ram disk.
//!
//! ```
//! # let archive: &'static [u8] = include_bytes!("../../cpio/tests/two-files.cpio");
//! let root = rootfs::make(ramfs::Limits::default(), [archive]).unwrap();
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

/// Parameter `rootfs.size`.
pub static SIZE: ukparam::Size = ukparam::Size::new();
/// Parameter `rootfs.directories`.
pub static DIRECTORIES: ukparam::Text = ukparam::Text::new();

/// Constants of the image.
#[derive(Debug)]
pub struct Config {
    /// An archive with the files that the manifest puts into the image.
    pub files: Option<&'static [u8]>,
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
    /// Directory number so-and-so of the option `rootfs.directories`, from 1, cannot be made.
    Directory(usize, Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(error) => write!(f, "the initial ram disk is bad: {error}"),
            Self::Entry(number, error) => {
                write!(f, "cannot make entry {number} of the initial ram disk: {error}")
            }
            Self::Directory(number, error) => {
                write!(f, "cannot make directory {number} of rootfs.directories: {error}")
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

/// A tree with what the archives have, `/dev`, and `/tmp`. Later archives replace what earlier ones have.
///
/// # Errors
/// See [`Error`].
pub fn make(
    limits: Limits,
    archives: impl IntoIterator<Item = &'static [u8]>,
) -> Result<Location, Error> {
    let mount = Mount::new(RamFs::new(limits)?, b"rootfs", MountFlags::empty())?;
    let root = Location::root_of(mount);
    let files = maker(&root);
    for archive in archives {
        extract(&files, archive)?;
    }
    for (path, permissions) in [("/dev", 0o755), ("/tmp", 0o1777)] {
        make_directory(&files, path.as_bytes(), permissions)?;
    }
    let devices = Mount::new(devfs::file_system()?, b"devfs", MountFlags::empty())?;
    files.resolve(None, b"/dev", Follow::Yes)?.mount(&devices)?;
    Ok(root)
}

/// Who makes the first files: the superuser, with the permissions as they are said.
fn maker(root: &Location) -> Context {
    let mut files = Context::new(root.clone());
    files.umask = 0;
    files
}

/// A directory that may be there already, and is left as it is then.
fn make_directory(files: &Context, path: &[u8], permissions: u16) -> Result<(), Errno> {
    match files.make_directory(None, path, permissions) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the directories that `words` name, with those above them.
///
/// # Errors
/// See [`Error`].
pub fn make_directories(root: &Location, words: &str) -> Result<(), Error> {
    let files = maker(root);
    for (index, path) in words.split_ascii_whitespace().enumerate() {
        let path = path.trim_matches('/').as_bytes();
        let made =
            extract::make_parents(&files, path).and_then(|()| make_directory(&files, path, 0o755));
        made.map_err(|error| Error::Directory(index + 1, error))?;
    }
    Ok(())
}

/// Boot phase `rootfs`.
///
/// # Errors
/// The initial ram disk is bad, or there is no memory.
pub fn init(boot: &'static BootInfo, config: &'static Config) -> Result<(), InitError> {
    vfs::register(&KIND).map_err(|_| InitError::new("cannot register ramfs"))?;
    let limits = match SIZE.get() {
        0 => Limits::half_of_memory(),
        size => Limits::of(size as u64),
    };
    let archives = config.files.into_iter().chain(boot.initrd);
    let made = make(limits, archives)
        .and_then(|root| make_directories(&root, DIRECTORIES.get().unwrap_or("")).map(|()| root));
    match made {
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
