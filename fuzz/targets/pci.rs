#![no_main]
//! See `oxikraft_fuzz::pci`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::pci(bytes));
