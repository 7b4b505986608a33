//! The C library musl, with system calls that are function calls.
//!
//! Most of this folder is data: `recipe.toml` says where musl comes from and how it is built, `own/`
//! has the files that take the place of its system-call instructions, and glibc's names. This crate is
//! what the system has for it: programs start as [`crt0`] says, and their heap is the one that the
//! manifest gives to the library `musl`.
//!
//! The generated root crate of an image expands [`entry!`] once, with the heap:
//!
//! ```ignore
//! musl::entry!(HEAP_MAIN);
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[doc(hidden)]
pub use crt0;

/// Parameter `musl.env`.
pub static ENV: ukparam::Text = ukparam::Text::new();

/// The programs that it starts.
pub static PROGRAM: crt0::Program = crt0::Program { library: "musl", environment: &ENV };

/// Starts the program, with `malloc` on the heap.
#[macro_export]
macro_rules! entry {
    ($heap:expr) => {
        $crate::crt0::entry!($heap, $crate::PROGRAM);
    };
}
