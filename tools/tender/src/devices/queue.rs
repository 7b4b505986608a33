//! The device's side of a queue.

use std::sync::atomic::Ordering::{Acquire, Relaxed};

use virtio_queue::{QueueOwnedT as _, QueueT as _};
use vm_memory::{Bytes, GuestAddress};

use super::memory::DeviceMemory;
use super::request::{Broken, Request};

/// In the flags of the ring of requests: no interrupts, please (virtio 1.2, section 2.7.7).
const NO_INTERRUPT: u16 = 1;

/// Where a driver put a queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Number of descriptors.
    pub size: u32,
    /// Address of the descriptor table.
    pub descriptors: u64,
    /// Address of the ring of requests.
    pub available: u64,
    /// Address of the ring of completions.
    pub used: u64,
}

/// A queue in use.
#[derive(Debug)]
pub struct Queue {
    inner: virtio_queue::Queue,
    memory: &'static DeviceMemory,
    completed: bool,
}

impl Queue {
    /// The queue of that number, at most `max` long; `None` when it makes no sense.
    pub(super) fn new(
        memory: &'static DeviceMemory,
        max: u16,
        place: &Place,
        event_index: bool,
    ) -> Option<Self> {
        let mut inner = virtio_queue::Queue::new(max).ok()?;
        inner.try_set_size(u16::try_from(place.size).ok()?).ok()?;
        inner.try_set_desc_table_address(GuestAddress(place.descriptors)).ok()?;
        inner.try_set_avail_ring_address(GuestAddress(place.available)).ok()?;
        inner.try_set_used_ring_address(GuestAddress(place.used)).ok()?;
        inner.set_event_idx(event_index);
        inner.set_ready(true);
        inner.is_valid(memory).then_some(Self { inner, memory, completed: false })
    }

    /// Number of descriptors.
    pub fn size(&self) -> u16 {
        self.inner.size()
    }

    /// Takes the next request; `None` when there is none.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn pop(&mut self) -> Result<Option<Request>, Broken> {
        if !self.has_more()? {
            return Ok(None);
        }
        // Of the errors, one is the driver's; that its memory was taken away is another.
        let chain = self.inner.iter(self.memory).map_err(|_| Broken::Index)?.next();
        Request::new(self.memory, chain.ok_or(Broken::Ring)?).map(Some)
    }

    /// Makes the request that was taken last the next one again.
    pub fn put_back(&mut self) {
        self.inner.go_to_previous_position();
    }

    /// Gives a request back, with the number of bytes that were written to it.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn complete(&mut self, request: &Request, written: u32) -> Result<(), Broken> {
        self.completed = true;
        let done = self.inner.add_used(self.memory, request.head, written);
        done.map_err(|_| Broken::Chain)
    }

    /// Whether there is a request.
    pub(super) fn has_more(&self) -> Result<bool, Broken> {
        let offered = self.inner.avail_idx(self.memory, Acquire).map_err(|_| Broken::Index)?;
        Ok(offered.0 != self.inner.next_avail())
    }

    /// Asks to be notified of the next request. Returns whether there is one already, for which no
    /// notification comes.
    pub(super) fn wants_more(&mut self) -> Result<bool, Broken> {
        self.inner.enable_notification(self.memory).map_err(|_| Broken::Index)
    }

    /// Whether the driver wants to be interrupted for what was completed since the last call.
    pub(super) fn wants_interrupt(&mut self) -> Result<bool, Broken> {
        if !std::mem::take(&mut self.completed) {
            return Ok(false);
        }
        let wants = self.inner.needs_notification(self.memory).map_err(|_| Broken::Index)?;
        if self.inner.event_idx_enabled() {
            return Ok(wants);
        }
        let flags = self.memory.load::<u16>(GuestAddress(self.inner.avail_ring()), Relaxed);
        flags.map(|flags| u16::from_le(flags) & NO_INTERRUPT == 0).map_err(|_| Broken::Index)
    }
}
