//! Buffers of frames.

use alloc::boxed::Box;
use core::fmt;
use core::ops::{Deref, DerefMut, Range};

use ukdma::{Buffer, SegmentList};

use crate::NetError;

/// Pieces that a frame has at most.
pub const MAX_PIECES: usize = 16;

/// A frame, or a piece of one, in memory of its own with room in front of it and behind it.
///
/// It is its bytes; [`prepend`](Self::prepend) and [`extend`](Self::extend) make more of them out of
/// the room, [`strip`](Self::strip) and [`truncate`](Self::truncate) less. Further pieces may
/// [follow](Self::chain), so that a header goes in front of bytes that lie elsewhere.
///
/// ```
/// use uknetdev::NetBuf;
///
/// let mut frame = NetBuf::new(128, 32)?;
/// frame.extend(3).expect("there is room").copy_from_slice(b"tcp");
/// frame.prepend(3).expect("there is room").copy_from_slice(b"ip ");
/// assert_eq!(*frame, *b"ip tcp");
/// assert!(frame.strip(3) && *frame == *b"tcp");
/// assert!(frame.prepend(33).is_none());
/// # Ok::<(), uknetdev::NetError>(())
/// ```
pub struct NetBuf {
    buffer: Buffer,
    /// The bytes are those from here on, and so many; kept inside of the buffer.
    start: usize,
    len: usize,
    next: Option<Box<NetBuf>>,
}

impl NetBuf {
    /// An empty one of `capacity` bytes in all, `headroom` of them in front.
    ///
    /// # Errors
    /// [`NetError::OutOfMemory`].
    pub fn new(capacity: usize, headroom: usize) -> Result<Self, NetError> {
        let buffer = Buffer::new(capacity)?;
        let start = headroom.min(buffer.len());
        Ok(Self { buffer, start, len: 0, next: None })
    }

    /// One around memory, all of which are its bytes.
    pub fn of(buffer: Buffer) -> Self {
        let len = buffer.len();
        Self { buffer, start: 0, len, next: None }
    }

    /// Bytes of this piece and of the room around them.
    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Room in front of the bytes.
    pub fn headroom(&self) -> usize {
        self.start
    }

    /// Room behind the bytes.
    pub fn tailroom(&self) -> usize {
        self.buffer.len() - self.start - self.len
    }

    /// Makes it empty, of one piece, with room in front.
    pub fn reset(&mut self, headroom: usize) {
        (self.start, self.len, self.next) = (headroom.min(self.buffer.len()), 0, None);
    }

    /// Makes the last `count` bytes of the room in front the first bytes; returns them, with what was
    /// there before. `None`, and nothing is done, when there is less room.
    #[inline]
    pub fn prepend(&mut self, count: usize) -> Option<&mut [u8]> {
        self.start = self.start.checked_sub(count)?;
        self.len += count;
        self.get_mut(..count)
    }

    /// Makes the first `count` bytes of the room behind the last bytes; returns them, with what was
    /// there before. `None`, and nothing is done, when there is less room.
    #[inline]
    pub fn extend(&mut self, count: usize) -> Option<&mut [u8]> {
        if count > self.tailroom() {
            return None;
        }
        let old = self.len;
        self.len += count;
        self.get_mut(old..)
    }

    /// Makes the first `count` bytes room. `false`, and nothing is done, when there are less.
    #[inline]
    pub fn strip(&mut self, count: usize) -> bool {
        let Some(left) = self.len.checked_sub(count) else { return false };
        self.start += count;
        self.len = left;
        true
    }

    /// Makes all bytes behind the first `count` room.
    #[inline]
    pub fn truncate(&mut self, count: usize) {
        self.len = self.len.min(count);
    }

    /// Adds further pieces.
    ///
    /// # Errors
    /// The pieces, when there would be more than [`MAX_PIECES`].
    pub fn chain(&mut self, pieces: NetBuf) -> Result<(), NetBuf> {
        if self.pieces().count() + pieces.pieces().count() > MAX_PIECES {
            return Err(pieces);
        }
        let mut last = &mut self.next;
        while let Some(piece) = last {
            last = &mut piece.next;
        }
        *last = Some(Box::new(pieces));
        Ok(())
    }

    /// Takes the further pieces off.
    pub fn unchain(&mut self) -> Option<NetBuf> {
        self.next.take().map(|next| *next)
    }

    /// This piece and those that follow it.
    pub fn pieces(&self) -> impl Iterator<Item = &NetBuf> {
        core::iter::successors(Some(self), |piece| piece.next.as_deref())
    }

    /// Bytes of all pieces.
    pub fn frame_len(&self) -> usize {
        self.pieces().map(|piece| piece.len).sum()
    }

    fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// Puts the bytes of all pieces on the list of what a device reads.
    #[inline]
    pub fn device_reads<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
        let range = self.range();
        list.device_reads_part(&mut self.buffer, range);
        let mut next = self.next.as_deref_mut();
        while let Some(piece) = next {
            let range = piece.range();
            list.device_reads_part(&mut piece.buffer, range);
            next = piece.next.as_deref_mut();
        }
    }

    /// Puts the bytes of this piece on the list of what a device writes.
    #[inline]
    pub fn device_writes<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
        let range = self.range();
        list.device_writes_part(&mut self.buffer, range);
    }
}

impl Deref for NetBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.buffer.get(self.range()).unwrap_or_default()
    }
}

impl DerefMut for NetBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let range = self.range();
        self.buffer.get_mut(range).unwrap_or_default()
    }
}

impl fmt::Debug for NetBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetBuf({} bytes of {}", self.len, self.capacity())?;
        if self.next.is_some() {
            write!(f, ", {} in {} pieces", self.frame_len(), self.pieces().count())?;
        }
        f.write_str(")")
    }
}
