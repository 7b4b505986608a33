//! What a driver implements.

use uklock::EventCount;

use crate::{Burst, HEADER_LEN, Mac, NetError};

/// Bytes of a tag between header and content (IEEE 802.1Q).
const TAG: usize = 4;

/// What a device is like. Nothing of it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its hardware address.
    pub mac: Mac,
    /// Bytes that a frame carries at most, behind its header.
    pub mtu: usize,
    /// Queues, at least 1, each with a side that sends and one that receives.
    pub queues: usize,
    /// Frames that a queue takes at a time on either side, at least 1.
    pub depth: usize,
    /// Room that must be in front of a frame that is sent, for the device's own use.
    pub headroom: usize,
    /// Pieces that a frame may be in when it is sent.
    pub pieces: usize,
}

impl Info {
    /// Bytes of a frame at most: what it carries, its header, and a tag.
    pub const fn max_frame(&self) -> usize {
        self.mtu + HEADER_LEN + TAG
    }

    /// Bytes that a buffer must have for any frame, received or sent.
    pub const fn buffer_len(&self) -> usize {
        // A power of two below a page is in one piece for the device, wherever it lies.
        let len = self.headroom + self.max_frame();
        if len <= 4096 { len.next_power_of_two() } else { len }
    }

    /// Whether a frame can be sent.
    ///
    /// # Errors
    /// [`NetError::BadLength`], [`NetError::Headroom`], [`NetError::Pieces`].
    pub fn check(&self, frame: &crate::NetBuf) -> Result<(), NetError> {
        let (pieces, len) =
            frame.pieces().fold((0, 0), |(pieces, len), piece| (pieces + 1, len + piece.len()));
        if !(HEADER_LEN..=self.max_frame()).contains(&len) {
            return Err(NetError::BadLength);
        }
        if frame.headroom() < self.headroom {
            return Err(NetError::Headroom);
        }
        if pieces > self.pieces { Err(NetError::Pieces) } else { Ok(()) }
    }
}

/// Whether a device can reach others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It can, or does not know.
    Up,
    /// No cable, so to say. What is sent is lost.
    Down,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Frames that arrived.
    Frames,
    /// Those, or that a frame was sent, so that there is room for the next.
    FramesOrRoom,
}

/// A network device, as its driver gives it. Who uses one takes a [`Queue`](crate::Queue) of an
/// [`Interface`](crate::Interface).
///
/// The calls of one queue are made by one thread at a time, those of several at the same time. A queue
/// number that is too large gives [`NetError::NoQueue`], or nothing. Buffers come from the caller and
/// go back to it; a driver allocates none for frames.
pub trait NetDevice: Send + Sync {
    /// What it is like.
    fn info(&self) -> &Info;

    /// Whether it can reach others at the moment.
    fn link(&self) -> Link {
        Link::Up
    }

    /// Takes buffers for frames that will arrive, of [`Info::buffer_len`] bytes at least, as long as
    /// it has room for them. What is in them is lost.
    ///
    /// # Errors
    /// [`NetError`]; the buffer that could not be taken is then the first one.
    fn supply(&self, queue: usize, buffers: &mut Burst) -> Result<(), NetError>;

    /// Gives frames that arrived, in buffers that were [supplied](Self::supply), each in one piece,
    /// until there are no more or the burst is full.
    ///
    /// # Errors
    /// [`NetError::Broken`].
    fn rx_burst(&self, queue: usize, frames: &mut Burst) -> Result<(), NetError>;

    /// Takes frames to send, in this order, until there are no more or it has no room; then makes the
    /// device begin with them.
    ///
    /// # Errors
    /// [`NetError`]; the frame that could not be taken is then the first one. Those before it are
    /// sent.
    fn tx_burst(&self, queue: usize, frames: &mut Burst) -> Result<(), NetError>;

    /// Gives the buffers of frames back that were sent, until there are no more or the burst is full.
    fn reclaim(&self, queue: usize, buffers: &mut Burst);

    /// Frames that arrived and were of no use, or for which there was no buffer, as far as the driver
    /// knows of them.
    fn dropped(&self, queue: usize) -> u64;

    /// Whether there is what somebody waits for, or an error to tell.
    fn is_ready(&self, queue: usize, interest: Interest) -> bool;

    /// Counts whenever there may be something on queues that are [armed](Self::arm), or the link
    /// changed. `None` when the device cannot tell: then somebody must look.
    fn events(&self) -> Option<&'static EventCount> {
        None
    }

    /// Makes the next frame, or the next room, an event. Returns whether there is one already, for
    /// which no event comes.
    fn arm(&self, queue: usize, interest: Interest) -> bool {
        self.is_ready(queue, interest)
    }

    /// Makes nothing an event. One that is on its way may still come.
    fn disarm(&self, queue: usize) {
        let _ = queue;
    }
}
