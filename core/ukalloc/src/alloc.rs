//! The POSIX allocation interface.

use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::{AddMemoryError, Stats};

/// Alignment in bytes of every block, enough for any C type (`max_align_t`).
pub const MIN_ALIGN: usize = 16;
/// Size in bytes of the pages of [`Alloc::palloc`].
pub const PAGE_SIZE: usize = 4096;

/// Errors of `posix_memalign`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocError {
    /// `EINVAL`: the alignment is not a power of two, or no multiple of a pointer's size.
    InvalidAlignment,
    /// `ENOMEM`: there is no memory.
    OutOfMemory,
}

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AllocError::InvalidAlignment => "invalid alignment",
            AllocError::OutOfMemory => "out of memory",
        })
    }
}

impl core::error::Error for AllocError {}

/// An allocator. The crate's documentation has the table of edge cases.
///
/// # Safety
/// Non-null results must be blocks of their own as described for each function.
pub unsafe trait Alloc: Sync {
    /// A block of at least `size` bytes, aligned to [`MIN_ALIGN`]; null when there is none.
    fn malloc(&self, size: usize) -> *mut u8 {
        self.memalign(MIN_ALIGN, size)
    }

    /// A zeroed block for `count` elements of `size` bytes.
    fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        let Some(len) = count.checked_mul(size) else { return core::ptr::null_mut() };
        let block = self.malloc(len);
        if !block.is_null() {
            // SAFETY: the block has at least `len` bytes.
            unsafe { block.write_bytes(0, len) };
        }
        block
    }

    /// The block at `block` with another size, possibly elsewhere; its content up to the smaller
    /// size is kept.
    ///
    /// # Safety
    /// `block` must be null or a live block of this allocator; when the result is not null, or
    /// `size` is 0, it is used no more.
    unsafe fn realloc(&self, block: *mut u8, size: usize) -> *mut u8;

    /// A block at a multiple of `align`.
    fn memalign(&self, align: usize, size: usize) -> *mut u8;

    /// As [`Alloc::memalign`], with the errors of POSIX.
    ///
    /// # Errors
    /// See [`AllocError`].
    fn posix_memalign(&self, align: usize, size: usize) -> Result<NonNull<u8>, AllocError> {
        if !align.is_power_of_two() || !align.is_multiple_of(size_of::<*const ()>()) {
            return Err(AllocError::InvalidAlignment);
        }
        NonNull::new(self.memalign(align, size)).ok_or(AllocError::OutOfMemory)
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` must be null or a live block of this allocator; it is used no more.
    unsafe fn free(&self, block: *mut u8);

    /// Bytes that may be used at `block`.
    ///
    /// # Safety
    /// `block` must be null or a live block of this allocator.
    unsafe fn usable_size(&self, block: *mut u8) -> usize;

    /// `pages` whole pages.
    fn palloc(&self, pages: usize) -> *mut u8 {
        match pages.checked_mul(PAGE_SIZE) {
            Some(len) => self.memalign(PAGE_SIZE, len),
            None => core::ptr::null_mut(),
        }
    }

    /// Gives pages back.
    ///
    /// # Safety
    /// `block` must be null or from [`Alloc::palloc`] with the same number.
    unsafe fn pfree(&self, block: *mut u8, _pages: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.free(block) }
    }

    /// Tells an allocator that frees by itself (a garbage collector) to leave a block of whole
    /// pages alone until it is freed: it is in use although nothing may lead to it, and its content
    /// is not to be read, as with guard pages and page tables. Returns whether nobody will.
    ///
    /// # Safety
    /// `block` must be a live block of this allocator at the start of a page.
    unsafe fn leave_alone(&self, _block: *mut u8) -> bool {
        true
    }

    /// Takes more memory into use.
    ///
    /// # Errors
    /// See [`AddMemoryError`].
    ///
    /// # Safety
    /// The memory must be readable and writable, used by nobody else, and stay so for ever.
    unsafe fn add_memory(&self, base: *mut u8, len: usize) -> Result<(), AddMemoryError>;

    /// Takes memory into use that nobody else can reach.
    ///
    /// # Errors
    /// See [`AddMemoryError`]; the memory is then lost.
    fn donate(&self, memory: &'static mut [MaybeUninit<u8>]) -> Result<(), AddMemoryError> {
        // SAFETY: the reference is the only one to this memory, for ever.
        unsafe { self.add_memory(memory.as_mut_ptr().cast(), memory.len()) }
    }

    /// Gives memory that is kept for later use back to what all sizes are cut from; returns whether
    /// there was any. Allocators call it themselves before an allocation fails.
    fn reclaim(&self) -> bool {
        false
    }

    /// Whether an address lies in this allocator's memory.
    fn owns(&self, address: *const u8) -> bool;

    /// Numbers for people.
    fn stats(&self) -> Stats;
}
