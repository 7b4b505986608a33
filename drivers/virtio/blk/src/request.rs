//! Requests as the device sees them (virtio 1.2, section 5.2.6).

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU8, AtomicU64};

use ukblkdev::{BlockError, Buffer, Operation};
use ukdma::{Arena, DmaError, SegmentList, Segments, Shared};

const READ: u64 = 0;
const WRITE: u64 = 1;
const FLUSH: u64 = 4;
const DISCARD: u64 = 11;
const WRITE_ZEROES: u64 = 13;

/// What the status byte is before the device writes it.
const NO_STATUS: u8 = 0xff;
const STATUS_OK: u8 = 0;
const STATUS_UNSUPPORTED: u8 = 2;

/// Memory beside the data: for each slot of the queue a header, a range, a status byte.
#[derive(Clone, Copy, Debug)]
pub struct Extras {
    /// Type and reserved word; first sector.
    headers: Shared<[AtomicU64; 2]>,
    /// Of what is discarded or filled with zeroes: first sector; number of sectors and flags.
    ranges: Shared<[AtomicU64; 2]>,
    status: Shared<AtomicU8>,
}

impl Extras {
    /// For a queue of that many slots.
    pub fn new(slots: u16) -> Result<Self, DmaError> {
        let count = usize::from(slots);
        let mut arena = Arena::new(count * 33)?;
        let headers = arena.take(count, 16).ok_or(DmaError::OutOfMemory)?;
        let ranges = arena.take(count, 16).ok_or(DmaError::OutOfMemory)?;
        let status = arena.take(count, 1).ok_or(DmaError::OutOfMemory)?;
        Ok(Self { headers, ranges, status })
    }

    /// Writes what belongs to a request of `sectors` sectors at `sector`.
    pub fn prepare(&self, slot: u16, operation: Operation, sector: u64, sectors: u32) {
        let slot = usize::from(slot);
        let kind = match operation {
            Operation::Read => READ,
            Operation::Write => WRITE,
            Operation::Flush => FLUSH,
            Operation::Discard(_) => DISCARD,
            Operation::WriteZeroes(_) => WRITE_ZEROES,
        };
        let has_range = matches!(operation, Operation::Discard(_) | Operation::WriteZeroes(_));
        let [header_kind, header_sector] = &self.headers[slot];
        header_kind.store(kind.to_le(), Relaxed);
        header_sector.store(if has_range { 0 } else { sector.to_le() }, Relaxed);
        if has_range {
            let [start, count] = &self.ranges[slot];
            start.store(sector.to_le(), Relaxed);
            count.store(u64::from(sectors).to_le(), Relaxed);
        }
        self.status[slot].store(NO_STATUS, Relaxed);
    }

    /// How the device says that a request went.
    pub fn status(&self, slot: u16) -> Result<(), BlockError> {
        match self.status[usize::from(slot)].load(Relaxed) {
            STATUS_OK => Ok(()),
            STATUS_UNSUPPORTED => Err(BlockError::Unsupported),
            _ => Err(BlockError::Io),
        }
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct InFlight {
    pub operation: Operation,
    pub buffer: Buffer,
    pub tag: usize,
    pub slot: u16,
    pub extras: Extras,
}

impl Segments for InFlight {
    fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
        let slot = usize::from(self.slot);
        list.device_reads_shared(self.extras.headers, slot);
        match self.operation {
            Operation::Read => list.device_writes(&mut self.buffer),
            Operation::Write => list.device_reads(&mut self.buffer),
            Operation::Flush => {}
            Operation::Discard(_) | Operation::WriteZeroes(_) => {
                list.device_reads_shared(self.extras.ranges, slot);
            }
        }
        list.device_writes_shared(self.extras.status, slot);
    }
}
