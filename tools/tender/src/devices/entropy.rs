//! The entropy device (virtio 1.2, section 5.4): random bytes of the host.

use virtio_bindings::virtio_ids::VIRTIO_ID_RNG;

use super::{Broken, Device, Request};
use crate::calls;

/// Bytes of one request at most; the driver asks again for more.
const MAX: usize = 4096;

/// The entropy device.
#[derive(Debug)]
pub struct Entropy;

impl Device for Entropy {
    fn kind(&self) -> u32 {
        VIRTIO_ID_RNG
    }

    fn name(&self) -> String {
        "entropy".into()
    }

    fn queues(&self) -> &[u16] {
        &[16]
    }

    fn request(&mut self, _queue: usize, request: &mut Request) -> Result<u32, Broken> {
        let mut bytes = [0; MAX];
        let bytes = &mut bytes[..MAX.min(request.writable.len())];
        calls::random(bytes);
        Ok(request.writable.write(bytes) as u32)
    }

    fn is_quick(&self) -> bool {
        true
    }
}
