//! The region allocator: a pointer moves through memory; the boot allocator of the C system.
//!
//! A handful of instructions for each call and 8 bytes for each block. Only the last block of a
//! region can be given back, grown or shrunk; then the one before it is the last. Freeing any other
//! does nothing. For boot, for
//! applications that allocate once, and as the early stage of allocators that start later.
//!
//! ```
//! use ukalloc::{Alloc, Heap, SpinLock};
//!
//! let mut memory = [0u64; 128];
//! let heap = Heap::new(ukallocregion::Region::new(), SpinLock::new());
//! unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 1024)? };
//! let block = heap.malloc(100);
//! assert!(!block.is_null());
//! # Ok::<(), ukalloc::AddMemoryError>(())
//! ```
#![cfg_attr(not(test), no_std)]

use core::ptr::NonNull;

use ukalloc::{AddMemoryError, Backend};

/// Pieces of memory at most.
const MAX_PIECES: usize = 8;
/// Before each block stands its size.
const HEADER: usize = size_of::<usize>();

#[derive(Clone, Copy, Debug)]
struct Piece {
    start: usize,
    next: usize,
    end: usize,
}

/// The allocator.
#[derive(Debug)]
pub struct Region {
    /// The first one is tried first: the one that the last block is from.
    pieces: [Piece; MAX_PIECES],
    count: usize,
}

impl Region {
    /// Without memory.
    pub const fn new() -> Self {
        Self { pieces: [Piece { start: 0, next: 0, end: 0 }; MAX_PIECES], count: 0 }
    }

    fn pieces(&self) -> &[Piece] {
        // `count` never exceeds the array; a slice that cannot panic keeps the code small.
        self.pieces.get(..self.count).unwrap_or(&[])
    }

    #[inline]
    fn piece_with_last(&mut self, end: usize) -> Option<&mut Piece> {
        self.pieces.iter_mut().find(|p| p.start < end && p.next == end)
    }

    /// What the first piece cannot serve.
    #[cold]
    #[inline(never)]
    fn allocate_elsewhere(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        for index in 1..self.count.min(MAX_PIECES) {
            if let Some(block) = self.pieces[index].take(size, align) {
                self.pieces.swap(0, index);
                return Some(block);
            }
        }
        None
    }

    /// A block that is not the last one of the first piece.
    #[cold]
    #[inline(never)]
    fn free_elsewhere(&mut self, block: usize, end: usize) {
        if let Some(piece) = self.piece_with_last(end) {
            piece.next = block - HEADER;
        }
    }
}

impl Default for Region {
    fn default() -> Self {
        Self::new()
    }
}

/// Usable size for a request, 8 more than a multiple of 16: the next header follows at once, and
/// its block is aligned. So no gap keeps a block from being the last when the next one is freed.
/// `size` is at most `isize::MAX`.
#[inline]
const fn round_up(size: usize) -> usize {
    ((size + HEADER - 1) & !(ukalloc::MIN_ALIGN - 1)) + HEADER
}

impl Piece {
    /// Cuts a block off what is left.
    #[inline]
    fn take(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        // Rounding up overflows nothing. The gap may be as large, so only the sum is checked.
        let size = round_up(size);
        let before = ((self.next + HEADER).wrapping_neg() & (align - 1)) + HEADER;
        let len = before.saturating_add(size);
        if len > self.end - self.next {
            return None;
        }
        let block = self.next + before;
        self.next += len;
        // SAFETY: the word before the block lies in this piece, between the last block and this one.
        unsafe { (block as *mut usize).sub(1).write(size) };
        NonNull::new(block as *mut u8)
    }
}

// SAFETY: blocks are cut one after the other from memory that was added; each is aligned, and
// `next` moves past it before the next one is cut.
unsafe impl Backend for Region {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        let start = (base as usize).next_multiple_of(HEADER);
        let end = (base as usize).saturating_add(len) & !(HEADER - 1);
        if end < start + 4 * HEADER {
            return Err(AddMemoryError::TooSmall);
        }
        let slot = self.pieces.get_mut(self.count).ok_or(AddMemoryError::TooMany)?;
        *slot = Piece { start, next: start, end };
        self.count += 1;
        Ok(())
    }

    #[inline]
    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        self.pieces[0].take(size, align).or_else(|| self.allocate_elsewhere(size, align))
    }

    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>) {
        // SAFETY: the caller's promise.
        let size = unsafe { self.usable_size(block) };
        let block = block.as_ptr() as usize;
        let end = block + size;
        let first = &mut self.pieces[0];
        // The block before an empty piece may be of another piece that ends there.
        if first.next == end && first.start < end {
            // What aligned the block stays unused; the next block starts with its own header.
            first.next = block - HEADER;
        } else {
            self.free_elsewhere(block, end);
        }
    }

    #[inline]
    unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        // SAFETY: `allocate` wrote it there.
        unsafe { block.cast::<usize>().sub(1).read() }
    }

    unsafe fn resize_in_place(&mut self, block: NonNull<u8>, size: usize) -> bool {
        // SAFETY: the caller's promise.
        let old = unsafe { self.usable_size(block) };
        if let Some(piece) = self.piece_with_last(block.as_ptr() as usize + old) {
            let end = (size <= isize::MAX as usize)
                .then(|| (block.as_ptr() as usize).checked_add(round_up(size)))
                .flatten();
            if let Some(end) = end.filter(|end| *end <= piece.end) {
                piece.next = end;
                // SAFETY: the header of a live block.
                unsafe { block.cast::<usize>().sub(1).write(end - block.as_ptr() as usize) };
                return true;
            }
        }
        size <= old
    }

    fn owns(&self, address: *const u8) -> bool {
        self.pieces().iter().any(|p| (p.start..p.end).contains(&(address as usize)))
    }

    fn total_memory(&self) -> usize {
        self.pieces().iter().map(|p| p.end - p.start).sum()
    }

    fn available(&self) -> usize {
        self.pieces().iter().map(|p| p.end - p.next).sum()
    }

    fn largest_free(&self) -> usize {
        let left = |p: &Piece| {
            let block = (p.next + HEADER).next_multiple_of(ukalloc::MIN_ALIGN);
            p.end
                .checked_sub(block + HEADER)
                .map_or(0, |rest| (rest & !(ukalloc::MIN_ALIGN - 1)) + HEADER)
        };
        self.pieces().iter().map(left).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
