//! The side that sends.

use ukdma::{SegmentList, Segments};
use uknetdev::{Burst, Info, NetBuf, NetError};
use virtio_device::{Device, Error, Queue, QueueConfig};

use crate::config::HEADER_LEN;
use crate::receive::error_of;

/// Descriptors of the queue.
const QUEUE_SIZE: u16 = 128;
/// Pieces that a frame may be in.
pub const PIECES: u16 = 4;
/// Segments of a frame: each piece may lie in two pages.
const MAX_SEGMENTS: u16 = 2 * PIECES;

/// A frame on its way, with the device's header in front.
#[derive(Debug)]
struct Frame(NetBuf);

impl Segments for Frame {
    #[inline]
    fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
        self.0.device_reads(list);
    }
}

/// The queue of frames to send.
#[derive(Debug)]
pub struct Transmit {
    queue: Queue<Frame>,
}

impl Transmit {
    /// Makes the queue. Frames have `buffer_len` bytes at most.
    pub fn new(device: &mut Device, index: u16, buffer_len: usize) -> Result<Self, Error> {
        let pages = buffer_len.div_ceil(ukplat::memory::PAGE_SIZE) as u16;
        let config = QueueConfig { size: QUEUE_SIZE, max_segments: MAX_SEGMENTS + pages };
        let mut queue = device.queue(index, config)?;
        queue.disable_interrupts();
        Ok(Self { queue })
    }

    /// Frames that it takes at a time, when they are in one piece.
    pub fn depth(&self) -> usize {
        self.queue.rings().config().size.into()
    }

    /// Takes frames to send.
    pub fn burst(&mut self, info: &Info, frames: &mut Burst) -> Result<(), NetError> {
        let mut result = Ok(());
        while let Some(frame) = frames.first() {
            result = info.check(frame);
            if result.is_err() {
                break;
            }
            let Some(mut frame) = frames.pop() else { break };
            match frame.prepend(HEADER_LEN) {
                // Nothing is left to the device: no checksum, no cutting into segments (virtio 1.2,
                // section 5.1.6.2).
                Some(header) => header.fill(0),
                None => result = Err(NetError::Headroom),
            }
            let mut frame = match result {
                Ok(()) => match self.queue.submit(Frame(frame)) {
                    Ok(()) => continue,
                    Err(refused) => {
                        result = error_of(refused.error).map_or(Ok(()), Err);
                        refused.request.0
                    }
                },
                Err(_) => frame,
            };
            frame.strip(HEADER_LEN);
            // There is room where it was.
            let _ = frames.put_back(frame);
            break;
        }
        self.queue.notify();
        result
    }

    /// Gives the buffers of frames back that were sent.
    pub fn reclaim(&mut self, buffers: &mut Burst) {
        while !buffers.is_full() {
            // A queue that broke keeps what it has; sending says so.
            let Ok(Some(done)) = self.queue.complete() else { return };
            let _ = buffers.push(done.request.0);
        }
    }

    /// Whether there is room, or an error to tell.
    pub fn is_ready(&self) -> bool {
        self.queue.next_slot().is_some() || self.queue.has_completions()
    }

    pub fn arm(&mut self) -> bool {
        self.queue.enable_interrupts() || self.is_ready()
    }

    pub fn disarm(&mut self) {
        self.queue.disable_interrupts();
    }
}
