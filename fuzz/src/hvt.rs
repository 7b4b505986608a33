/// A byte for the memory, then an image: refused, or laid out so that nothing overlaps.
pub fn hvt_image(bytes: &[u8]) {
    let Some((size, image)) = bytes.split_first() else { return };
    let memory = 1u64 << (12 + size % 24);
    let random = (size & 0x80 != 0).then_some([u64::from(*size) << 40 | 12_345; 4]);
    tender::exercise::image(image, memory, random);
}

/// What hostile drivers write to memory and registers of devices.
pub fn hvt_devices(bytes: &[u8]) {
    tender::exercise::devices(bytes);
}

/// Calls of a hostile guest, 32 bytes each.
pub fn hvt_calls(bytes: &[u8]) {
    tender::exercise::calls(bytes);
}
