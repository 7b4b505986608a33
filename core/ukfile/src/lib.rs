//! Open files: what files, pipes, sockets and event descriptors have in common.
//!
//! ```
//! use ukerrno::Errno;
//! use ukfile::{Description, File, OpenFlags};
//!
//! /// Reads as zeros without end.
//! struct Zeros;
//!
//! impl File for Zeros {
//!     fn read(
//!         &self,
//!         _at: &mut u64,
//!         buffers: &mut [&mut [u8]],
//!         _flags: OpenFlags,
//!     ) -> Result<usize, Errno> {
//!         buffers.iter_mut().for_each(|b| b.fill(0));
//!         Ok(ukfile::total_mut(buffers))
//!     }
//! }
//!
//! let zeros = Description::new(Zeros, OpenFlags::empty())?;
//! let mut buffer = [1; 4];
//! assert_eq!(zeros.read(&mut [&mut buffer]), Ok(4));
//! assert_eq!(buffer, [0; 4]);
//! assert_eq!(zeros.write(&[b"x"]), Err(Errno::EBADF), "not opened for writing");
//! # Ok::<(), Errno>(())
//! ```
//!
//! | item | what it is |
//! |---|---|
//! | [`File`] | the operations of an open file; file systems, pipes, sockets … implement it |
//! | [`Description`] | an *open file description* of POSIX: a file with its position and flags, shared by duplicated descriptors |
//! | [`OpenFlags`] | `O_RDONLY`, `O_APPEND`, `O_NONBLOCK` … |
//! | [`Events`], [`Watchers`], [`Watcher`] | readiness, for `poll`, `select` and `epoll` |
//! | [`Metadata`], [`Kind`], [`Timestamp`] | what `stat` tells |
//! | [`Console`] | the console of the machine as a file |
//! | [`fallible`] | allocation that fails with `ENOMEM` |
//!
//! The binary values of flags and events are Linux's.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod buffers;
mod console;
mod control;
mod description;
mod events;
pub mod fallible;
mod file;
mod flags;
mod metadata;
mod watch;

pub use buffers::{Gather, Scatter};
pub use console::Console;
pub use control::{Control, Termios, WindowSize};
pub use description::Description;
pub use events::Events;
pub use file::{File, Seek, SyncKind, total, total_mut};
pub use flags::OpenFlags;
pub use metadata::{Kind, Metadata, Timestamp, device_number, major, minor};
pub use watch::{WatchId, Watcher, Watchers};
