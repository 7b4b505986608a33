//! Driver for virtio 9P transports (virtio 1.2, section 5.7 reserves the device; its configuration is
//! that of Linux's `include/uapi/linux/virtio_9p.h`).
//!
//! Each device that is found becomes a [channel](uk9p::channel) under its mount tag.
//!
//! ```no_run
//! // With this library in the image, after boot:
//! let channel = uk9p::channel(b"share0").expect("the machine has such a device");
//! ukplat::println!("messages of up to {} bytes", channel.max_message());
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod device;

use alloc::boxed::Box;

use virtio_device::{Driver, Error, Transport, kinds};

pub use device::NineP;

/// The driver, in the collection `virtio-drivers`.
pub static DRIVER: Driver = Driver { name: "virtio-9p", kind: kinds::NINEP, attach };

fn attach(transport: Box<dyn Transport>) -> Result<(), Error> {
    let device = NineP::new(transport)?;
    let tag = device.tag().to_vec();
    uk9p::register(&tag, Box::new(device));
    Ok(())
}

#[cfg(test)]
mod tests;
