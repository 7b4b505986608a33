#![no_main]
//! See `oxikraft_fuzz::pvh`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::pvh(bytes));
