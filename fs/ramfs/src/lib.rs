//! A file system in memory.
//!
//! ```
//! use ramfs::{Limits, RamFs};
//! use ukfile::OpenFlags;
//! use vfs::{Context, Location, Mount, MountFlags};
//!
//! let mount = Mount::new(RamFs::new(Limits::default())?, b"none", MountFlags::empty())?;
//! let files = Context::new(Location::root_of(mount));
//! let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
//! let file = files.open(None, b"/notes", flags, 0o600)?;
//! file.write(&[b"buy milk"])?;
//! let mut text = [0; 4];
//! file.read_at(4, &mut [&mut text], OpenFlags::empty())?;
//! assert_eq!(&text, b"milk");
//! # Ok::<(), ukerrno::Errno>(())
//! ```
//!
//! - Directories are hash tables; their order of listing is that of creation, and positions in it
//!   stay valid whatever happens in between.
//! - Files of up to 64 bytes are in their node; larger ones are 4 KiB pages in a tree as high as the
//!   file is long. Holes take nothing. What was given at boot
//!   ([`RamFs::add_static`]) stays where it is until it is written to.
//! - Each node has its own locks; only renames are one at a time for a file system.
//! - [`Limits`] bound memory and nodes: beyond is `ENOSPC`. No memory at all is `ENOMEM`.
//!
//! Times of access are kept as with Linux's `relatime`, without the daily update.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod content;
mod directory;
mod files;
mod fs;
mod node;
mod pages;
mod rename;

pub use fs::{KIND, Limits, RamFs};
