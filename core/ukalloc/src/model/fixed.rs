//! The plainest back end.

use core::ptr::NonNull;

use crate::{AddMemoryError, Backend, MIN_ALIGN};

/// A back end that takes only the last block back: the plainest there is, to test what is above it.
#[derive(Debug, Default)]
pub struct Fixed {
    start: usize,
    next: usize,
    end: usize,
}

impl Fixed {
    /// Without memory.
    pub const fn new() -> Self {
        Self { start: 0, next: 0, end: 0 }
    }
}

// SAFETY: blocks are cut from the memory one after the other, each with its size before it.
unsafe impl Backend for Fixed {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        if self.end != 0 {
            return Err(AddMemoryError::TooMany);
        }
        (self.start, self.next, self.end) = (base as usize, base as usize, base as usize + len);
        Ok(())
    }

    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let block = self.next.checked_add(8)?.checked_next_multiple_of(align)?;
        let end = block.checked_add(size.max(1))?.checked_next_multiple_of(8)?;
        if end > self.end {
            return None;
        }
        self.next = end;
        // SAFETY: the 8 bytes before the block are inside the memory and nobody else's.
        unsafe { (block as *mut usize).sub(1).write(end - block) };
        NonNull::new(block as *mut u8)
    }

    unsafe fn free(&mut self, block: NonNull<u8>) {
        // SAFETY: the caller's promise.
        if block.as_ptr() as usize + unsafe { self.usable_size(block) } == self.next {
            self.next = block.as_ptr() as usize - 8;
        }
    }

    unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        // SAFETY: `allocate` wrote it there.
        unsafe { block.cast::<usize>().sub(1).read() }
    }

    fn owns(&self, address: *const u8) -> bool {
        (self.start..self.end).contains(&(address as usize))
    }

    fn total_memory(&self) -> usize {
        self.end - self.start
    }

    fn available(&self) -> usize {
        self.end - self.next
    }

    fn largest_free(&self) -> usize {
        let block = (self.next + 8).next_multiple_of(MIN_ALIGN);
        self.end.saturating_sub(block) & !7
    }
}
