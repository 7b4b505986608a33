//! Driver for virtio entropy devices (virtio 1.2, section 5.4): random bytes of the host.
//!
//! ```
//! let mut seed = [0; 32];
//! // With this library in the image, after boot; without a device there is nothing.
//! assert_eq!(ukentropy::fill(&mut seed), 0);
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod device;

use alloc::boxed::Box;

use ukentropy::Source;
use uklock::Mutex;
use virtio_device::{Driver, Error, Transport, kinds};

pub use device::Entropy;

/// The driver, in the collection `virtio-drivers`.
pub static DRIVER: Driver = Driver { name: "virtio-rng", kind: kinds::ENTROPY, attach };

/// A device that answers one at a time.
struct Shared(Mutex<Entropy>);

impl Source for Shared {
    fn fill(&self, bytes: &mut [u8]) -> usize {
        self.0.lock().fill(bytes)
    }
}

fn attach(transport: Box<dyn Transport>) -> Result<(), Error> {
    let device = Entropy::new(transport)?;
    ukentropy::register(Box::leak(Box::new(Shared(Mutex::new(device)))));
    Ok(())
}
