//! A device as its users see it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ukdma::Buffer;
use uklock::{EventCount, Mutex};

use crate::ticket::Tickets;
use crate::{Batch, BlockDevice, BlockError, Info, Operation, Refused, Request, Ticket};

/// Bytes that a transfer of a slice sends at a time.
const CHUNK: usize = 256 << 10;
/// Looks at a device that cannot tell when it is done before the first nap.
const SPINS: u32 = 64;
/// Length of a nap between two looks, in nanoseconds.
const NAP_NS: u64 = 50_000;
/// After this time, in nanoseconds, it is looked even without an event.
const LOOK_NS: u64 = 1_000_000_000;

/// A block device with a name. All calls may be made by several threads at a time.
pub struct Disk {
    name: String,
    device: Box<dyn BlockDevice>,
    info: Info,
    queues: Vec<Mutex<Tickets>>,
    /// Counts when a request was done: by the device, or, seen by one thread, for another.
    own_events: EventCount,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk({}, {:?})", self.name, self.info)
    }
}

impl Disk {
    pub(crate) fn new(name: String, device: Box<dyn BlockDevice>) -> Self {
        let info = *device.info();
        let queues = (0..info.queues.max(1)).map(|_| Mutex::new(Tickets::new(info.depth.max(1))));
        Self { name, info, queues: queues.collect(), own_events: EventCount::new(), device }
    }

