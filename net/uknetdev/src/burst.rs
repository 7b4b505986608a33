//! Several frames at a time.

use alloc::collections::VecDeque;

use crate::{NetBuf, NetError};

/// A queue of frames, or of buffers for frames, with room for so many. It never allocates once made.
///
/// Whoever takes some takes them from the front, and what is not taken stays.
#[derive(Debug)]
pub struct Burst {
    frames: VecDeque<NetBuf>,
    room: usize,
}

impl Burst {
    /// An empty one with room for `room` frames.
    ///
    /// # Errors
    /// [`NetError::OutOfMemory`].
    pub fn new(room: usize) -> Result<Self, NetError> {
        let mut frames = VecDeque::new();
        frames.try_reserve_exact(room).map_err(|_| NetError::OutOfMemory)?;
        Ok(Self { frames, room })
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether there is no room for another.
    pub fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// How many more there is room for.
    pub fn room(&self) -> usize {
        self.room - self.frames.len()
    }

    /// Adds a frame as the last one.
    ///
    /// # Errors
    /// The frame, when there is no room.
    pub fn push(&mut self, frame: NetBuf) -> Result<(), NetBuf> {
        if self.is_full() {
            return Err(frame);
        }
        self.frames.push_back(frame);
        Ok(())
    }

    /// Adds a frame as the first one: what was taken and is of no use yet.
    ///
    /// # Errors
    /// The frame, when there is no room.
    pub fn put_back(&mut self, frame: NetBuf) -> Result<(), NetBuf> {
        if self.is_full() {
            return Err(frame);
        }
        self.frames.push_front(frame);
        Ok(())
    }

    /// Takes the first one.
    pub fn pop(&mut self) -> Option<NetBuf> {
        self.frames.pop_front()
    }

    /// Looks at the first one.
    pub fn first(&self) -> Option<&NetBuf> {
        self.frames.front()
    }

    /// All of them, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &NetBuf> {
        self.frames.iter()
    }
}
