//! Memory that devices read and write, in safe Rust.
//!
//! Two kinds, because a device is another thread that nobody checks:
//!
//! - [`Shared`] memory, which a driver and its device use at the same time, as rings: atomics that
//!   live for ever, cut from an [`Arena`].
//! - Owned memory, which the device has for a while, as the data of a request. The driver gives
//!   the owner away ([`Buffer`], `Vec<u8>`) and gets it back when the device is done;
//!   in between nobody can look. What a driver hands to a device are the [`Segment`]s of a
//!   [`SegmentList`], and only these two kinds of memory can be put on one.
//!
//! ```
//! use ukdma::{Arena, Buffer, SegmentList, Segments};
//!
//! /// A request: the device reads the first buffer and writes the second.
//! struct Copy { from: Buffer, to: Vec<u8> }
//! impl Segments for Copy {
//!     fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
//!         list.device_reads(&mut self.from);
//!         list.device_writes(&mut self.to);
//!     }
//! }
//!
//! let mut arena = Arena::new(4096)?;
//! let ring = arena.take::<core::sync::atomic::AtomicU16>(8, 2).expect("the arena has room");
//! ring[0].store(1, core::sync::atomic::Ordering::Relaxed);
//!
//! let mut copy = Copy { from: Buffer::new(512)?, to: vec![0; 512] };
//! let mut room = Vec::with_capacity(4);
//! let mut list = SegmentList::new(&mut room);
//! copy.segments(&mut list);
//! assert_eq!(list.finish()?.len(), 2);
//! # Ok::<(), ukdma::DmaError>(())
//! ```
//!
//! Unsafe code in this crate: the allocation of arenas and buffers, slices of atomics made of an
//! arena, and the promise that moving an owner does not move its bytes.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod arena;
mod buffer;
mod segment;

use core::fmt;

pub use arena::{Arena, Shared, SharedWord, frame};
pub use buffer::{Buffer, StableBytes};
pub use segment::{Segment, SegmentList, Segments};

/// Why memory cannot be given to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmaError {
    /// There is no memory.
    OutOfMemory,
    /// The device cannot reach the memory.
    Unreachable,
    /// The request has more pieces than the driver has room for.
    TooManySegments,
    /// A piece that the device reads comes after one that it writes.
    Order,
}

impl fmt::Display for DmaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DmaError::OutOfMemory => "no memory for a device",
            DmaError::Unreachable => "a device cannot reach this memory",
            DmaError::TooManySegments => "the memory of a request is in too many pieces",
            DmaError::Order => "what a device reads must come before what it writes",
        })
    }
}

impl core::error::Error for DmaError {}

#[cfg(test)]
mod tests;
