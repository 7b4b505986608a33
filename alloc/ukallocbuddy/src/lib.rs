//! Binary buddies of pages, with slabs for small sizes; memory is touched only when it is used.
//!
//! Sizes above 2048 bytes are runs of whole pages from binary buddies: no page beyond the size asked
//! for is kept, alignment to any power of two costs nothing, and freed neighbours are joined at once
//! by address arithmetic alone. Smaller sizes share pages (slabs) of equal objects. What is known of
//! pages stands in a table of 32 bytes for each at the start of its piece of memory, and is not
//! written before a page is used: a heap of many gigabytes is ready as fast as a small one.
//!
//! Every call takes a number of steps that is at most logarithmic in the size of memory. Detected:
//! double frees, addresses that are no block, and writes to freed small blocks.
//!
//! ```
//! use ukalloc::{Alloc, Heap, SpinLock};
//!
//! let mut memory = vec![0u64; 16_384];
//! let heap = Heap::new(ukallocbuddy::Buddy::new(), SpinLock::new());
//! unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 131_072)? };
//! let pages = heap.palloc(5);
//! assert_eq!(unsafe { heap.usable_size(pages) }, 5 * 4096);
//! let small = heap.malloc(40);
//! assert_eq!(unsafe { heap.usable_size(small) }, 48);
//! # Ok::<(), ukalloc::AddMemoryError>(())
//! ```
#![cfg_attr(not(test), no_std)]

mod page;
mod pages;
mod slab;

use core::ptr::NonNull;

use ukalloc::{AddMemoryError, Backend, MIN_ALIGN};

use page::{PAGE, PAGE_BITS, Page, PageRef};
use pages::Pages;
use slab::{CLASSES, MAX_SMALL, Slabs};

/// The allocator.
#[derive(Debug)]
pub struct Buddy {
    slabs: Slabs,
    pages: Pages,
}

// SAFETY: the pointers lead to memory that belongs to the allocator alone.
unsafe impl Send for Buddy {}

impl Buddy {
    /// Without memory.
    pub const fn new() -> Self {
        Self { slabs: Slabs::new(), pages: Pages::new() }
    }

    /// What [`Slabs::take`] does not have at hand.
    #[cold]
    #[inline(never)]
    fn allocate_small_slowly(&mut self, class: usize) -> Option<NonNull<u8>> {
        if let Some(object) = self.slabs.take_next(class) {
            return Some(object);
        }
        let page = self.pages.take_spare(1).or_else(|| self.pages.allocate(1, 0))?;
        // SAFETY: a run of one page, just allocated.
        unsafe { self.slabs.add(page, class) };
        self.slabs.take_next(class)
    }

    /// When there is no page for a class any more: an object of a larger one.
    #[cold]
    #[inline(never)]
    fn allocate_small_at_last(&mut self, class: usize) -> Option<NonNull<u8>> {
        self.allocate_small_slowly(class)
            .or_else(|| (class + 1..CLASSES).find_map(|class| self.slabs.take_next(class)))
    }

    /// Small blocks with alignments above the least.
    #[inline(never)]
    fn allocate_aligned(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        // Objects of a power of two lie at multiples of it.
        let rounded = size.max(align).next_power_of_two();
        if rounded > MAX_SMALL {
            return self.allocate_run(size, align);
        }
        let class = slab::class_of(rounded);
        self.slabs.take(class).or_else(|| self.allocate_small_slowly(class))
    }

    /// Whole pages.
    #[inline]
    fn allocate_run(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let count = size.div_ceil(PAGE).max(1);
        let spare = if align <= PAGE { self.pages.take_spare(count) } else { None };
        let page = match spare {
            Some(page) => page,
            None => self.pages.allocate(count, align.trailing_zeros().saturating_sub(PAGE_BITS))?,
        };
        // SAFETY: just allocated; no other reference is alive.
        NonNull::new(unsafe { page.get().address } as *mut u8)
    }

