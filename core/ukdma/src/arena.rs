//! Memory that driver and device use at the same time.

use alloc::alloc::{Layout, alloc_zeroed};
use core::ops::Deref;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use crate::DmaError;

const PAGE: usize = ukplat::memory::PAGE_SIZE;

/// What shared memory consists of.
///
/// # Safety
/// Any bytes are a value, all bytes may change at any time, and every access is atomic.
pub unsafe trait SharedWord: Sync + 'static {}

// SAFETY: atomic integers are that.
unsafe impl SharedWord for AtomicU8 {}
// SAFETY: as above.
unsafe impl SharedWord for AtomicU16 {}
// SAFETY: as above.
unsafe impl SharedWord for AtomicU32 {}
// SAFETY: as above.
unsafe impl SharedWord for AtomicU64 {}
// SAFETY: an array has no bytes beside its elements'.
unsafe impl<T: SharedWord, const N: usize> SharedWord for [T; N] {}

/// A piece of shared memory, with the address under which devices find it. It lives for ever: a
/// device that was not stopped may use it as long as the image runs.
#[derive(Debug)]
pub struct Shared<T: SharedWord> {
    items: &'static [T],
    address: u64,
}

impl<T: SharedWord> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: SharedWord> Copy for Shared<T> {}

impl<T: SharedWord> Shared<T> {
    /// Address of the first item, for the device.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// Address of an item, for the device; of the end for larger indices.
    pub fn address_of(&self, index: usize) -> u64 {
        self.address + (index.min(self.items.len()) * size_of::<T>()) as u64
    }

    /// The items, which stay for ever.
    pub const fn items(&self) -> &'static [T] {
        self.items
    }
}

impl<T: SharedWord> Deref for Shared<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.items
    }
}

/// Zeroed memory in one piece from which shared memory is cut.
#[derive(Debug)]
pub struct Arena {
    start: *mut u8,
    address: u64,
    used: usize,
    len: usize,
}

// SAFETY: the memory from `used` on belongs to this value alone.
unsafe impl Send for Arena {}

impl Arena {
    /// Memory of `bytes` bytes, rounded up to whole pages.
    ///
    /// # Errors
    /// [`DmaError::OutOfMemory`]; [`DmaError::Unreachable`] when devices see it in pieces or not
    /// at all.
    pub fn new(bytes: usize) -> Result<Self, DmaError> {
        let len = bytes.max(1).checked_next_multiple_of(PAGE).ok_or(DmaError::OutOfMemory)?;
        let layout = Layout::from_size_align(len, PAGE).map_err(|_| DmaError::OutOfMemory)?;
        // SAFETY: the size is not 0.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            return Err(DmaError::OutOfMemory);
        }
        match ukplat::device::address(start as usize, len) {
            Some((address, run)) if run >= len => Ok(Self { start, address, used: 0, len }),
            _ => {
                // SAFETY: allocated above with this layout, and known to nobody.
                unsafe { alloc::alloc::dealloc(start, layout) };
                Err(DmaError::Unreachable)
            }
        }
    }

    /// Cuts off `count` items at a multiple of `align` bytes, a power of two; `None` when there is
    /// no room.
    pub fn take<T: SharedWord>(&mut self, count: usize, align: usize) -> Option<Shared<T>> {
        let align = align.max(align_of::<T>());
        if !align.is_power_of_two() || align > PAGE {
            return None;
        }
        let start = self.used.checked_next_multiple_of(align)?;
        let end = start.checked_add(count.checked_mul(size_of::<T>())?)?;
        if end > self.len {
            return None;
        }
        self.used = end;
        // SAFETY: inside the allocation, which is never freed once something was cut from it; the
        // range is given away once; it is aligned, because the start of the arena is to a page;
        // zeroes are a value (`SharedWord`).
        let items =
            unsafe { core::slice::from_raw_parts(self.start.add(start).cast::<T>(), count) };
        Some(Shared { items, address: self.address + start as u64 })
    }
}

/// A page of memory for a platform's page tables, which it keeps: what
/// [`Frames`](ukplat::stack::Frames) give. `None` when there is no memory.
pub fn frame() -> Option<usize> {
    let layout = Layout::from_size_align(PAGE, PAGE).ok()?;
    // SAFETY: the size is not 0.
    let page = unsafe { alloc_zeroed(layout) };
    if page.is_null() {
        return None;
    }
    // The heap may give other addresses than the memory's own.
    let (address, _) = ukplat::device::address(page as usize, PAGE)?;
    usize::try_from(address).ok()
}

// An arena that is dropped keeps its memory: pieces of it live for ever.
