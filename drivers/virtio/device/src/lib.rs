//! What all virtio drivers do (virtio 1.2, chapters 2 and 3): agree with the device on features, set
//! up queues, notify, wait.
//!
//! A [`Transport`] is how a device is reached: by PCI, by memory-mapped registers, by a model in
//! tests. A [`Driver`] is made for one kind of device and works over any of them.
//!
//! ```
//! use ukdma::{Buffer, SegmentList, Segments};
//! use virtio_device::{Device, QueueConfig, features, model::Model};
//!
//! struct Read(Buffer);
//! impl Segments for Read {
//!     fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
//!         list.device_writes(&mut self.0);
//!     }
//! }
//!
//! // A device with one queue, and a driver that could use event indices too.
//! let model = Model::new(4, features::VERSION_1 | features::RING_INDIRECT, &[64]);
//! let mut device = Device::start(Box::new(model.clone()), features::RING_EVENT_INDEX)?;
//! let mut queue = device.queue(0, QueueConfig { size: 16, max_segments: 1 })?;
//! device.ready();
//!
//! queue.submit(Read(Buffer::new(32)?)).map_err(|refused| refused.error)?;
//! queue.notify();
//! let chain = model.queue(0).pop().expect("the device sees the request");
//! model.queue(0).push(chain.head, 32);
//! assert_eq!(queue.complete()?.expect("and completes it").written, 32);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod device;
mod error;
pub mod features;
#[cfg(feature = "model")]
pub mod model;
mod queue;
mod transport;

pub use device::{Device, QueueConfig};
pub use error::Error;
pub use queue::Queue;
pub use transport::{Doorbell, Transport, kinds};

use alloc::boxed::Box;

/// A driver, registered in the collection `virtio-drivers`.
#[derive(Debug)]
pub struct Driver {
    /// Its name, for messages.
    pub name: &'static str,
    /// The kind of device it is for, one of [`kinds`].
    pub kind: u32,
    /// Takes over a device that was found.
    pub attach: fn(Box<dyn Transport>) -> Result<(), Error>,
}
