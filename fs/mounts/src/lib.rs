//! Mounts file systems before main, as a table says.
//!
//! ```
//! let entries: Vec<_> = mounts::entries("share0 /data 9p ro;none /my\\040tmp ramfs size=1M")
//!     .collect::<Result<_, _>>()
//!     .unwrap();
//! assert_eq!(entries[0].source, b"share0");
//! assert!(entries[0].flags.contains(vfs::MountFlags::READ_ONLY));
//! assert_eq!(entries[1].path, b"/my tmp");
//! assert_eq!(entries[1].options, b"size=1M");
//! ```
//!
//! The table is a parameter, `mounts.table`, in the format of fstab(5): source, path, type, options.
//! Between entries is a `;`; bytes that cannot stand there are written in octal, `\040`. Directories
//! that are not there are made. What cannot be mounted ends the boot.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod table;

// What is mounted on: its boot phase comes before.
use rootfs as _;

use ukerrno::Errno;
use ukfile::Kind;
use ukplat::{BootInfo, InitError};
use vfs::{Context, FileSystemType, Follow, Location, Mount};

pub use table::{BadEntry, Entry, entries};

/// Parameter `mounts.table`.
pub static TABLE: ukparam::Text = ukparam::Text::new();

/// Constants of the image.
#[derive(Debug)]
pub struct Config {
    /// The kinds of file systems in the image.
    pub file_systems: &'static [&'static FileSystemType],
}

/// Boot phase `mounts`.
///
/// # Errors
/// An entry cannot be read, or not be mounted.
pub fn init(_boot: &'static BootInfo, config: &'static Config) -> Result<(), InitError> {
    for kind in config.file_systems {
        match vfs::register(kind) {
            // Some are registered by who mounts them first.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(_) => return Err(InitError::new("cannot register the kinds of file systems")),
        }
    }
    let root = vfs::root().ok_or(InitError::new("there is no root file system"))?;
    let files = Context::new(root);
    for entry in entries(TABLE.get().unwrap_or_default()) {
        let entry = entry.map_err(|BadEntry { text, expected }| {
            InitError::about("wrong entry in mounts.table:", text, expected)
        })?;
        if let Err(error) = mount(&files, &entry) {
            ukplat::eprintln!("{}: {}", entry, error);
            return Err(InitError::new("a file system cannot be mounted"));
        }
    }
    Ok(())
}

/// At the end of the image: what file systems keep in memory is written.
pub fn fini() {
    let _ = vfs::write_back_all();
    vfs::each_mount(&mut |mount| {
        if let Err(error) = mount.file_system().sync() {
            let source = mount.source().escape_ascii();
            ukplat::eprintln!("what was written to {} may be lost: {}", source, error);
        }
    });
}

/// Mounts what an entry says; makes the directory if it is not there.
///
/// # Errors
/// `ENODEV` when there is no such kind of file system; `ENOTDIR`; what the file system says.
pub fn mount(files: &Context, entry: &Entry) -> Result<(), Errno> {
    let mount = Mount::open(&entry.kind, &entry.source, &entry.options, entry.flags)?;
    make_directories(files, &entry.path)?;
    let at: Location = files.resolve(None, &entry.path, Follow::Yes)?;
    if at.node.kind() != Kind::Directory {
        return Err(Errno::ENOTDIR);
    }
    at.mount(&mount)
}

fn make_directories(files: &Context, path: &[u8]) -> Result<(), Errno> {
    let ends = path.iter().enumerate().skip(1).filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    for end in ends.chain([path.len()]) {
        match files.make_directory(None, &path[..end], 0o755) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
