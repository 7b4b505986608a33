//! Pipes and named pipes.
//!
//! ```
//! use ukfile::OpenFlags;
//!
//! let (reader, writer) = pipe::pipe(OpenFlags::empty())?;
//! writer.write(&[b"through the ", b"pipe"])?;
//! drop(writer);
//! let mut text = [0; 20];
//! assert_eq!(reader.read(&mut [&mut text])?, 16);
//! assert_eq!(&text[..16], b"through the pipe");
//! assert_eq!(reader.read(&mut [&mut text])?, 0, "nobody writes any more");
//! # Ok::<(), ukerrno::Errno>(())
//! ```
//!
//! Writes of up to [`ATOMIC`] bytes come out in one piece. A pipe holds [`DEFAULT_CAPACITY`] bytes
//! unless [`set_capacity`] said otherwise, and takes memory for what is in it. The calls are those
//! of `pipe(7)` and `fifo(7)`; that nobody reads any more is `EPIPE`, and the signal is up to the
//! layer above.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod fifo;
mod ring;
mod state;

use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::{Control, Description, OpenFlags};

pub use fifo::Fifo;
pub use state::End;

/// Writes of at most this many bytes are not mixed with others (`PIPE_BUF`).
pub const ATOMIC: usize = 4096;
/// Bytes that a new pipe holds.
pub const DEFAULT_CAPACITY: usize = 65536;
/// Bytes that a pipe can be made to hold, `/proc/sys/fs/pipe-max-size`.
pub const MAX_CAPACITY: usize = 1 << 20;

/// A new pipe: the end that reads, and the end that writes. Of `flags` counts what
/// [`OpenFlags::SETTABLE`] has.
///
/// # Errors
/// `ENOMEM`
pub fn pipe(flags: OpenFlags) -> Result<(Arc<Description>, Arc<Description>), Errno> {
    let flags = flags & OpenFlags::SETTABLE;
    let pipe = state::Pipe::new()?;
    let reader = Description::new(End::new(&pipe, true, false), flags | OpenFlags::READ_ONLY)?;
    let writer = Description::new(End::new(&pipe, false, true), flags | OpenFlags::WRITE_ONLY)?;
    Ok((reader, writer))
}

fn control(file: &Description, request: Control<'_>) -> Result<usize, Errno> {
    file.file().control(request).map_err(|error| match error {
        Errno::ENOTTY => Errno::EBADF,
        error => error,
    })
}

/// Bytes that the pipe, with or without a name, holds at most (`F_GETPIPE_SZ`).
///
/// # Errors
/// `EBADF` when it is no pipe.
pub fn capacity(file: &Description) -> Result<usize, Errno> {
    control(file, Control::PipeSize)
}

/// Makes the pipe hold at least `bytes`, rounded up to a power of two of pages; returns how many
/// (`F_SETPIPE_SZ`).
///
/// # Errors
/// `EBADF` when it is no pipe; `EBUSY` when there is more in it; `EINVAL`; `EPERM` beyond
/// [`MAX_CAPACITY`].
pub fn set_capacity(file: &Description, bytes: usize) -> Result<usize, Errno> {
    control(file, Control::SetPipeSize(bytes))
}

#[cfg(test)]
mod tests;
