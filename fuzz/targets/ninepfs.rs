#![no_main]
//! See `oxikraft_fuzz::ninepfs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::ninepfs(bytes));
