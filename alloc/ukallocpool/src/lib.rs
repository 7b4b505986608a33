//! Pools of objects of one size: taken and returned in a few instructions, for buffers of packets
//! and whatever else is needed often and all alike.
//!
//! [`Pool`] hands out memory, one object at a time or many at once under one lock; [`TypedPool`]
//! keeps values in it, which return by themselves. Memory comes from a heap or is a range that the
//! caller has. [`FixedPool`] is the same as the back end of a heap, for libraries that know only the
//! allocation interface:
//!
//! ```toml
//! [heaps.packets]
//! backend = "ukallocpool"
//! size = "1M"
//! libraries = ["uknetdev"]
//!
//! [options.ukallocpool]
//! object-size = "2K"
//! ```
//!
//! Adding memory touches none of it. Returning what is no object of the pool, or free already, ends
//! the image, as does taking a free object that was written to.
//!
//! ```
//! use core::alloc::Layout;
//! use ukalloc::SpinLock;
//! use ukallocpool::Pool;
//!
//! let mut memory = vec![0u8; 70_000];
//! let pool = Pool::new(Layout::from_size_align(2048, 64)?, SpinLock::new());
//! unsafe { pool.add_range(memory.as_mut_ptr(), 70_000) }?;
//! let mut burst = [core::ptr::null_mut(); 32];
//! assert_eq!(pool.take_batch(&mut burst), 32);
//! unsafe { pool.return_batch(&burst) };
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(not(test), no_std)]

mod fixed;
mod objects;
mod pool;

pub use fixed::{Config, FixedPool};
pub use objects::MAX_PIECES;
pub use pool::{Object, Pool, PoolError, TypedPool};

#[cfg(test)]
mod tests;
