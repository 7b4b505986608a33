//! From a device that was found to one that works (virtio 1.2, section 3.1).

use alloc::boxed::Box;

use ukdma::Segments;
use ukplat::device::{InterruptHandler, Registers};
use virtio_ring::{Config, SplitQueue};

use crate::transport::status;
use crate::{Error, Queue, Transport, features};

/// A reset that takes longer, in nanoseconds, never ends.
const RESET_NS: u64 = 1_000_000_000;

/// A device that is being set up, or works.
#[derive(Debug)]
pub struct Device {
    transport: Box<dyn Transport>,
    features: u64,
}

/// What a driver wants of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Number of descriptors at most; the device may have less.
    pub size: u16,
    /// Segments that a request has at most.
    pub max_segments: u16,
}

impl Device {
    /// Resets a device and agrees with it on features: those of `wanted` that it has, version 1,
    /// and what this crate uses for queues.
    ///
    /// # Errors
    /// [`Error::Reset`], [`Error::Legacy`], [`Error::Features`]. The device is then given up.
    pub fn start(mut transport: Box<dyn Transport>, wanted: u64) -> Result<Self, Error> {
        transport.set_status(0);
        let deadline = ukplat::monotonic_ns().saturating_add(RESET_NS);
        while transport.status() != 0 {
            if ukplat::monotonic_ns() > deadline {
                return Err(Error::Reset);
            }
            core::hint::spin_loop();
        }
        let mut this = Self { transport, features: 0 };
        this.add_status(status::ACKNOWLEDGE);
        this.add_status(status::DRIVER);
        match this.agree(wanted) {
            Ok(()) => Ok(this),
            Err(error) => {
                this.give_up();
                Err(error)
            }
        }
    }

    fn agree(&mut self, wanted: u64) -> Result<(), Error> {
        let offered = self.transport.features();
        if offered & features::VERSION_1 == 0 {
            return Err(Error::Legacy);
        }
        let own = features::VERSION_1 | features::RING_INDIRECT | features::RING_EVENT_INDEX;
        self.features = offered & (wanted | own);
        self.transport.set_features(self.features);
        self.add_status(status::FEATURES_OK);
        if self.transport.status() & status::FEATURES_OK == 0 {
            return Err(Error::Features);
        }
        Ok(())
    }

    /// Whether all these features are in use.
    pub fn has(&self, features: u64) -> bool {
        self.features & features == features
    }

    /// Registers of this kind of device.
    pub fn config(&self) -> Registers {
        self.transport.config()
    }

    /// Reads several registers that belong together: `read` is called again until none of them
    /// changed meanwhile, at most some times.
    pub fn read_config<R>(&self, read: impl Fn(&Registers) -> R) -> R {
        let registers = self.config();
        let mut tries = 0;
        loop {
            let before = self.transport.generation();
            let value = read(&registers);
            tries += 1;
            if self.transport.generation() == before || tries == 16 {
                return value;
            }
        }
    }

    /// Calls a handler at each interrupt of the device. Returns whether there will be any. Queues
    /// are made afterwards.
    pub fn listen(&mut self, handler: &'static dyn InterruptHandler) -> bool {
        self.transport.listen(handler)
    }

    /// Makes a queue.
    ///
    /// # Errors
    /// [`Error::NoQueue`], [`Error::Memory`], [`Error::Registers`].
    pub fn queue<T: Segments>(
        &mut self,
        index: u16,
        config: QueueConfig,
    ) -> Result<Queue<T>, Error> {
        let largest = self.transport.queue_size(index);
        if largest == 0 {
            return Err(Error::NoQueue(index));
        }
        let ring = SplitQueue::new(Config {
            size: config.size.min(largest),
            max_segments: config.max_segments,
            indirect: self.has(features::RING_INDIRECT),
            event_index: self.has(features::RING_EVENT_INDEX),
        })?;
        let doorbell = self.transport.enable_queue(index, &ring.rings())?;
        Ok(Queue::new(ring, doorbell))
    }

    /// Says that the driver is ready: from here on the device works.
    pub fn ready(&mut self) {
        self.add_status(status::DRIVER_OK);
    }

    /// Says that the driver cannot work with the device.
    pub fn give_up(&mut self) {
        self.add_status(status::FAILED);
    }

    fn add_status(&mut self, bit: u8) {
        let status = self.transport.status();
        self.transport.set_status(status | bit);
    }
}
