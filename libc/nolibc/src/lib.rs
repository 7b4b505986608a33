//! A small C library in Rust for tiny programs.
//!
//! ```
//! use nolibc::number;
//!
//! let parsed = number::integer(b"  -0x2a, and more", 0).unwrap();
//! assert_eq!((parsed.signed(), parsed.used), (Ok(-42), 7));
//! ```
//!
//! It has what a program needs that computes and talks to its console: strings and memory, characters,
//! numbers, `printf` and its family, sorting, the heap of the image, standard streams, and files by
//! descriptor. It has no threads, signals, locales, wide characters and files as streams: for those
//! there is `musl`.
//!
//! Programs are linked with an archive that `oxk` builds of these sources: `c` has the functions under
//! their C names, and calls the modules beside it, which are plain Rust and tested on the host. On the
//! system's side this crate starts the program, as [`crt0`] says:
//!
//! ```ignore
//! nolibc::entry!(HEAP_MAIN);
//! ```
//!
//! Unsafe code in this crate: the interface to C, in `c`.
#![cfg_attr(not(test), no_std)]

#[cfg(feature = "archive")]
mod c;
pub mod decimal;
pub mod errno;
pub mod format;
pub mod number;
pub mod sort;
pub mod stream;
#[cfg(not(feature = "archive"))]
mod system;
#[cfg(test)]
mod tests;

#[cfg(not(feature = "archive"))]
pub use system::{ENV, PROGRAM};

#[cfg(not(feature = "archive"))]
#[doc(hidden)]
pub use crt0;
