//! The tree of files: paths, mounts, permissions, above any file system.
//!
//! ```
//! use ukerrno::Errno;
//! use ukfile::OpenFlags;
//!
//! # fn some_file_system() -> std::sync::Arc<dyn vfs::FileSystem> { unimplemented!() }
//! # fn example() -> Result<(), Errno> {
//! let mount = vfs::Mount::new(some_file_system(), b"none", vfs::MountFlags::empty())?;
//! let files = vfs::Context::new(vfs::Location::root_of(mount));
//! files.make_directory(None, b"/etc", 0o755)?;
//! let flags = OpenFlags::WRITE_ONLY | OpenFlags::CREATE;
//! files.open(None, b"/etc/motd", flags, 0o644)?.write(&[b"Hello\n"])?;
//! assert_eq!(files.metadata(None, b"/etc/motd", vfs::Follow::Yes)?.size, 6);
//! assert_eq!(files.remove_directory(None, b"/etc"), Err(Errno::ENOTEMPTY));
//! # Ok(())
//! # }
//! ```
//!
//! | layer | what it does |
//! |---|---|
//! | [`Context`] | what system calls ask for: paths, permissions, sticky bits, flags of `open` |
//! | [`Location`], [`Mount`] | where a file system is in the tree |
//! | [`FileSystem`], [`Node`] | what a file system does: files, directories and links without policy |
//!
//! Names and nodes are separate: a node may have several names or, while it is open, none. Lookup
//! goes from node to node; there is no cache of paths above the file systems, which know best
//! what they have in memory. Directories know their parent, which gives `..` and `getcwd`.
//!
//! Each operation follows the manual page of Linux's system call, in the order of its errors too;
//! the tests compare with the host's.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod attributes;
mod context;
mod credentials;
mod elsewhere;
mod lock;
mod modify;
mod mount;
mod node;
mod open;
mod open_node;
mod registry;
mod rename;
mod shared;
mod walk;

pub use attributes::{Access, SetTime};
pub use context::Context;
pub use credentials::{Credentials, EXECUTE, READ, WRITE};
pub use elsewhere::{Ahead, Handles, Place};
pub use lock::{LockKind, RangeLock};
pub use mount::{Location, Mount, MountFlags, each_mount, root, set_root};
pub use node::{
    Allocate, Change, Entry, FileSystem, New, Node, NodeRef, Rename, Statistics, WriteAt,
    position_from, position_to, same,
};
pub use open_node::{
    OpenNode, OpenSpecial, allocate_open, describe, list_open, location_of, resize_open,
};
pub use registry::{
    FileSystemType, OpenDevice, OpenFileSystem, by_name, next_device, open_device, register,
    register_devices, registered,
};
pub use rename::RenameFlags;
pub use shared::{Mapping, Memory, unless_changed_as_memory, write_back_all};
pub use walk::{Follow, MAX_LINKS, MAX_NAME, MAX_PATH};
