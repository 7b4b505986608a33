//! A queue with its doorbell.

use core::ops::{Deref, DerefMut};

use ukdma::Segments;
use virtio_ring::SplitQueue;

use crate::Doorbell;

/// A queue of a device: a [`SplitQueue`] that can [notify](Self::notify).
#[derive(Debug)]
pub struct Queue<T> {
    ring: SplitQueue<T>,
    doorbell: Doorbell,
}

impl<T: Segments> Queue<T> {
    pub(crate) const fn new(ring: SplitQueue<T>, doorbell: Doorbell) -> Self {
        Self { ring, doorbell }
    }

    /// Makes the device see what was submitted, and rings its bell if it wants that.
    #[inline]
    pub fn notify(&mut self) {
        if self.ring.publish() {
            self.doorbell.ring();
        }
    }
}

impl<T> Deref for Queue<T> {
    type Target = SplitQueue<T>;

    #[inline]
    fn deref(&self) -> &SplitQueue<T> {
        &self.ring
    }
}

impl<T> DerefMut for Queue<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut SplitQueue<T> {
        &mut self.ring
    }
}
