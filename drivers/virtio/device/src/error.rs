//! Why a device cannot be used.

use core::fmt;

use ukdma::DmaError;

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It keeps only the rules from before version 1.
    Legacy,
    /// It does not work with the features that the driver can do.
    Features,
    /// It does not have the queue.
    NoQueue(u16),
    /// Its registers are not where they should be, or make no sense.
    Registers,
    /// What it says of itself makes no sense.
    Config(&'static str),
    /// It did not finish a reset in time.
    Reset,
    /// Memory for it.
    Memory(DmaError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Legacy => f.write_str(
                "it is a legacy device; make it a modern one (QEMU: disable-legacy=on, \
                 -global virtio-mmio.force-legacy=false)",
            ),
            Error::Features => f.write_str("it refuses the features that the driver can do"),
            Error::NoQueue(index) => write!(f, "it has no queue {index}"),
            Error::Registers => f.write_str("its registers make no sense"),
            Error::Config(what) => f.write_str(what),
            Error::Reset => f.write_str("it cannot be reset"),
            Error::Memory(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl From<DmaError> for Error {
    fn from(error: DmaError) -> Self {
        Error::Memory(error)
    }
}
