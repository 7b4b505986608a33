#![no_main]
//! See `oxikraft_fuzz::cpio`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::cpio(bytes));
