#![no_main]
//! See `oxikraft_fuzz::allocators`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::allocators(bytes));
