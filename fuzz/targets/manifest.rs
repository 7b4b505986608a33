#![no_main]
//! See `oxikraft_fuzz::manifest`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::manifest(bytes));
