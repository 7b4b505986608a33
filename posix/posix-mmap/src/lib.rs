//! Memory mappings of POSIX programs: anonymous ones, and private copies of files.
//!
//! ```
//! # use posix_mmap as _;
//! # use syscall_shim::{Errno, call, nr};
//! // A mapping must have a length.
//! assert_eq!(call!(nr::mmap, 0, 0usize, 3, 0x22, -1, 0), Errno::EINVAL.to_raw());
//! ```
//!
//! A mapping is memory of the heap, taken when it is made: programs that reserve far more than they
//! use must be given that much. Address ranges are the heap's choice; `MAP_FIXED` works inside of
//! what is mapped. Protection is remembered and not enforced: all memory stays readable and
//! writable. Private mappings of files are copies, read when they are made, if the image has files
//! (see [`on_file_mapping`]); shared ones fail with `ENODEV`.
//!
//! Unsafe code in this crate: clearing and copying mapped memory, and giving it back.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod brk;
mod calls;
mod memory;
mod space;
#[cfg(test)]
mod tests;

pub use calls::{FileReader, mappings, on_file_mapping, start_of, unmap};

/// Page size in bytes.
pub const PAGE: usize = ukalloc::PAGE_SIZE;
