//! SQLite, from the sources that the crate `sqlite3-src` carries. Cargo knows the folder by this
//! crate, which is empty.
#![no_std]
#![forbid(unsafe_code)]
