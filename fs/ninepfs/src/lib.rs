//! Directories that a 9P server shares, as file systems (9P2000.L).
//!
//! ```
//! use ninepfs::{NinePFs, Options};
//! use ukfile::OpenFlags;
//! use vfs::{Context, Location, Mount, MountFlags};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let server = p9server::Server::new(folder.path(), p9server::Access::ReadWrite).unwrap();
//! # let channel = Box::leak(Box::new(p9server::Local::new(server)));
//! // In an image the channel is a driver's: `uk9p::channel(b"share0")`.
//! let fs = NinePFs::new(channel, Options::default())?;
//! let files = Context::new(Location::root_of(Mount::new(fs, b"share0", MountFlags::empty())?));
//! let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
//! let file = files.open(None, b"/today", flags, 0o600)?;
//! file.write(&[b"buy milk"])?;
//! file.file().sync(ukfile::SyncKind::All)?;
//! # assert_eq!(std::fs::read(folder.path().join("today")).unwrap(), b"buy milk");
//! # Ok::<(), ukerrno::Errno>(())
//! ```
//!
//! - Nothing is remembered but which node a file of the server has, while that node is in use, and of a
//!   directory that is listed the entries that came with the last. What others change is seen at once;
//!   `fsync` is the server's, and returns when it has. `sync` is that of each file and directory that was
//!   changed since: up to 128 are remembered, and of more the server writes the oldest at once.
//! - A file is opened on the server when it is opened here, so that it stays when its last name
//!   goes; reads and writes are cut into messages as long as server and channel allow.
//! - Errors are the server's (`Rlerror`); an answer that breaks the protocol is `EIO`.
//! - Appending is one step among the users of this image alone: the protocol has no words for it.
//!   Neither has it for `O_TMPFILE`, `fallocate`, holes, and names that change places.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod client;
mod directory;
mod files;
mod fs;
mod node;
mod written;

pub use fs::{KIND, NinePFs, Options};
