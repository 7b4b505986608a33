//! Messages of 9P2000.L, the protocol by which directories are shared with virtual machines, in both
//! directions.
//!
//! ```
//! use p9::{Names, Request};
//!
//! let request = Request::Walk { fid: 1, new_fid: 2, names: Names::List(&[b"etc", b"motd"]) };
//! let mut message = [0; 64];
//! let length = request.encode(7, &mut message)?;
//! assert_eq!(length, request.encoded_len());
//!
//! // What the server sees:
//! let (tag, seen) = Request::decode(&message[..length])?;
//! assert_eq!((tag, seen), (7, request));
//! # Ok::<(), p9::Error>(())
//! ```
//!
//! Nothing is copied or allocated: names, data and lists are parts of the message. Each field of a
//! message is checked when it is read; what is too short, too long or not known is an [`Error`].
//! What names and numbers mean is up to client and server.
//!
//! Sources: section 5 of the Plan 9 manual (`intro(5)`), for the messages ending in `.L` the page
//! "9P2000.L" of the diod project, and Linux's `include/net/9p/9p.h`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod entry;
mod error;
mod fields;
mod message;
mod types;
mod wire;

pub use entry::DirectoryEntry;
pub use entry::{Entries, EntryWriter};
pub use error::Error;
pub use fields::{Data, Names, Qids};
pub use message::{READ_HEADER, Request, Response, WRITE_HEADER, peek};
pub use types::{
    Attributes, Lock, LockQuery, LockStatus, LockType, MAX_NAMES, NO_FID, NO_TAG, NO_USER, Qid,
    SetAttributes, Statistics, VERSION, attribute, kind, set,
};

/// Bytes before the fields of a message: its length, type, and tag.
pub const HEADER: usize = 7;

#[cfg(test)]
mod tests;
