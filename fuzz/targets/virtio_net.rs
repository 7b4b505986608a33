#![no_main]
//! See `oxikraft_fuzz::virtio_net`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxikraft_fuzz::virtio_net(bytes));
