//! Standard input, output and error on the console, for programs without files.
//!
//! ```
//! # use posix_stdio as _;
//! // What a C program's `write(1, …)` becomes.
//! assert_eq!(syscall_shim::call!(syscall_shim::nr::write, 1, &b"Hello\n"[..]), 6);
//! ```
//!
//! The smallest provider of the interface `files`: three descriptors that are always open. There is
//! nothing else to open, so `open` is a call that the image does not have.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;

use syscall_shim::{
    Errno, FilledBuffers, FullBuffers, IoVec, IoctlRequest, UserSlice, UserSliceMut, UserWord,
    Whence, syscall,
};
use ukfile::Console;
use ukplat::Stream;

/// Buffers of one call at most (`UIO_MAXIOV`, `limits.h` of Linux).
const IOV_MAX: usize = 1024;
/// Request of `ioctl`: how many bytes can be read.
const FIONREAD: usize = 0x541b;

/// The stream that a descriptor writes to.
fn stream(fd: i32) -> Result<Stream, Errno> {
    match fd {
        1 => Ok(Stream::Out),
        2 => Ok(Stream::Err),
        _ => Err(Errno::EBADF),
    }
}

/// Any of the three descriptors.
fn known(fd: i32) -> Result<(), Errno> {
    if (0..3).contains(&fd) { Ok(()) } else { Err(Errno::EBADF) }
}

/// Writes to the console, all of it (write(2)).
#[syscall]
fn write(fd: i32, bytes: UserSlice<u8>) -> Result<usize, Errno> {
    ukplat::console_write(stream(fd)?, bytes.as_slice());
    Ok(bytes.len())
}

/// Writes several buffers (writev(2)).
#[syscall]
fn writev(fd: i32, #[trace(FullBuffers)] buffers: UserSlice<IoVec>) -> Result<usize, Errno> {
    let stream = stream(fd)?;
    if buffers.len() > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut written = 0;
    for buffer in buffers.iter() {
        let bytes = buffer.base.slice(buffers.scope(), buffer.len)?;
        ukplat::console_write(stream, bytes.as_slice());
        written += bytes.len();
    }
    Ok(written)
}

/// Waits until something has arrived on the console and takes it (read(2)); nothing at its end.
#[syscall]
fn read(fd: i32, mut bytes: UserSliceMut<'_, u8>) -> Result<usize, Errno> {
    if fd != 0 {
        return Err(Errno::EBADF);
    }
    Console::wait(bytes.as_mut_slice())
}

/// Fills several buffers with what has arrived (readv(2)).
#[syscall]
fn readv(fd: i32, #[trace(FilledBuffers)] buffers: UserSlice<IoVec>) -> Result<usize, Errno> {
    if fd != 0 {
        return Err(Errno::EBADF);
    }
    if buffers.len() > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut taken = 0;
    for buffer in buffers.iter() {
        let mut bytes = buffer.base.slice_mut(buffers.scope(), buffer.len)?;
        let bytes = bytes.as_mut_slice();
        // Only the first byte is waited for.
        let here = if taken == 0 { Console::wait(bytes)? } else { Console::take(bytes) };
        taken += here;
        if here < bytes.len() {
            break;
        }
    }
    Ok(taken)
}

/// Tells how many bytes have arrived; the console is not a terminal that could be asked or set
/// (ioctl(2)).
#[syscall]
fn ioctl(fd: i32, #[trace(IoctlRequest)] request: usize, argument: UserWord) -> Result<(), Errno> {
    known(fd)?;
    if request != FIONREAD {
        return Err(Errno::ENOTTY);
    }
    argument.pointer::<i32>()?.write(Console::available() as i32);
    Ok(())
}

/// The console has no positions (lseek(2)).
#[syscall]
fn lseek(fd: i32, _offset: i64, #[trace(Whence)] _whence: i32) -> Result<i64, Errno> {
    known(fd)?;
    Err(Errno::ESPIPE)
}

/// Accepts that a program is done with a stream, which stays (close(2)).
#[syscall]
fn close(fd: i32) -> Result<(), Errno> {
    known(fd)
}
