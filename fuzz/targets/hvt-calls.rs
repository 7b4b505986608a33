#![no_main]
//! See `oxikraft_fuzz::hvt_calls`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::hvt_calls(bytes));
