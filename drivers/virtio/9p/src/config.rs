//! What the device says of itself.

use alloc::boxed::Box;
use alloc::vec::Vec;

use virtio_device::{Device, Error};

/// The device has a mount tag. The only feature.
pub const MOUNT_TAG: u64 = 1;

/// Longer tags make no sense.
const MAX_TAG: u16 = 256;

/// Reads the mount tag: two bytes for its length, and it.
pub fn tag(device: &Device) -> Result<Box<[u8]>, Error> {
    if !device.has(MOUNT_TAG) {
        return Err(Error::Config("it has no mount tag"));
    }
    device.read_config(|registers| {
        let length = registers.read16(0);
        if length == 0 || length > MAX_TAG {
            return Err(Error::Config("its mount tag makes no sense"));
        }
        let tag: Vec<u8> = (0..usize::from(length)).map(|at| registers.read8(2 + at)).collect();
        Ok(tag.into_boxed_slice())
    })
}
