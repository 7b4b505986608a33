//! SQLite's own speed test, as its authors wrote it. Cargo knows the folder by this crate, which is empty.
#![no_std]
#![forbid(unsafe_code)]
