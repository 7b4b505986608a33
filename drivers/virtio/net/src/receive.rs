//! The side that receives.

use ukdma::{SegmentList, Segments};
use uknetdev::{Burst, HEADER_LEN as ETHERNET, NetBuf, NetError};
use virtio_device::{Device, Error, Queue, QueueConfig};
use virtio_ring::SubmitError;

use crate::config::HEADER_LEN;

/// Descriptors of the queue.
const QUEUE_SIZE: u16 = 128;
/// Bytes of all buffers that the device has at a time, where a few are enough.
const MEMORY: usize = 512 << 10;
/// So many buffers it has in any case.
const FEW: usize = 8;

/// A buffer that the device has to write a frame to: all of it.
#[derive(Debug)]
struct Empty(NetBuf);

impl Segments for Empty {
    #[inline]
    fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
        self.0.device_writes(list);
    }
}

/// The queue of frames that arrive.
#[derive(Debug)]
pub struct Receive {
    queue: Queue<Empty>,
    /// Bytes of a buffer that the device may write.
    buffer_len: usize,
    /// Buffers that the device has, and may have.
    count: usize,
    depth: usize,
    dropped: u64,
}

impl Receive {
    /// Makes the queue. Buffers have `buffer_len` bytes.
    pub fn new(device: &mut Device, index: u16, buffer_len: usize) -> Result<Self, Error> {
        // One smaller than a page lies in one, a larger one begins with one.
        let max_segments = buffer_len.div_ceil(ukplat::memory::PAGE_SIZE) as u16;
        let mut queue = device.queue(index, QueueConfig { size: QUEUE_SIZE, max_segments })?;
        queue.disable_interrupts();
        let ring = queue.rings().config();
        let room = if ring.indirect { ring.size } else { ring.size / max_segments };
        let depth = usize::from(room).min((MEMORY / buffer_len.max(1)).max(FEW));
        if depth == 0 {
            return Err(Error::Config("its queue is too small for a frame"));
        }
        Ok(Self { queue, buffer_len, count: 0, depth, dropped: 0 })
    }

    /// Frames that it takes at a time.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Gives the device buffers.
    pub fn supply(&mut self, buffers: &mut Burst) -> Result<(), NetError> {
        let mut result = Ok(());
        while self.count < self.depth {
            let Some(buffer) = buffers.pop() else { break };
            if let Err((buffer, error)) = self.submit(buffer) {
                // There is room where it was.
                let _ = buffers.put_back(buffer);
                result = error.map_or(Ok(()), Err);
                break;
            }
        }
        self.queue.notify();
        result
    }

    /// Gives the device a buffer. One that is not taken comes back, with an error unless there is just
    /// no room.
    fn submit(&mut self, mut buffer: NetBuf) -> Result<(), (NetBuf, Option<NetError>)> {
        buffer.reset(0);
        if buffer.extend(self.buffer_len).is_none() {
            return Err((buffer, Some(NetError::BadLength)));
        }
        match self.queue.submit(Empty(buffer)) {
            Ok(()) => {
                self.count += 1;
                Ok(())
            }
            Err(refused) => Err((refused.request.0, error_of(refused.error))),
        }
    }

    /// Gives frames that arrived.
    pub fn burst(&mut self, frames: &mut Burst) -> Result<(), NetError> {
        let mut again = false;
        while !frames.is_full() {
            let Some(done) = self.queue.complete().map_err(|_| NetError::Broken)? else { break };
            self.count -= 1;
            let Empty(mut buffer) = done.request;
            buffer.truncate(done.written as usize);
            if buffer.len() >= HEADER_LEN + ETHERNET && buffer.strip(HEADER_LEN) {
                // There is room, as was just asked.
                let _ = frames.push(buffer);
            } else {
                // Too short for a frame: the buffer is for the next one.
                self.dropped = self.dropped.wrapping_add(1);
                again |= self.submit(buffer).is_ok();
            }
        }
        if again {
            self.queue.notify();
        }
        Ok(())
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub fn is_ready(&self) -> bool {
        self.queue.has_completions()
    }

    pub fn arm(&mut self) -> bool {
        self.queue.enable_interrupts()
    }

    pub fn disarm(&mut self) {
        self.queue.disable_interrupts();
    }
}

/// Why a queue did not take something; `None` when it is full.
pub fn error_of(error: SubmitError) -> Option<NetError> {
    match error {
        SubmitError::Full => None,
        SubmitError::Broken(_) => Some(NetError::Broken),
        SubmitError::Memory(error) => Some(error.into()),
        SubmitError::Empty => Some(NetError::BadLength),
    }
}
