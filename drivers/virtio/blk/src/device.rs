//! The device.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ukblkdev::{BlockDevice, BlockError, Done, Info, Operation, Refused, Request};
use uklock::{EventCount, Mutex};
use virtio_device::{Device, Error, Queue, QueueConfig, Transport};
use virtio_ring::SubmitError;

use crate::config::{Config, SECTOR, feature};
use crate::request::{Extras, InFlight};

/// Descriptors of a queue.
const QUEUE_SIZE: u16 = 128;

/// A virtio block device that works.
#[derive(Debug)]
pub struct Block {
    config: Config,
    lanes: Vec<Mutex<Lane>>,
    /// Counts interrupts; `None` when there will be none.
    events: Option<&'static EventCount>,
    // Kept: its registers name the queues' memory.
    _device: Mutex<Device>,
}

/// One queue.
#[derive(Debug)]
struct Lane {
    queue: Queue<InFlight>,
    extras: Extras,
    /// The request in each slot. Not asked of the queue: a device that broke the rules keeps its
    /// requests for ever, and those who wait must be told all the same.
    tags: Vec<Option<usize>>,
}

impl Block {
    /// Sets a device up.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn new(transport: Box<dyn Transport>) -> Result<Self, Error> {
        let mut device = Device::start(transport, feature::WANTED)?;
        match Self::set_up(&mut device) {
            Ok((config, lanes, events)) => {
                device.ready();
                Ok(Self { config, lanes, events, _device: Mutex::new(device) })
            }
            Err(error) => {
                device.give_up();
                Err(error)
            }
        }
    }

    #[expect(clippy::type_complexity, reason = "what `new` puts together, once")]
    fn set_up(
        device: &mut Device,
    ) -> Result<(Config, Vec<Mutex<Lane>>, Option<&'static EventCount>), Error> {
        let mut config = Config::read(device)?;
        let events: &'static EventCount = Box::leak(Box::new(EventCount::new()));
        let events = device.listen(events).then_some(events);
        let wanted = ukplat::cpu_count().min(config.queues.into()) as u16;
        let mut lanes = Vec::new();
        for index in 0..wanted {
            // Beside the data: header and status.
            let max_segments = config.data_segments + 2;
            let queue = device.queue(index, QueueConfig { size: QUEUE_SIZE, max_segments });
            let mut queue: Queue<InFlight> = match queue {
                Err(Error::NoQueue(_)) if index > 0 => break,
                other => other?,
            };
            queue.disable_interrupts();
            let ring = queue.rings().config();
            if ring.size < 4 && !ring.indirect {
                return Err(Error::Config("its queue is too small for a request"));
            }
            // With room for each request to be in three pieces when tables cannot be used.
            let depth = if ring.indirect { ring.size } else { ring.size / 3 };
            config.info.depth = depth.into();
            let extras = Extras::new(ring.size)?;
            let tags = (0..ring.size).map(|_| None).collect();
            lanes.push(Mutex::new(Lane { queue, extras, tags }));
        }
        config.info.queues = lanes.len();
        Ok((config, lanes, events))
    }

    /// Sectors of a request that names a range of blocks; an error when one request cannot have
    /// so many.
    fn range(&self, operation: Operation) -> Result<u32, BlockError> {
        let per_block = u64::from(self.config.info.block_size) / SECTOR;
        let (blocks, most) = match operation {
            Operation::Discard(blocks) => (blocks, self.config.max_discard),
            Operation::WriteZeroes(blocks) => (blocks, self.config.max_zeroes),
            Operation::Read | Operation::Write | Operation::Flush => return Ok(0),
        };
        let sectors = blocks.checked_mul(per_block).and_then(|s| u32::try_from(s).ok());
        sectors.filter(|s| *s > 0 && *s <= most).ok_or(BlockError::BadLength)
    }
}

impl BlockDevice for Block {
    fn info(&self) -> &Info {
        &self.config.info
    }

