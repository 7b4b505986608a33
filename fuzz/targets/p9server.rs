#![no_main]
//! See `oxikraft_fuzz::p9server`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::p9server(bytes));
