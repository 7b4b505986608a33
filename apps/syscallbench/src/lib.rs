//! Measures what a system call costs, `syscallbench.c`. Cargo knows the folder by this crate, which
//! is empty.
#![no_std]
#![forbid(unsafe_code)]
