//! What can go wrong.

use core::fmt;

use ukdma::DmaError;

/// The device broke the rules; the queue is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// It says that it is done with more requests than it has.
    BadIndex,
    /// It says that it is done with a request that it does not have.
    BadId,
    /// It says that it wrote more than there was room for.
    BadLength,
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RingError::BadIndex => "the device completed more requests than it has",
            RingError::BadId => "the device completed a request that it does not have",
            RingError::BadLength => "the device wrote more than a request has room for",
        })
    }
}

impl core::error::Error for RingError {}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// There is no room until a request completes.
    Full,
    /// The queue is broken.
    Broken(RingError),
    /// The memory of the request cannot be given to a device.
    Memory(DmaError),
    /// The request has no memory at all.
    Empty,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubmitError::Full => f.write_str("the queue is full"),
            SubmitError::Broken(error) => error.fmt(f),
            SubmitError::Memory(error) => error.fmt(f),
            SubmitError::Empty => f.write_str("the request has no memory for the device"),
        }
    }
}

impl core::error::Error for SubmitError {}

/// A request that was not taken comes back.
#[derive(Debug)]
pub struct Refused<T> {
    /// The request.
    pub request: T,
    /// Why.
    pub error: SubmitError,
}
