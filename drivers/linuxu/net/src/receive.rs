//! The side that receives.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use linuxu::file::HostError;
use linuxu::io::Packets;
use uknetdev::{Burst, HEADER_LEN, Info, NetBuf, NetError};

use crate::Kind;
use crate::device::DEPTH;
use crate::transmit::LENGTH;

/// What is read from a stream at a time.
const CHUNK: usize = 64 << 10;
/// No frame is longer: the largest IP packet, and a header with a tag.
const LONGEST: usize = 65_535 + 18;

/// The other end is gone, or cannot be understood any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// Frames that arrive.
#[derive(Debug)]
pub struct Receive {
    info: Info,
    empty: VecDeque<NetBuf>,
    /// What was read of a stream.
    inbox: Option<Inbox>,
    dropped: u64,
}

impl Receive {
    pub fn new(kind: Kind, info: Info) -> Self {
        let inbox = (kind == Kind::Stream).then(Inbox::default);
        Self { info, empty: VecDeque::with_capacity(DEPTH), inbox, dropped: 0 }
    }

    pub fn supply(&mut self, buffers: &mut Burst) -> Result<(), NetError> {
        while self.empty.len() < DEPTH {
            let Some(mut buffer) = buffers.pop() else { break };
            buffer.reset(self.info.headroom);
            if buffer.tailroom() < self.info.max_frame() {
                // There is room where it was.
                let _ = buffers.put_back(buffer);
                return Err(NetError::BadLength);
            }
            self.empty.push_back(buffer);
        }
        Ok(())
    }

    /// Gives frames that arrived.
    pub fn burst(&mut self, packets: &Packets, frames: &mut Burst) -> Result<(), Closed> {
        while !frames.is_full()
            && let Some(mut buffer) = self.empty.pop_front()
        {
            buffer.reset(self.info.headroom);
            let room = buffer.tailroom();
            let bytes = buffer.extend(room).unwrap_or_default();
            let received = match &mut self.inbox {
                None => read(packets, bytes),
                Some(inbox) => inbox.next(packets, bytes),
            };
            match received {
                Ok(Some(len)) if (HEADER_LEN..=self.info.max_frame()).contains(&len) => {
                    buffer.truncate(len);
                    // There is room, as was just asked.
                    let _ = frames.push(buffer);
                }
                Ok(Some(_)) => {
                    self.dropped = self.dropped.wrapping_add(1);
                    self.empty.push_front(buffer);
                }
                Ok(None) => {
                    self.empty.push_front(buffer);
                    return Ok(());
                }
                Err(closed) => {
                    self.empty.push_front(buffer);
                    return Err(closed);
                }
            }
        }
        Ok(())
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether there may be a frame. What can be read may be a part of one, or the end.
    pub fn is_ready(&self, packets: &Packets) -> bool {
        self.inbox.as_ref().is_some_and(Inbox::has_frame) || packets.is_readable()
    }
}

/// Reads what is there; `None` when there is nothing.
fn read(packets: &Packets, bytes: &mut [u8]) -> Result<Option<usize>, Closed> {
    match packets.read(bytes) {
        Ok(0) => Err(Closed),
        Ok(len) => Ok(Some(len)),
        Err(HostError::WOULD_BLOCK) => Ok(None),
        Err(_) => Err(Closed),
    }
}

/// What was read of a stream and not given yet: from `start` on.
#[derive(Debug, Default)]
struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Inbox {
    /// Length of the next frame, and its bytes if they are all there.
    fn frame(&self) -> Option<(usize, Option<&[u8]>)> {
        let waiting = self.bytes.get(self.start..).unwrap_or_default();
        let (length, rest) = waiting.split_first_chunk::<LENGTH>()?;
        let len = u32::from_be_bytes(*length) as usize;
        Some((len, rest.get(..len)))
    }

    fn has_frame(&self) -> bool {
        self.frame().is_some_and(|(_, bytes)| bytes.is_some())
    }

    /// Copies the next frame as far as there is room; its length. `None` when it is not there yet.
    fn next(&mut self, packets: &Packets, to: &mut [u8]) -> Result<Option<usize>, Closed> {
        loop {
            if let Some((len, bytes)) = self.frame() {
                if len > LONGEST {
                    // Where the next one starts is not known any more.
                    return Err(Closed);
                }
                if let Some(bytes) = bytes {
                    let part = len.min(to.len());
                    to[..part].copy_from_slice(&bytes[..part]);
                    self.start += LENGTH + len;
                    return Ok(Some(len));
                }
            }
            if !self.fill(packets)? {
                return Ok(None);
            }
        }
    }

    /// Reads what has arrived; returns whether there was something.
    fn fill(&mut self, packets: &Packets) -> Result<bool, Closed> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let old = self.bytes.len();
        if self.bytes.try_reserve(CHUNK).is_err() {
            // Later there may be memory.
            return Ok(false);
        }
        self.bytes.resize(old + CHUNK, 0);
        let read = read(packets, &mut self.bytes[old..]);
        self.bytes.truncate(old + read.unwrap_or(None).unwrap_or(0));
        Ok(read?.is_some())
    }
}
