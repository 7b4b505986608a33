//! Bytes in the order in which they came.

use alloc::boxed::Box;

use ukerrno::Errno;
use ukfile::{Gather, Scatter};

/// Bytes that a ring begins with.
const SMALLEST: usize = 4096;

/// A queue of bytes that takes memory when it needs it.
#[derive(Default)]
pub struct Ring {
    bytes: Box<[u8]>,
    start: usize,
    length: usize,
}

impl Ring {
    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Makes room for `more` bytes beyond those that are in it.
    fn reserve(&mut self, more: usize, limit: usize) -> Result<(), Errno> {
        let needed = self.length + more;
        if needed <= self.bytes.len() {
            return Ok(());
        }
        let size = needed.next_power_of_two().clamp(SMALLEST, limit.max(needed));
        self.resize(size)
    }

    /// Moves what is in it to a block of `size` bytes.
    fn resize(&mut self, size: usize) -> Result<(), Errno> {
        let mut bytes = ukfile::fallible::zeroed(size)?;
        let (first, second) = self.filled();
        bytes[..first.len()].copy_from_slice(first);
        bytes[first.len()..][..second.len()].copy_from_slice(second);
        self.bytes = bytes;
        self.start = 0;
        Ok(())
    }

    fn filled(&self) -> (&[u8], &[u8]) {
        let end = self.start + self.length;
        match end.checked_sub(self.bytes.len()) {
            Some(wrapped) if end > self.bytes.len() => {
                (&self.bytes[self.start..], &self.bytes[..wrapped])
            }
            _ => (&self.bytes[self.start..end], &[]),
        }
    }

    /// Appends the next `count` bytes of `source`. The ring takes at most `limit` bytes of memory.
    pub fn push(
        &mut self,
        source: &mut Gather<'_>,
        count: usize,
        limit: usize,
    ) -> Result<(), Errno> {
        self.reserve(count, limit)?;
        let size = self.bytes.len();
        let begin = (self.start + self.length) % size.max(1);
        let first = count.min(size - begin);
        source.copy_to(&mut self.bytes[begin..begin + first]);
        source.copy_to(&mut self.bytes[..count - first]);
        self.length += count;
        Ok(())
    }

    /// Moves bytes to `target`, as many as fit; returns how many.
    pub fn pop(&mut self, target: &mut Scatter<'_, '_>) -> usize {
        let (first, second) = self.filled();
        let mut taken = target.put(first);
        if taken == first.len() {
            taken += target.put(second);
        }
        self.length -= taken;
        if self.length == 0 {
            self.start = 0;
        } else {
            self.start = (self.start + taken) % self.bytes.len();
        }
        taken
    }
}
