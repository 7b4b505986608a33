//! Split virtqueues (virtio 1.2, section 2.7): requests to a virtio device and their completions.
//!
//! A [`SplitQueue`] owns each request from [`submit`](SplitQueue::submit) until the device is done
//! with it and [`complete`](SplitQueue::complete) gives it back. So a request's memory cannot be
//! looked at or freed while the device has it, and all of this is safe Rust.
//!
//! What the device writes into the rings is taken for hostile. Each value is checked before it is
//! used, and what the driver needs to know itself (which descriptors are free, which belong
//! together) it keeps in memory of its own. A device that lies makes the queue
//! [broken](RingError): from then on there are errors only, and what was in flight is forgotten,
//! because the device may still write to it.
//!
//! Nothing is allocated after [`SplitQueue::new`].
//!
//! ```
//! use ukdma::{Buffer, SegmentList, Segments};
//! use virtio_ring::{Config, SplitQueue, model};
//!
//! struct Read(Buffer);
//! impl Segments for Read {
//!     fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
//!         list.device_writes(&mut self.0);
//!     }
//! }
//!
//! let mut queue = SplitQueue::new(Config { size: 8, max_segments: 4, ..Config::default() })?;
//! let mut device = model::Device::new(queue.rings());
//!
//! queue.submit(Read(Buffer::new(512)?)).map_err(|refused| refused.error)?;
//! assert!(queue.publish(), "the device wants to be notified");
//! assert!(queue.complete()?.is_none());
//!
//! let chain = device.pop().expect("the request has arrived");
//! device.push(chain.head, 512);
//! let done = queue.complete()?.expect("the device is done");
//! assert_eq!((done.request.0.len(), done.written), (512, 512));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
#[cfg(feature = "model")]
pub mod model;
mod queue;
mod rings;

pub use error::{Refused, RingError, SubmitError};
pub use queue::{Completion, SplitQueue};
pub use rings::{Addresses, Config, MAX_SIZE, Rings};

/// Whether the other side asked for an event in `(old, new]` (virtio 1.2, section 2.7.7.2).
pub(crate) const fn need_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use super::need_event;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_event_is_needed_when_its_index_was_passed(old: u16, steps in 0u16..2000, event: u16) {
            let new = old.wrapping_add(steps);
            let passed = (0..steps).any(|s| old.wrapping_add(s) == event);
            prop_assert_eq!(need_event(event, new, old), passed);
        }
    }
}
