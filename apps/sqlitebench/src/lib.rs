//! Measures SQLite from the inside: `bench.c`, which `oxk bench sqlite` also builds as a program
//! for Linux. Cargo knows the folder by this crate, which is empty.
#![no_std]
#![forbid(unsafe_code)]
