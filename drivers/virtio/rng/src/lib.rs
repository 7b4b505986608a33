//! Driver for virtio entropy devices (virtio 1.2, section 5.4): random bytes of the host, for who asks
//! [`ukentropy`], and as a seed of the numbers of [`ukrandom`].
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
    let mut device = Entropy::new(transport)?;
    let mut seed = [0; ukrandom::SEED];
    if device.fill(&mut seed) == seed.len() {
        ukrandom::seed(&seed);
    }
    ukentropy::register(Box::leak(Box::new(Shared(Mutex::new(device)))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use virtio_device::{features, model::Model};

    #[test]
    fn a_device_is_asked_for_a_seed() {
        let model = Model::new(kinds::ENTROPY, features::VERSION_1, &[8]);
        let device = model.clone();
        let asked = std::thread::spawn(move || {
            /// Acknowledged, driver, driver is ready, features are agreed on.
            const READY: u8 = 15;
            while device.status() != READY {
                std::thread::yield_now();
            }
            let chain = loop {
                if let Some(chain) = device.queue(0).pop() {
                    break chain;
                }
                std::thread::yield_now();
            };
            device.queue(0).push(chain.head, chain.pieces[0].len);
            device.interrupt();
            chain.pieces[0].len
        });
        (DRIVER.attach)(Box::new(model)).unwrap();
        assert_eq!(asked.join().unwrap() as usize, ukrandom::SEED);
        assert!(ukrandom::is_seeded());
    }
}
