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
        unsafe {
            if self.0.read() & PREVIOUS_FREE == 0 {
                return None;
            }
            self.0.sub(1).cast::<Option<Self>>().read()
        }
    }

    /// Marks this block as free, for itself and for the block after it.
    ///
    /// # Safety
    /// The payload must not be used any more.
    #[inline]
    pub unsafe fn mark_free(self) {
        // SAFETY: header, last word of the payload and next header are the allocator's.
        unsafe {
            self.0.write(self.0.read() | FREE);
            let next = self.next();
            next.0.sub(1).cast::<Self>().write(self);
            next.0.write(next.0.read() | PREVIOUS_FREE);
        }
    }

    /// Marks this block as used, for itself and for the block after it.
    ///
    /// # Safety
    /// The block must be in no list.
    #[inline]
    pub unsafe fn mark_used(self) {
        // SAFETY: both headers are the allocator's.
        unsafe {
            self.0.write(self.0.read() & !FREE);
            let next = self.next();
            next.0.write(next.0.read() & !PREVIOUS_FREE);
        }
    }

    /// Cuts a block in no list after `size` bytes of payload; returns the second part, whose marks
    /// say that neither it nor the first part is free.
    ///
    /// # Safety
    /// The payload must have `size + HEADER + MIN_PAYLOAD` bytes at least; `size` must be a payload
    /// size.
    #[inline]
    pub unsafe fn split(self, size: usize) -> Self {
        // SAFETY: the second header lies inside this payload.
        unsafe {
            let header = self.0.read();
            let rest = (header & !MARKS) - size - HEADER;
            self.0.write(size | header & MARKS);
            let tail = self.next();
            tail.0.write(rest);
            tail
        }
    }

    /// Adds the block that follows to this one.
    ///
    /// # Safety
    /// `next` must follow this block; both must be in no list.
    #[inline]
    pub unsafe fn absorb(self, next: Self) {
        // SAFETY: writes this header; payload sizes leave the marks alone.
        unsafe { self.0.write(self.0.read() + HEADER + next.payload_size()) }
    }

    /// Writes the headers of a piece: one free block of `size` bytes and the empty block that
    /// ends the piece.
    ///
    /// # Safety
    /// Header, payload and one more header must be memory of the allocator.
    pub unsafe fn start_piece(self, size: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            self.0.write(size);
            self.next().0.write(0);
            self.mark_free();
        }
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
