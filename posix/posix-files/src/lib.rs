//! System calls on files: open, read, stat, rename, mount and their relatives.
//!
//! ```
//! use posix_files::start;
//! use syscall_shim::{call, nr};
//!
//! let root = vfs::Mount::new(
//!     ramfs::RamFs::new(ramfs::Limits::default())?,
//!     b"none",
//!     vfs::MountFlags::empty(),
//! )?;
//! start(vfs::Location::root_of(root))?;
//! assert_eq!(call!(nr::mkdir, c"/data", 0o755), 0);
//! // O_CREAT | O_RDWR; 0, 1 and 2 are the console.
//! assert_eq!(call!(nr::open, c"/data/log", 0o102, 0o644), 3);
//! assert_eq!(call!(nr::write, 3, &b"started\n"[..]), 8);
//! # Ok::<(), ukerrno::Errno>(())
//! ```
//!
//! Descriptors stand for open files of any kind, and 0, 1 and 2 for the console. Each call does what its manual page says, on top of [`vfs`] and [`fdtab`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod again;
mod at;
mod attributes;
mod control;
mod descriptors;
mod directories;
mod locks;
mod mapping;
mod memory;
mod mounts;
mod names;
mod open;
mod process;
mod stat;
mod storage;
mod traced;
mod transfer;
mod vectors;

use ukerrno::Errno;
use ukfile::{Description, OpenFlags};
use ukplat::{BootInfo, InitError};
use vfs::{Context, Location};

pub use again::place_of;
pub use process::{context, descriptor, update};
pub use ukfile::Console;

/// Boot phase `files`: the tree of files becomes the process's, and the console its first three
/// descriptors.
///
/// # Errors
/// There is no tree, or no memory.
pub fn init(_boot: &'static BootInfo) -> Result<(), InitError> {
    let root = vfs::root().ok_or(InitError::new("there is no root file system"))?;
    start(root).map_err(|_| InitError::new("no memory for the table of files"))
}

/// Makes `root` the root and working directory, and opens the console as descriptors 0, 1 and 2.
///
/// # Errors
/// `ENOMEM`, `EMFILE`
pub fn start(root: Location) -> Result<(), Errno> {
    again::prepare(&root)?;
    process::set(Context::new(root))?;
    posix_process::on_identity_change(&process::IDENTITY);
    posix_mmap::on_file_mapping(&mapping::OPEN);
    let console = Description::new(Console::default(), OpenFlags::READ_WRITE)?;
    let errors = Description::new(Console::errors(), OpenFlags::READ_WRITE)?;
    for file in [console.clone(), console, errors] {
        fdtab::TABLE.insert(file, false)?;
    }
    Ok(())
}

/// Closes all files, and writes back what file systems hold.
pub fn shut_down() {
    let mut from = 0;
    while let Some(fd) = fdtab::TABLE.next(from) {
        // Errors have nobody to be told to any more.
        let _ = descriptors::close_one(fd);
        from = fd;
    }
    let _ = storage::sync_all();
}
