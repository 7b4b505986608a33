//! Driver for virtio network devices (virtio 1.2, section 5.1).
//!
//! Each device that is found becomes an [interface](uknetdev::Interface) with one queue. Frames are
//! not copied: the device reads and writes the buffers of whoever uses the queue, and its header for
//! each frame is in the room in front of the frame.
//!
//! ```no_run
//! // With this library in the image, after boot:
//! for interface in uknetdev::interfaces() {
//!     ukplat::println!("{}: {}", interface.name(), interface.info().mac);
//! }
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod device;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

use alloc::boxed::Box;

use virtio_device::{Driver, Error, Transport, kinds};

pub use config::{HEADER_LEN, feature};
pub use device::Net;

/// The driver, in the collection `virtio-drivers`.
pub static DRIVER: Driver = Driver { name: "virtio-net", kind: kinds::NETWORK, attach };

fn attach(transport: Box<dyn Transport>) -> Result<(), Error> {
    let device = Net::new(transport)?;
    uknetdev::register(Box::new(device));
    Ok(())
}
