//! What can go wrong.

use core::fmt;

use ukdma::DmaError;
use ukerrno::Errno;

/// Why something with a network device failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetError {
    /// The device has no such queue.
    NoQueue,
    /// Somebody has the queue.
    InUse,
    /// The frame is shorter than its header, or longer than the link takes.
    BadLength,
    /// There is too little room in front of the frame.
    Headroom,
    /// The frame is in more pieces than the device takes, or in memory that it cannot reach.
    Pieces,
    /// The device broke the rules of its bus, or is gone, and is used no more.
    Broken,
    /// There is no memory.
    OutOfMemory,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NetError::NoQueue => "the device has no such queue",
            NetError::InUse => "the queue is in use",
            NetError::BadLength => "the frame is too short or too long",
            NetError::Headroom => "there is too little room in front of the frame",
            NetError::Pieces => "the frame is in too many pieces",
            NetError::Broken => "the device broke the rules of its bus and is used no more",
            NetError::OutOfMemory => "no memory for a frame",
        })
    }
}

impl core::error::Error for NetError {}

impl From<NetError> for Errno {
    fn from(error: NetError) -> Self {
        match error {
            NetError::NoQueue | NetError::Broken => Errno::ENODEV,
            NetError::InUse => Errno::EBUSY,
            NetError::BadLength => Errno::EMSGSIZE,
            NetError::Headroom | NetError::Pieces => Errno::EINVAL,
            NetError::OutOfMemory => Errno::ENOMEM,
        }
    }
}

impl From<DmaError> for NetError {
    fn from(error: DmaError) -> Self {
        match error {
            DmaError::OutOfMemory => NetError::OutOfMemory,
            DmaError::Unreachable | DmaError::Order | DmaError::TooManySegments => NetError::Pieces,
        }
    }
}
