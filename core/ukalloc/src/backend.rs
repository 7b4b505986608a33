//! What an allocator must be able to do.

use core::fmt;
use core::ptr::NonNull;

/// Why a back end cannot use a piece of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddMemoryError {
    /// The piece is too small to hold anything.
    TooSmall,
    /// The piece is larger than the back end can manage.
    TooLarge,
    /// The back end has no room to remember another piece, or takes only one.
    TooMany,
    /// The platform lacks what the back end needs.
    Unsupported,
}

impl fmt::Display for AddMemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddMemoryError::TooSmall => "the memory is too small for this allocator",
            AddMemoryError::TooLarge => "the memory is too large for this allocator",
            AddMemoryError::TooMany => "the allocator cannot take another piece of memory",
            AddMemoryError::Unsupported => "the allocator does not work on this platform",
        })
    }
}

impl core::error::Error for AddMemoryError {}

/// Blocks that a back end freed by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// How many.
    pub blocks: u64,
    /// Their usable bytes.
    pub bytes: usize,
}

/// An allocator's mechanism, used by one caller at a time.
///
/// # Safety
/// Blocks returned by [`Backend::allocate`] must lie in memory that was added (at its addresses or
/// at others of the same memory), be aligned as asked, have at least the size asked for, and not overlap until they are freed.
pub unsafe trait Backend: Send {
    /// Takes `[base, base + len)` into use. Must not touch all of it: `len` may be gigabytes.
    ///
    /// # Errors
    /// See [`AddMemoryError`]; the back end is then as before.
    ///
    /// # Safety
    /// The memory must be readable and writable, used by nobody else, and stay so for ever.
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError>;

    /// A block of at least `size` bytes at a multiple of `align`; `None` when there is none. 0
    /// counts as 1: back ends round up anyway.
    /// The caller made sure that `size` is at most `isize::MAX`, and `align` a power of two.
    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>>;

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` must be from [`Backend::allocate`] of this back end, not freed, and unused from now on.
    unsafe fn free(&mut self, block: NonNull<u8>);

    /// Bytes that may be used at `block`, at least what was asked for.
    ///
    /// # Safety
    /// `block` must be from [`Backend::allocate`] of this back end, and not freed.
    unsafe fn usable_size(&self, block: NonNull<u8>) -> usize;

    /// Changes the size of a block without moving it; returns whether it worked.
    ///
    /// # Safety
    /// As [`Backend::usable_size`]; what is cut off must not be used any more.
    unsafe fn resize_in_place(&mut self, block: NonNull<u8>, size: usize) -> bool {
        // SAFETY: the caller's promise.
        size <= unsafe { self.usable_size(block) }
    }

    /// Gives memory that is kept for later use (empty slabs, caches) back to what all sizes are cut
    /// from; returns whether there was any. Called before an allocation fails.
    fn reclaim(&mut self) -> bool {
        false
    }

    /// See [`Alloc::leave_alone`](crate::Alloc::leave_alone).
    ///
    /// # Safety
    /// `block` must be from [`Backend::allocate`] of this back end, not freed, and start a page.
    unsafe fn leave_alone(&mut self, _block: NonNull<u8>) -> bool {
        true
    }

    /// What the back end freed by itself since the last call, for the statistics of its heap; only
    /// garbage collectors do that. Called after [`Backend::reclaim`].
    fn take_freed(&mut self) -> Freed {
        Freed::default()
    }

    /// Whether an address lies in memory of this back end.
    fn owns(&self, address: *const u8) -> bool;

    /// Bytes that were added.
    fn total_memory(&self) -> usize;

    /// Bytes in free blocks; not all of them need be usable in one piece.
    fn available(&self) -> usize;

    /// A size that could be allocated now with [`MIN_ALIGN`](crate::MIN_ALIGN), the largest that
    /// is known without a long search.
    fn largest_free(&self) -> usize;
}

/// Ends the image because a heap's bookkeeping was found to be damaged, by a double free or by
/// writing past the end of a block. Going on would destroy data.
#[cold]
#[inline(never)]
pub fn corrupt(what: impl fmt::Display) -> ! {
    panic!("heap corrupted: {what}")
}
