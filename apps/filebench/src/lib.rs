//! Measures calls on small files, `filebench.c`. Cargo knows the folder by this crate, which is empty.
#![no_std]
#![forbid(unsafe_code)]
