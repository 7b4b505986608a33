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

use ukalloc::{AddMemoryError, Backend, MIN_ALIGN};

/// Pieces of memory at most.
const MAX_PIECES: usize = 8;
/// Before each block stands a word: how far it is to where the next block starts.
const HEADER: usize = size_of::<usize>();

/// Memory with blocks side by side. Blocks start at multiples of [`MIN_ALIGN`], the word before the
/// next one included in what a block takes: so the next one needs no alignment, and no gap keeps
/// a block from being the last when the next one is freed.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where the first block starts, at least a word behind the start of the memory.
    start: usize,
    /// Where the next block starts.
    next: usize,
    /// A multiple of [`MIN_ALIGN`] that `next` does not exceed.
    end: usize,
}

/// The allocator.
#[derive(Debug)]
pub struct Region {
    /// The first one is tried first: the one that the last block is from.
    pieces: [Piece; MAX_PIECES],
    count: usize,
    total: usize,
}

impl Region {
    /// Without memory.
    pub const fn new() -> Self {
        Self { pieces: [Piece { start: 0, next: 0, end: 0 }; MAX_PIECES], count: 0, total: 0 }
    }

    fn pieces(&self) -> &[Piece] {
        // `count` never exceeds the array; a slice that cannot panic keeps the code small.
        self.pieces.get(..self.count).unwrap_or(&[])
    }

    /// The piece whose last block ends at `end`. That is never where another one starts.
    fn piece_with_last(&mut self, end: usize) -> Option<&mut Piece> {
        self.pieces.iter_mut().find(|p| p.next == end)
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
            piece.next = block;
        }
    }
}

impl Default for Region {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes that a block takes, with the word before the next one: a multiple of [`MIN_ALIGN`].
/// `size` is at most `isize::MAX`.
#[inline]
const fn length(size: usize) -> usize {
    (size + HEADER).next_multiple_of(MIN_ALIGN)
}

impl Piece {
    /// Cuts a block off what is left.
    #[inline]
    fn take(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let len = length(size);
        let gap = if align <= MIN_ALIGN { 0 } else { self.next.wrapping_neg() & (align - 1) };
        // Both may be as large as half of all addresses.
        let total = gap.checked_add(len)?;
        if total > self.end - self.next {
            return None;
        }
        let block = self.next + gap;
        self.next += total;
        // SAFETY: the word before the block lies in this piece, between the last block and this one;
        // no piece starts at 0.
        unsafe {
            (block as *mut usize).sub(1).write(len);
            Some(NonNull::new_unchecked(block as *mut u8))
        }
    }
}

/// What [`length`] was for a block.
///
/// # Safety
/// The block must be a live one.
#[inline]
unsafe fn length_of(block: NonNull<u8>) -> usize {
    // SAFETY: `take` wrote it there.
    unsafe { block.cast::<usize>().sub(1).read() }
}

// SAFETY: blocks are cut one after the other from memory that was added; each is aligned, and
// `next` moves past it before the next one is cut.
unsafe impl Backend for Region {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        let start = (base as usize)
            .checked_add(HEADER)
            .and_then(|first| first.checked_next_multiple_of(MIN_ALIGN))
            .ok_or(AddMemoryError::TooSmall)?;
        let end = (base as usize).saturating_add(len) & !(MIN_ALIGN - 1);
        if end < start + 2 * MIN_ALIGN {
            return Err(AddMemoryError::TooSmall);
        }
        let slot = self.pieces.get_mut(self.count).ok_or(AddMemoryError::TooMany)?;
        *slot = Piece { start, next: start, end };
        self.count += 1;
        self.total += len;
        Ok(())
    }

    #[inline]
    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        match self.pieces[0].take(size, align) {
            Some(block) => Some(block),
            None => self.allocate_elsewhere(size, align),
        }
    }

    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>) {
        // SAFETY: the caller's promise.
        let len = unsafe { length_of(block) };
        let block = block.as_ptr() as usize;
        let end = block + len;
        let first = &mut self.pieces[0];
        if first.next == end {
            // What aligned the block stays unused.
            first.next = block;
        } else {
            self.free_elsewhere(block, end);
        }
    }

    #[inline]
    unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        // SAFETY: the caller's promise.
        unsafe { length_of(block) - HEADER }
    }

    unsafe fn resize_in_place(&mut self, block: NonNull<u8>, size: usize) -> bool {
        // SAFETY: the caller's promise.
        let old = unsafe { length_of(block) };
        let start = block.as_ptr() as usize;
        if let Some(piece) = self.piece_with_last(start + old)
            && size <= isize::MAX as usize
            && length(size) <= piece.end - start
        {
            piece.next = start + length(size);
            // SAFETY: the word before a live block.
            unsafe { block.cast::<usize>().sub(1).write(length(size)) };
            return true;
        }
        size <= old - HEADER
    }

    fn owns(&self, address: *const u8) -> bool {
        self.pieces().iter().any(|p| (p.start..p.end).contains(&(address as usize)))
    }

    fn total_memory(&self) -> usize {
        self.total
    }

    fn available(&self) -> usize {
        self.pieces().iter().map(|p| p.end - p.next).sum()
    }

    fn largest_free(&self) -> usize {
        self.pieces().iter().map(|p| (p.end - p.next).saturating_sub(HEADER)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
