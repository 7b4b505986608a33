//! Driver for virtio block devices (virtio 1.2, section 5.2).
//!
//! Each device that is found becomes a [disk](ukblkdev::Disk), with a queue for each CPU if it has
//! that many.
//!
//! ```no_run
//! // With this library in the image, after boot:
//! for disk in ukblkdev::disks() {
//!     ukplat::println!("{}: {} bytes", disk.name(), disk.bytes());
//! }
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod device;
mod request;

use alloc::boxed::Box;

use virtio_device::{Driver, Error, Transport, kinds};

pub use device::Block;

/// The driver, in the collection `virtio-drivers`.
pub static DRIVER: Driver = Driver { name: "virtio-blk", kind: kinds::BLOCK, attach };

fn attach(transport: Box<dyn Transport>) -> Result<(), Error> {
    let device = Block::new(transport)?;
    ukblkdev::register(Box::new(device));
    Ok(())
}
