//! A device as its users see it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicUsize};

use crate::stats::Counter;
use crate::{Info, Link, NetDevice, NetError, Queue, Stats};

/// A network device with a name.
pub struct Interface {
    name: String,
    pub(crate) device: Box<dyn NetDevice>,
    info: Info,
    pub(crate) lanes: Vec<Lane>,
}

/// What is known of a queue, whoever has it.
#[derive(Debug, Default)]
pub struct Lane {
    taken: AtomicBool,
    /// Buffers that the device has to receive into. They stay there when the queue is given back.
    pub supplied: AtomicUsize,
    pub received: Counter,
    pub received_bytes: Counter,
    pub sent: Counter,
    pub sent_bytes: Counter,
    pub starved: Counter,
    pub waits: Counter,
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interface({}, {:?})", self.name, self.info)
    }
}

impl Interface {
    pub(crate) fn new(name: String, device: Box<dyn NetDevice>) -> Self {
        let info = *device.info();
        let lanes = (0..info.queues).map(|_| Lane::default()).collect();
        Self { name, device, info, lanes }
    }

    /// Its name: `net0` and so on, in the order in which devices were found.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the device is like.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Whether the device can reach others at the moment.
    pub fn link(&self) -> Link {
        self.device.link()
    }

    /// Takes a queue, which is then the caller's alone until it is dropped. From here on the device
    /// receives.
    ///
    /// # Errors
    /// [`NetError::NoQueue`], [`NetError::InUse`], [`NetError::OutOfMemory`], [`NetError::Broken`].
    pub fn queue(&'static self, index: usize) -> Result<Queue, NetError> {
        let lane = self.lanes.get(index).ok_or(NetError::NoQueue)?;
        if lane.taken.swap(true, AcqRel) {
            return Err(NetError::InUse);
        }
        let queue = Queue::new(self, index);
        if queue.is_err() {
            lane.give();
        }
        queue
    }

    /// What a queue has done so far.
    pub fn queue_stats(&self, index: usize) -> Option<Stats> {
        let lane = self.lanes.get(index)?;
        Some(Stats {
            received: lane.received.get(),
            received_bytes: lane.received_bytes.get(),
            sent: lane.sent.get(),
            sent_bytes: lane.sent_bytes.get(),
            dropped: self.device.dropped(index),
            starved: lane.starved.get(),
            waits: lane.waits.get(),
        })
    }

    /// What all queues together have done so far.
    pub fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        (0..self.lanes.len()).filter_map(|index| self.queue_stats(index)).for_each(|s| sum.add(s));
        sum
    }
}

impl Lane {
    pub fn give(&self) {
        self.taken.store(false, Release);
    }

    pub fn supplied(&self) -> usize {
        self.supplied.load(Relaxed)
    }

    pub fn set_supplied(&self, count: usize) {
        self.supplied.store(count, Relaxed);
    }
}
