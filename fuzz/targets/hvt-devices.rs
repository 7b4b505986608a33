#![no_main]
//! See `oxikraft_fuzz::hvt_devices`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::hvt_devices(bytes));
