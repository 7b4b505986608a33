//! Blocks: headers, neighbours, links.
//!
//! ```text
//!            ┌ Block                        ┌ next block
//!   ... ─────┬──────────────┬───────────────┬──────────────┬─────
//!    previous│ size + marks │    payload    │ size + marks │
//!   ... ─────┴──────────────┴───────────────┴──────────────┴─────
//!                           16-byte aligned
//! ```
//! The header is one word: the payload's size, and in its low bits whether this block and the one
//! before it are free. A free block uses its payload: two links at the start, and in the last
//! word its own address, by which the block after it finds it. Payload sizes are 8 more than a
//! multiple of 16, so that all payloads are aligned.

use core::ptr::NonNull;

/// Bytes of a block beside its payload.
pub const HEADER: usize = 8;
/// Before the first header of a piece, so that its payload is aligned.
pub const BEFORE_HEADER: usize = 0;
/// Two links and the address for the neighbour.
pub const MIN_PAYLOAD: usize = 24;

const FREE: usize = 1;
const PREVIOUS_FREE: usize = 2;
const MARKS: usize = FREE | PREVIOUS_FREE;

/// The least payload size for `size` bytes.
#[inline]
pub const fn round_up(size: usize) -> usize {
    // `size` is far below the top of the address space (MAX_PAYLOAD).
    ((size + 7) & !15) + 8
}

/// The largest payload size within `size` bytes; 0 when there is none.
pub const fn round_down(size: usize) -> usize {
    if size < 8 { 0 } else { ((size - 8) & !15) + 8 }
}

/// A block, by the address of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block(NonNull<usize>);

/// What a free block keeps at the start of its payload.
#[repr(C)]
struct Links {
    next: Option<Block>,
    previous: Option<Block>,
}

// SAFETY (all functions): a `Block` is made of the address of a header in memory of the
// allocator; the callers keep the promises named at each function.
impl Block {
    /// # Safety
    /// `payload` must be the start of a payload.
    #[inline]
    pub unsafe fn of_payload(payload: NonNull<u8>) -> Self {
        // SAFETY: the header is the word before the payload.
        Self(unsafe { payload.cast::<usize>().sub(1) })
    }

    /// # Safety
    /// The header must be in memory of the allocator.
    #[inline]
    pub unsafe fn payload(self) -> NonNull<u8> {
        // SAFETY: the payload follows the header.
        unsafe { self.0.add(1).cast() }
    }

    /// # Safety
    /// The header must have been written, as for all functions below.
    #[inline]
    pub unsafe fn payload_size(self) -> usize {
        // SAFETY: reads the header.
        unsafe { self.0.read() & !MARKS }
    }

    /// # Safety
    /// See [`Block::payload_size`].
    #[inline]
    pub unsafe fn is_free(self) -> bool {
        // SAFETY: reads the header.
        unsafe { self.0.read() & FREE != 0 }
    }

    /// The block after this one; at the end of a piece an empty block that is never free.
    ///
    /// # Safety
    /// Not for that last one.
    #[inline]
    pub unsafe fn next(self) -> Self {
        // SAFETY: the payload ends where the next header starts.
        unsafe { Self(self.payload().add(self.payload_size()).cast()) }
    }

    /// The block before this one when it is free.
    ///
    /// # Safety
    /// See [`Block::payload_size`].
    #[inline]
    pub unsafe fn previous_free(self) -> Option<Self> {
        // SAFETY: the mark says that the block before left its address in its last word.
        unsafe { (self.0.read() & PREVIOUS_FREE != 0).then(|| self.0.sub(1).cast::<Self>().read()) }
    }

    /// The block that starts where a payload of `size` bytes of this one would end.
    ///
    /// # Safety
    /// That end, and the header after it, must lie in the same piece.
    #[inline]
    pub unsafe fn after(self, size: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self(self.payload().add(size).cast()) }
    }

    /// Writes what says that this block is free and has `size` bytes: header, and the address in
    /// the last word. Neighbours of free blocks are in use, so there is no other mark. The block
    /// after it must be told too, by [`Block::previous_is_free`], if it does not know.
    ///
    /// # Safety
    /// The payload must be the allocator's.
    #[inline]
    pub unsafe fn write_free(self, size: usize) {
        // SAFETY: header and last word of the payload are the allocator's.
        unsafe {
            self.0.write(size | FREE);
            self.after(size).0.sub(1).cast::<Self>().write(self);
        }
    }

    /// Writes the header of a block in use of `size` bytes after a block that is in use.
    ///
    /// # Safety
    /// The header must be the allocator's.
    #[inline]
    pub unsafe fn write_used(self, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.0.write(size) }
    }

    /// Changes the size of a block in use.
    ///
    /// # Safety
    /// See [`Block::payload_size`].
    #[inline]
    pub unsafe fn set_used_size(self, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.0.write(size | self.0.read() & PREVIOUS_FREE) }
    }

    /// Marks the header of a block that became part of the one before it, so that freeing it again
    /// is noticed.
    ///
    /// # Safety
    /// See [`Block::payload_size`].
    #[inline]
    pub unsafe fn mark_gone(self) {
        // SAFETY: the caller's promise.
        unsafe { self.0.write(FREE) }
    }

    /// Says that the block before this one is free.
    ///
    /// # Safety
    /// That block must have been written with [`Block::write_free`].
    #[inline]
    pub unsafe fn previous_is_free(self) {
        // SAFETY: the caller's promise.
        unsafe { self.0.write(self.0.read() | PREVIOUS_FREE) }
    }

    /// Says that the block before this one is in use.
    ///
    /// # Safety
    /// See [`Block::payload_size`].
    #[inline]
    pub unsafe fn previous_is_used(self) {
        // SAFETY: the caller's promise.
        // Volatile, that it is not made a write of one byte: processors hand what was just written
        // on to a read of the whole word only if the whole word was written.
        unsafe { self.0.write_volatile(self.0.read_volatile() & !PREVIOUS_FREE) }
    }

    #[inline]
    fn links_place(self) -> NonNull<Links> {
        // SAFETY: the payload follows the header, within the same memory.
        unsafe { self.0.add(1).cast() }
    }

    /// Next and previous block of the list.
    ///
    /// # Safety
    /// The block must be in a list, as for the functions below.
    #[inline]
    pub unsafe fn links(self) -> (Option<Self>, Option<Self>) {
        // SAFETY: a block in a list has links.
        unsafe {
            let links = self.links_place().as_ref();
            (links.next, links.previous)
        }
    }

    /// # Safety
    /// The block must be free: its payload holds links.
    #[inline]
    pub unsafe fn set_links(self, next: Option<Self>, previous: Option<Self>) {
        // SAFETY: a free payload has room for links.
        unsafe { self.links_place().write(Links { next, previous }) }
    }

    /// # Safety
    /// See [`Block::links`].
    #[inline]
    pub unsafe fn set_next(self, next: Option<Self>) {
        // SAFETY: a block in a list has links.
        unsafe { (*self.links_place().as_ptr()).next = next }
    }

    /// # Safety
    /// See [`Block::links`].
    #[inline]
    pub unsafe fn set_previous(self, previous: Option<Self>) {
        // SAFETY: a block in a list has links.
        unsafe { (*self.links_place().as_ptr()).previous = previous }
    }
}