    /// Its name: `blk0` and so on, in the order in which devices were found.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is like.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.info.blocks.saturating_mul(self.info.block_size.into())
    }

    /// Starts a request without waiting for it. Requests that are under way at the same time may be
    /// done in any order; what one of them must find done has to be waited for.
    ///
    /// # Errors
    /// The buffer with the reason; [`BlockError::Busy`] when the queue is full.
    pub fn start(
        &self,
        operation: Operation,
        block: u64,
        buffer: Buffer,
    ) -> Result<Ticket<'_>, (Buffer, BlockError)> {
        if let Err(error) = self.info.check(operation, block, buffer.len()) {
            return Err((buffer, error));
        }
        let queue = ukplat::cpu_id() % self.queues.len();
        let taken = self.queues[queue].lock().take();
        let Some(tag) = taken else { return Err((buffer, BlockError::Busy)) };
        match self.device.submit(queue, Request { operation, block, buffer, tag }) {
            Ok(()) => {
                self.device.kick(queue);
                Ok(Ticket { disk: self, queue, tag })
            }
            Err(Refused { request, error }) => {
                self.queues[queue].lock().give(tag);
                Err((request.buffer, error))
            }
        }
    }

    /// Starts a request, waiting for room if the queue is full.
    fn start_when_possible(
        &self,
        operation: Operation,
        block: u64,
        mut buffer: Buffer,
    ) -> Result<Ticket<'_>, (Buffer, BlockError)> {
        let mut wait = Wait::new(self);
        loop {
            match self.start(operation, block, buffer) {
                Err((back, BlockError::Busy)) => buffer = back,
                other => return other,
            }
            let queue = ukplat::cpu_id() % self.queues.len();
            let seen = self.events().count();
            if !self.collect(queue) {
                wait.for_event(queue, seen);
            }
        }
    }

    /// Does one request; the buffer comes back in any case.
    pub fn transfer(
        &self,
        operation: Operation,
        block: u64,
        buffer: Buffer,
    ) -> (Buffer, Result<(), BlockError>) {
        match self.start_when_possible(operation, block, buffer) {
            Ok(ticket) => ticket.finish(),
            Err((buffer, error)) => (buffer, Err(error)),
        }
    }

    /// Reads blocks from `block` on.
    ///
    /// # Errors
    /// [`BlockError::BadLength`] unless `bytes` are whole blocks; what the device says. Some of the
    /// bytes may have been read then.
    pub fn read(&self, block: u64, bytes: &mut [u8]) -> Result<(), BlockError> {
        self.check_slice(block, bytes.len())?;
        let (mut buffer, mut last) = self.buffers(bytes.len())?;
        let mut at = block;
        for part in bytes.chunks_mut(buffer.len()) {
            if part.len() < buffer.len() {
                buffer = last.take().ok_or(BlockError::BadLength)?;
            }
            let (back, result) = self.transfer(Operation::Read, at, buffer);
            result?;
            part.copy_from_slice(&back);
            buffer = back;
            at += self.info.blocks_of(Operation::Read, part.len());
        }
        Ok(())
    }

    /// Writes blocks from `block` on.
    ///
    /// # Errors
    /// As [`read`](Self::read). Some of the bytes may have been written then, but with
    /// [`BlockError::OutOfMemory`] none.
    pub fn write(&self, block: u64, bytes: &[u8]) -> Result<(), BlockError> {
        self.check_write(block, bytes.len())?;
        // Without memory nothing is written.
        let (mut buffer, mut last) = self.buffers(bytes.len())?;
        let mut at = block;
        for part in bytes.chunks(buffer.len()) {
            if part.len() < buffer.len() {
                buffer = last.take().ok_or(BlockError::BadLength)?;
            }
            buffer.copy_from_slice(part);
            let (back, result) = self.transfer(Operation::Write, at, buffer);
            result?;
            buffer = back;
            at += self.info.blocks_of(Operation::Write, part.len());
        }
        Ok(())
    }

    /// Memory for the requests of a longer transfer, and for the last one when it is shorter. The less
    /// there is, the more requests.
    fn buffers(&self, bytes: usize) -> Result<(Buffer, Option<Buffer>), BlockError> {
        let block = self.info.block_size as usize;
        let mut chunk = self.chunk(bytes);
        loop {
            let last = match bytes % chunk {
                0 => Ok(None),
                rest => Buffer::new(rest).map(Some),
            };
            match Buffer::new(chunk).and_then(|buffer| Ok((buffer, last?))) {
                Err(_) if chunk > block => chunk = self.chunk(chunk / 2 / block * block),
                buffers => return Ok(buffers?),
            }
        }
    }

    /// For writing in several places without waiting for each.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }

    pub(crate) fn check_write(&self, block: u64, bytes: usize) -> Result<(), BlockError> {
        self.check_slice(block, bytes)?;
        if self.info.read_only { Err(BlockError::ReadOnly) } else { Ok(()) }
    }

    fn check_slice(&self, block: u64, bytes: usize) -> Result<(), BlockError> {
        if !bytes.is_multiple_of(self.info.block_size as usize) {
            return Err(BlockError::BadLength);
        }
        let end = block.checked_add(self.info.blocks_of(Operation::Read, bytes));
        if end.is_none_or(|end| end > self.info.blocks) {
            return Err(BlockError::OutOfRange);
        }
        Ok(())
    }

    /// Bytes of one request of a longer transfer.
    pub(crate) fn chunk(&self, bytes: usize) -> usize {
        let block = self.info.block_size as usize;
        let most = CHUNK.min(self.info.max_bytes) / block * block;
        bytes.clamp(block, most.max(block))
    }

    /// Makes all that was written, and done, before this call survive a loss of power.
    ///
    /// # Errors
    /// What the device says; what was written may be lost then.
    pub fn flush(&self) -> Result<(), BlockError> {
        if !self.info.has_cache {
            return Ok(());
        }
        self.transfer(Operation::Flush, 0, Buffer::default()).1
    }

    /// Says that the content of blocks does not matter any more.
    ///
    /// # Errors
    /// [`BlockError::Unsupported`] when the device cannot make use of that; what it says else.
    pub fn discard(&self, block: u64, blocks: u64) -> Result<(), BlockError> {
        self.transfer(Operation::Discard(blocks), block, Buffer::default()).1
    }

    /// Fills blocks with zeroes.
    ///
    /// # Errors
    /// [`BlockError::Unsupported`] when zeroes must be written; what the device says else.
    pub fn write_zeroes(&self, block: u64, blocks: u64) -> Result<(), BlockError> {
        self.transfer(Operation::WriteZeroes(blocks), block, Buffer::default()).1
    }

    fn events(&self) -> &EventCount {
        self.device.events().unwrap_or(&self.own_events)
    }

    /// Notes what the device is done with; returns whether there was anything.
    fn collect(&self, queue: usize) -> bool {
        let mut any = false;
        // One at a time, so that the lock is not held over what the device does.
        while let Some(done) = self.device.poll(queue) {
            self.queues[queue].lock().done(done);
            any = true;
        }
        if any {
            self.events().notify();
        }
        any
    }

    pub(crate) fn is_done(&self, queue: usize, tag: usize) -> bool {
        self.collect(queue);
        self.queues[queue].lock().is_done(tag)
    }

    pub(crate) fn abandon(&self, queue: usize, tag: usize) {
        self.queues[queue].lock().abandon(tag);
    }

    pub(crate) fn wait(&self, queue: usize, tag: usize) -> (Buffer, Result<(), BlockError>) {
        let mut wait = Wait::new(self);
        loop {
            // The count first: what comes after it was read ends the wait.
            let seen = self.events().count();
            let done = self.queues[queue].lock().finish(tag);
            if let Some(done) = done {
                return done;
            }
            if !self.collect(queue) {
                wait.for_event(queue, seen);
            }
        }
    }
}

/// How long one thread has been waiting.
struct Wait<'a> {
    disk: &'a Disk,
    looks: u32,
}

impl<'a> Wait<'a> {
    const fn new(disk: &'a Disk) -> Self {
        Self { disk, looks: 0 }
    }

    /// Waits for the event after `seen`, or, when the device has no events, a moment.
    fn for_event(&mut self, queue: usize, seen: u32) {
        let events = self.disk.events();
        if self.disk.device.events().is_some() {
            if !self.disk.device.arm(queue) {
                events.wait_until(seen, ukplat::monotonic_ns().saturating_add(LOOK_NS));
            }
            return;
        }
        self.looks = self.looks.saturating_add(1);
        if self.looks <= SPINS {
            core::hint::spin_loop();
        } else {
            events.wait_until(seen, ukplat::monotonic_ns().saturating_add(NAP_NS));
        }
    }
}
