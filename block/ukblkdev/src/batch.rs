//! Writes that are under way at the same time.

use core::fmt;

use ukdma::Buffer;

use crate::{BlockError, Disk, Operation, Ticket};

/// Requests of a batch that are under way at most.
const MOST: usize = 4;
/// Bytes of one of them: as many under way as of one long transfer.
const PART: usize = 64 << 10;

/// Writes that may be done in any order, several at a time; see [`Disk::batch`]. None of them is under way
/// any more once the batch is gone.
pub struct Batch<'a> {
    disk: &'a Disk,
    /// The next one gets the place of the one that was started first.
    under_way: [Option<Ticket<'a>>; MOST],
    next: usize,
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({})", self.disk.name())
    }
}

impl<'a> Batch<'a> {
    pub(crate) fn new(disk: &'a Disk) -> Self {
        Self { disk, under_way: [const { None }; MOST], next: 0 }
    }

    /// Starts to write blocks from `block` on.
    ///
    /// # Errors
    /// As [`Disk::write`], also for what was started before. Some of the bytes may have been written then.
    pub fn write(&mut self, block: u64, bytes: &[u8]) -> Result<(), BlockError> {
        self.disk.check_write(block, bytes.len())?;
        let least = self.disk.chunk(0);
        let mut part = self.disk.chunk(bytes.len().min(PART));
        let (mut at, mut bytes) = (block, bytes);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(part.min(bytes.len()));
            let mut buffer = match self.room(now.len()) {
                Ok(buffer) => buffer,
                Err(BlockError::OutOfMemory) if part > least => {
                    part = least;
                    continue;
                }
                Err(error) => return Err(error),
            };
            buffer.copy_from_slice(now);
            self.start(at, buffer)?;
            at += self.disk.info().blocks_of(Operation::Write, now.len());
            bytes = later;
        }
        Ok(())
    }

    /// Memory for a request: without it, when those that are under way have given back theirs.
    fn room(&mut self, bytes: usize) -> Result<Buffer, BlockError> {
        match Buffer::new(bytes) {
            Ok(buffer) => Ok(buffer),
            Err(_) => {
                self.wait()?;
                Ok(Buffer::new(bytes)?)
            }
        }
    }

    fn start(&mut self, block: u64, mut buffer: Buffer) -> Result<(), BlockError> {
        loop {
            // The place of the one that was started first, if there are as many as may be.
            self.finish_next()?;
            match self.disk.start(Operation::Write, block, buffer) {
                Ok(ticket) => {
                    self.under_way[self.next] = Some(ticket);
                    self.next = (self.next + 1) % MOST;
                    return Ok(());
                }
                // Who waits for room and holds some might wait for another who does the same.
                Err((back, BlockError::Busy)) if self.under_way.iter().any(Option::is_some) => {
                    self.next = (self.next + 1) % MOST;
                    buffer = back;
                }
                Err((back, BlockError::Busy)) => {
                    return self.disk.transfer(Operation::Write, block, back).1;
                }
                Err((_, error)) => return Err(error),
            }
        }
    }

    fn finish_next(&mut self) -> Result<(), BlockError> {
        self.under_way[self.next].take().map_or(Ok(()), |ticket| ticket.finish().1)
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// What the device said of any of it.
    pub fn finish(mut self) -> Result<(), BlockError> {
        self.wait()
    }

    fn wait(&mut self) -> Result<(), BlockError> {
        let results = self.under_way.iter_mut().filter_map(Option::take);
        results.map(|ticket| ticket.finish().1).fold(Ok(()), Result::and)
    }
}

impl Drop for Batch<'_> {
    /// After an error too: what is written next would race with what is under way.
    fn drop(&mut self) {
        let _ = self.wait();
    }
}
