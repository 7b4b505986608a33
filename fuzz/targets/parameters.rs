#![no_main]
//! See `oxikraft_fuzz::parameters`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::parameters(bytes));
