//! Memory that a device has for a while.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::DmaError;

/// Owners of bytes on the heap.
///
/// # Safety
/// The bytes belong to the owner alone, are initialised, and stay where they are, untouched, while
/// the owner is moved or forgotten.
pub unsafe trait StableBytes: Send + 'static {
    /// The bytes.
    fn bytes(&mut self) -> &mut [u8];
}

// SAFETY: a vector owns its heap memory, which only its methods touch.
unsafe impl StableBytes for Vec<u8> {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

// SAFETY: see the invariant of `Buffer`.
unsafe impl StableBytes for Buffer {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

const PAGE: usize = ukplat::memory::PAGE_SIZE;

/// Bytes on the heap, aligned so that devices and hosts can take them as they are: to whole pages
/// from one page on, below to the power of two that holds them.
///
/// Invariant: `start` is an allocation of `layout(len)`, or dangling when `len` is 0.
pub struct Buffer {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: owns its bytes.
unsafe impl Send for Buffer {}
// SAFETY: shared references only read.
unsafe impl Sync for Buffer {}

fn layout(len: usize) -> Option<Layout> {
    let align = len.checked_next_power_of_two()?.clamp(16, PAGE);
    Layout::from_size_align(len, align).ok()
}

impl Buffer {
    /// A buffer of `len` zeroes.
    ///
    /// # Errors
    /// [`DmaError::OutOfMemory`].
    pub fn new(len: usize) -> Result<Self, DmaError> {
        if len == 0 {
            return Ok(Self::default());
        }
        let layout = layout(len).ok_or(DmaError::OutOfMemory)?;
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(DmaError::OutOfMemory)?;
        Ok(Self { start, len })
    }
}

impl Default for Buffer {
    /// Without bytes.
    fn default() -> Self {
        Self { start: NonNull::dangling(), len: 0 }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(layout) = layout(self.len).filter(|l| l.size() > 0) {
            // SAFETY: by the invariant.
            unsafe { dealloc(self.start.as_ptr(), layout) };
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: by the invariant; the bytes were zeroed.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: by the invariant; the bytes were zeroed, and are borrowed as this value is.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len)
    }
}
