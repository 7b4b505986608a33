#![no_main]
//! See `oxikraft_fuzz::cmdline`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::cmdline(bytes));
