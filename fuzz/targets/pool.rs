#![no_main]
//! See `oxikraft_fuzz::pool`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::pool(bytes));
