//! Waiting for files: poll, select and epoll.
//!
//! ```
//! use posix_poll::{Wanted, poll};
//! use ukfile::{Events, OpenFlags};
//!
//! let (reader, writer) = pipe::pipe(OpenFlags::empty())?;
//! let mut wanted = [Wanted::new(Some(reader), Events::IN)];
//! assert_eq!(poll(&mut wanted, Some(0))?, 0, "nothing to read, and no time to wait");
//! writer.write(&[b"x"])?;
//! assert_eq!(poll(&mut wanted, None)?, 1);
//! assert_eq!(wanted[0].found, Events::IN);
//! # Ok::<(), ukerrno::Errno>(())
//! ```
//!
//! Files tell those that watch them; nothing is asked again and again, but consoles, which cannot
//! tell. Times come from the files too: a wait ends when the first timer expires, also one that an
//! instance watches which is watched itself. An `epoll` instance wakes one of those that wait for it,
//! per event; what an event takes does not depend on how many files are watched, and takes no memory.
//! Files that are closed are forgotten at once.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod calls;
mod epoll;
mod look;
mod poll;
mod select;
#[cfg(test)]
mod tests;

pub use epoll::{Edge, Epoll, Interest, Ready};
pub use poll::{Wanted, poll};