    /// Runs that are not kept, and small blocks whose slab has to change its list or that look wrong.
    ///
    /// # Safety
    /// As [`Backend::free`].
    #[inline(never)]
    unsafe fn free_slowly(&mut self, block: NonNull<u8>) {
        let page = self.pages.page_of(block.as_ptr() as usize);
        // SAFETY: the caller's promise; one reference at a time.
        unsafe {
            if page.get().tag >= Page::FULL_SLAB {
                return self.free_small(page, block);
            }
            page.get().check_run(block);
            self.give_run(page);
        }
    }

    /// # Safety
    /// `page` must be a run that nobody uses any more.
    unsafe fn give_run(&mut self, page: PageRef) {
        // SAFETY: the caller's promise.
        unsafe {
            if !self.pages.keep(page, page.get().address) {
                self.pages.free(page);
            }
        }
    }

    /// # Safety
    /// As [`Backend::free`]; `page` must be a slab, the one of the block.
    #[inline(never)]
    unsafe fn free_small(&mut self, page: PageRef, block: NonNull<u8>) {
        // SAFETY: the caller's promise; an empty slab is a run once it is out of its list.
        unsafe {
            if let Some(empty) = self.slabs.give(page, block) {
                self.free_slab(empty);
            }
        }
    }

    /// # Safety
    /// `page` must be an empty slab in its list.
    unsafe fn free_slab(&mut self, page: PageRef) {
        // SAFETY: the caller's promise; the page is a run then.
        unsafe {
            self.slabs.remove(page);
            self.give_run(page);
        }
    }
}

impl Default for Buddy {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: runs are nodes that are in no list while in use; objects are in no list of their slab.
// Nodes lie at multiples of their size, objects at multiples of the power of two in theirs.
unsafe impl Backend for Buddy {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        self.pages.add(base as usize, len)
    }

    #[inline]
    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        if size <= MAX_SMALL && align <= MIN_ALIGN {
            let class = slab::class_of(size);
            return self.slabs.take(class).or_else(|| self.allocate_small_at_last(class));
        }
        if size > MAX_SMALL {
            self.allocate_run(size, align)
        } else {
            self.allocate_aligned(size, align)
        }
    }

    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>) {
        // SAFETY: the caller's promise: a live block; the page of a block is started.
        unsafe {
            match self.pages.page_in_first_piece(block.as_ptr() as usize) {
                Some(page) if Slabs::give_simply(page, block) => {}
                Some(page) if self.pages.keep(page, block.as_ptr() as usize) => {}
                _ => self.free_slowly(block),
            }
        }
    }

    #[inline]
    unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        // SAFETY: the page of a live block has an entry; no other reference is alive.
        let page = unsafe { self.pages.page_of(block.as_ptr() as usize).get() };
        if page.tag >= Page::FULL_SLAB {
            return slab::object_size(page.index());
        }
        page.check_run(block);
        (page.count as usize) << PAGE_BITS
    }

    unsafe fn resize_in_place(&mut self, block: NonNull<u8>, size: usize) -> bool {
        let page = self.pages.page_of(block.as_ptr() as usize);
        // SAFETY: the caller's promise: a live block.
        unsafe {
            if page.get().tag < Page::FULL_SLAB {
                page.get().check_run(block);
                self.pages.resize(page, size.div_ceil(PAGE).max(1))
            } else {
                size <= self.usable_size(block)
            }
        }
    }

    fn reclaim(&mut self) -> bool {
        let mut any = false;
        while let Some(page) = self.slabs.find_empty() {
            // SAFETY: an empty slab, in its list.
            unsafe { self.free_slab(page) };
            any = true;
        }
        self.pages.reclaim() | any
    }

    fn owns(&self, address: *const u8) -> bool {
        self.pages.owns(address as usize)
    }

    fn total_memory(&self) -> usize {
        self.pages.total_bytes()
    }

    fn available(&self) -> usize {
        self.pages.free_count() * PAGE + self.slabs.available()
    }

    fn largest_free(&self) -> usize {
        match self.pages.largest() {
            0 => self.slabs.largest(),
            pages => pages * PAGE,
        }
    }
}

#[cfg(test)]
mod tests;
