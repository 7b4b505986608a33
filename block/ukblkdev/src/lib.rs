//! Block devices: what drivers implement, and what file systems and caches use.
//!
//! A driver implements [`BlockDevice`] and [registers](register) what it finds. Everybody else uses
//! [`Disk`]s: one call for one transfer, [batches](Disk::batch) of writes, or several requests
//! [started](Disk::start) before the first is waited for.
//!
//! A request owns its [`Buffer`] until it is done, so that memory which a device may still write is
//! never looked at; errors give the buffer back. Whatever a device does, its results are results:
//! [`BlockError`].
//!
//! ```
//! use ukblkdev::{Operation, model::Memory};
//! use ukdma::Buffer;
//!
//! let disk = ukblkdev::register(Box::new(Memory::new(512, 64)));
//! disk.write(3, &[7; 1024])?;
//! disk.flush()?;
//!
//! // Two requests at a time.
//! let first = disk.start(Operation::Read, 3, Buffer::new(512)?).map_err(|(_, error)| error)?;
//! let second = disk.start(Operation::Read, 5, Buffer::new(512)?).map_err(|(_, error)| error)?;
//! let (buffer, result) = first.finish();
//! result?;
//! assert!(buffer.iter().all(|b| *b == 7));
//! let (buffer, result) = second.finish();
//! result?;
//! assert!(buffer.iter().all(|b| *b == 0));
//! assert!(disk.write(64, &[0; 512]).is_err(), "there is no block 64");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod batch;
mod device;
mod disk;
mod error;
#[cfg(feature = "model")]
pub mod model;
mod registry;
mod ticket;

pub use batch::Batch;
pub use device::{BlockDevice, Done, Info, Operation, Refused, Request};
pub use disk::Disk;
pub use error::BlockError;
pub use registry::{disk, disks, register};
pub use ticket::Ticket;
pub use ukdma::Buffer;

#[cfg(test)]
mod tests;
