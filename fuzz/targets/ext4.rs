#![no_main]
//! See `oxikraft_fuzz::ext4`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::ext4(bytes));
