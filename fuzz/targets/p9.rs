#![no_main]
//! See `oxikraft_fuzz::p9`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::p9(bytes));
