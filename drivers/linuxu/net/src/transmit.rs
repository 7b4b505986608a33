//! The side that sends.

use alloc::collections::VecDeque;

use linuxu::file::HostError;
use linuxu::io::Packets;
use uknetdev::{Burst, NetBuf};

use crate::Kind;
use crate::device::DEPTH;
use crate::receive::Closed;

/// A frame of a stream is preceded by its length in these bytes, most significant first.
pub const LENGTH: usize = 4;

/// Frames to send.
#[derive(Debug)]
pub struct Transmit {
    kind: Kind,
    /// What there was no room for yet; of a stream, what is left of a frame.
    waiting: Option<NetBuf>,
    /// Buffers of frames that were sent.
    sent: VecDeque<NetBuf>,
}

impl Transmit {
    pub fn new(kind: Kind) -> Self {
        Self { kind, waiting: None, sent: VecDeque::with_capacity(DEPTH) }
    }

    /// Whether a frame can be taken.
    pub fn has_room(&self) -> bool {
        self.waiting.is_none() && self.sent.len() < DEPTH
    }

    /// Whether nothing but buffers that were not taken back keeps a frame from being taken.
    pub fn is_done(&self) -> bool {
        self.waiting.is_none()
    }

    /// Sends a frame, for which there is [room](Self::has_room).
    pub fn send(&mut self, packets: &Packets, mut frame: NetBuf) -> Result<(), Closed> {
        if self.kind == Kind::Stream {
            let length = (frame.len() as u32).to_be_bytes();
            // There is room in front: it was checked.
            if let Some(front) = frame.prepend(LENGTH) {
                front.copy_from_slice(&length);
            }
        }
        self.waiting = Some(frame);
        self.flush(packets)
    }

    /// Sends what waits for room, as far as there is some.
    pub fn flush(&mut self, packets: &Packets) -> Result<(), Closed> {
        while let Some(mut frame) = self.waiting.take() {
            match packets.write(&frame) {
                Err(HostError::WOULD_BLOCK) => {
                    self.waiting = Some(frame);
                    return Ok(());
                }
                Ok(len) if self.kind == Kind::Stream && len < frame.len() => {
                    frame.strip(len);
                    self.waiting = Some(frame);
                }
                Ok(_) => self.lose(frame),
                Err(_) => {
                    self.lose(frame);
                    // A tap device that is down takes nothing, and may come up again.
                    return if self.kind == Kind::Tap { Ok(()) } else { Err(Closed) };
                }
            }
        }
        Ok(())
    }

    /// The buffer of a frame that nothing more is to be done with.
    pub fn lose(&mut self, frame: NetBuf) {
        self.sent.push_back(frame);
    }

    pub fn reclaim(&mut self, buffers: &mut Burst) {
        while !buffers.is_full() {
            let Some(buffer) = self.sent.pop_front() else { return };
            // There is room, as was just asked.
            let _ = buffers.push(buffer);
        }
    }
}