    fn submit(&self, queue: usize, request: Request) -> Result<(), Refused> {
        let info = &self.config.info;
        let check = info.check(request.operation, request.block, request.buffer.len());
        let sectors = match check.and_then(|()| self.range(request.operation)) {
            Ok(sectors) => sectors,
            Err(error) => return Err(Refused { request, error }),
        };
        let Some(lane) = self.lanes.get(queue) else {
            return Err(Refused { request, error: BlockError::Unsupported });
        };
        let mut lane = lane.lock();
        let Some(slot) = lane.queue.next_slot() else {
            // There will never be room in a broken one.
            let is_broken = lane.queue.is_broken();
            let error = if is_broken { BlockError::Broken } else { BlockError::Busy };
            return Err(Refused { request, error });
        };
        let sector = match request.operation {
            // It is of the whole device, and must name no sector (virtio 1.2, 5.2.6.1).
            Operation::Flush => 0,
            // Below 2^64: `check` holds the end within the capacity, which was checked.
            _ => request.block * (u64::from(info.block_size) / SECTOR),
        };
        lane.extras.prepare(slot, request.operation, sector, sectors);
        let Request { operation, block, buffer, tag } = request;
        let in_flight = InFlight { operation, buffer, tag, slot, extras: lane.extras };
        match lane.queue.submit(in_flight) {
            Ok(()) => {
                lane.tags[usize::from(slot)] = Some(tag);
                Ok(())
            }
            Err(refused) => {
                let error = match refused.error {
                    SubmitError::Full => BlockError::Busy,
                    SubmitError::Broken(_) => BlockError::Broken,
                    SubmitError::Memory(error) => error.into(),
                    SubmitError::Empty => BlockError::BadLength,
                };
                let buffer = refused.request.buffer;
                Err(Refused { request: Request { operation, block, buffer, tag }, error })
            }
        }
    }

    fn kick(&self, queue: usize) {
        if let Some(lane) = self.lanes.get(queue) {
            lane.lock().queue.notify();
        }
    }

    fn poll(&self, queue: usize) -> Option<Done> {
        let mut lane = self.lanes.get(queue)?.lock();
        match lane.queue.complete() {
            Ok(None) => None,
            Ok(Some(done)) => {
                lane.tags[usize::from(done.slot)] = None;
                let mut result = lane.extras.status(done.slot);
                let InFlight { operation, buffer, tag, .. } = done.request;
                // Data, then the status byte.
                let is_short = (done.written as usize) <= buffer.len();
                if operation == Operation::Read && result.is_ok() && is_short {
                    result = Err(BlockError::Io);
                }
                Some(Done { tag, buffer, result })
            }
            Err(_) => {
                let tag = lane.tags.iter_mut().find_map(Option::take)?;
                let buffer = ukblkdev::Buffer::default();
                Some(Done { tag, buffer, result: Err(BlockError::Broken) })
            }
        }
    }

    fn events(&self) -> Option<&'static EventCount> {
        self.events
    }

    fn arm(&self, queue: usize) -> bool {
        match self.lanes.get(queue) {
            Some(lane) => lane.lock().queue.enable_interrupts(),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ukblkdev::Buffer;
    use virtio_device::model::Model;
    use virtio_device::{features, kinds};

    #[test]
    fn a_full_queue_that_broke_is_not_busy() {
        let model = Model::new(kinds::BLOCK, features::VERSION_1 | features::RING_INDIRECT, &[4]);
        model.config().write32(0, 64);
        let block = Block::new(Box::new(model.clone())).unwrap();
        assert_eq!(block.info().depth, 4);
        let read = |tag| {
            let buffer = Buffer::new(512).unwrap();
            block.submit(0, Request { operation: Operation::Read, block: 0, buffer, tag })
        };
        (0..4).for_each(|tag| read(tag).unwrap());
        assert_eq!(read(4).unwrap_err().error, BlockError::Busy);
        model.queue(0).push(99, 0);
        let tags: Vec<_> =
            core::iter::from_fn(|| block.poll(0)).map(|done| (done.tag, done.result)).collect();
        assert_eq!(tags, [0, 1, 2, 3].map(|tag| (tag, Err(BlockError::Broken))));
        assert_eq!(read(0).unwrap_err().error, BlockError::Broken);
    }

    #[test]
    fn a_flush_names_no_block() {
        let model = Model::new(kinds::BLOCK, features::VERSION_1, &[8]);
        // Capacity in sectors.
        model.config().write32(0, 64);
        let block = Block::new(Box::new(model.clone())).unwrap();
        let request = |operation, block, bytes| Request {
            operation,
            block,
            buffer: Buffer::new(bytes).unwrap(),
            tag: 0,
        };
        block.submit(0, request(Operation::Flush, u64::MAX, 0)).unwrap();
        let refused = block.submit(0, request(Operation::Read, u64::MAX, 512)).unwrap_err();
        assert_eq!(refused.error, BlockError::OutOfRange);
    }
}
