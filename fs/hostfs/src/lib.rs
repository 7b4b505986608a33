//! Directories of the host as file systems, for images that are Linux processes.
//!
//! ```
//! use hostfs::HostFs;
//! use ukfile::OpenFlags;
//! use vfs::{Context, Location, Mount, MountFlags};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().to_str().unwrap();
//! let mount = Mount::new(HostFs::new(path.as_bytes())?, b"notes", MountFlags::empty())?;
//! let files = Context::new(Location::root_of(mount));
//! let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
//! files.open(None, b"/today", flags, 0o600)?.write(&[b"buy milk"])?;
//! assert_eq!(std::fs::read(folder.path().join("today")).unwrap(), b"buy milk");
//! # Ok::<(), ukerrno::Errno>(())
//! ```
//!
//! - Each node holds a descriptor of the host, opened for its path alone, and while it is open one
//!   or two for reading and writing; all operations start from those, one name at a time. So
//!   nothing leads out of the directory: neither `..`, which the tree above resolves by itself, nor
//!   symbolic links, which it follows in the image's own tree.
//! - Nothing is remembered but which node a file of the host has, while that node is in use: what
//!   the host changes is seen at once, `fsync` is the host's.
//! - Files that are made belong to whoever runs the image; errors are the host's.
//! - Devices and named pipes are those of the image: their nodes are on the host, what goes through
//!   them is not.
//!
//! Unsafe code in this crate: the system calls in `sys`.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod directory;
mod files;
mod fs;
mod node;
mod rename;
mod sys;

pub use fs::{HostFs, KIND};
pub use sys::{SYSTEM_CALLS, keeps_set_id};
