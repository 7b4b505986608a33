//! The smallest application in C, `hello.c`. Cargo knows the folder by this crate, which is empty.
#![no_std]
#![forbid(unsafe_code)]
