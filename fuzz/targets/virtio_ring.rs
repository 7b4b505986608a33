#![no_main]
//! See `oxikraft_fuzz::virtio_ring`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::virtio_ring(bytes));
