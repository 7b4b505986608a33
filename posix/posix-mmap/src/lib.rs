//! Memory mappings of POSIX programs: anonymous ones, and files, private or shared.
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
//! what is mapped. Protection is enforced where the platform has control of it
//! ([`ukplat::rights`]), and remembered elsewhere.
//!
//! Private mappings of files are copies, read when they are made. A shared one is the place where the
//! file is read and written as long as it is there ([`File::share`]): all in the image see what is
//! changed in it at once. The file system gets it by `msync`, `munmap`, `fsync` and at the end of
//! the image. Mappings of the same part of a file are the same memory, with the rights of all; a part
//! that overlaps one that is mapped, and is not inside of it, gives `ENOMEM`. What is behind the end
//! of the file reads as zeros.
//!
//! `MAP_32BIT` gives `ENOMEM` where the heap's memory is not in the first 2 GiB. `MADV_DONTNEED` gives
//! memory its first content again at once: zeros, or what the file of a private mapping has by then.
//!
//! Unsafe code in this crate: clearing and copying mapped memory, and giving it back.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod brk;
mod calls;
mod file;
mod memory;
mod source;
mod space;
#[cfg(test)]
mod tests;

pub use calls::{mapping_behind, start_of, unmap};
pub use file::{File, Memory, OpenFile, Shared, on_file_mapping};

/// Page size in bytes.
pub const PAGE: usize = ukalloc::PAGE_SIZE;
