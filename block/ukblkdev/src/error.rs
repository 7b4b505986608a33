//! Why a request failed.

use core::fmt;

use ukdma::DmaError;
use ukerrno::Errno;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockError {
    /// The device has no such block.
    OutOfRange,
    /// The buffer is no whole number of blocks, or longer than the device takes.
    BadLength,
    /// The device is read-only.
    ReadOnly,
    /// The device cannot do this.
    Unsupported,
    /// The device has as many requests as it takes.
    Busy,
    /// The device failed to do it.
    Io,
    /// The device broke the rules of its bus, and is used no more.
    Broken,
    /// There is no memory for the request.
    OutOfMemory,
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BlockError::OutOfRange => "the device has no such block",
            BlockError::BadLength => "the length is no whole number of blocks, or too large",
            BlockError::ReadOnly => "the device is read-only",
            BlockError::Unsupported => "the device cannot do this",
            BlockError::Busy => "the device has as many requests as it takes",
            BlockError::Io => "input/output error of the device",
            BlockError::Broken => "the device broke the rules of its bus and is used no more",
            BlockError::OutOfMemory => "no memory for a request",
        })
    }
}

impl core::error::Error for BlockError {}

impl From<BlockError> for Errno {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::OutOfRange | BlockError::BadLength => Errno::EINVAL,
            BlockError::ReadOnly => Errno::EROFS,
            BlockError::Unsupported => Errno::EOPNOTSUPP,
            BlockError::Busy => Errno::EAGAIN,
            BlockError::Io => Errno::EIO,
            BlockError::Broken => Errno::ENODEV,
            BlockError::OutOfMemory => Errno::ENOMEM,
        }
    }
}

impl From<DmaError> for BlockError {
    fn from(error: DmaError) -> Self {
        match error {
            DmaError::OutOfMemory => BlockError::OutOfMemory,
            DmaError::Unreachable | DmaError::Order => BlockError::Io,
            DmaError::TooManySegments => BlockError::BadLength,
        }
    }
}
