//! An allocator in two stages: an early one serves boot until the main one is ready.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::{AddMemoryError, Alloc, Stats};

/// Serves from `early` until [`TwoStage::switch`], then from `main`. Blocks of either are freed
/// where they came from, at any time. For allocators that need a thread, or thread-local state,
/// before they can work.
#[derive(Debug)]
pub struct TwoStage<E: 'static, M: 'static> {
    early: &'static E,
    main: &'static M,
    main_ready: AtomicBool,
}

impl<E: Alloc, M: Alloc> TwoStage<E, M> {
    /// Serves from `early`.
    pub const fn new(early: &'static E, main: &'static M) -> Self {
        Self { early, main, main_ready: AtomicBool::new(false) }
    }

    /// From now on serves from the main allocator.
    pub fn switch(&self) {
        self.main_ready.store(true, Ordering::Release);
    }

    fn current(&self) -> &'static dyn Alloc {
        if self.main_ready.load(Ordering::Acquire) { self.main } else { self.early }
    }

    fn owner(&self, block: *const u8) -> &'static dyn Alloc {
        if self.early.owns(block) { self.early } else { self.main }
    }
}

// SAFETY: every block is one of the two allocators', and goes back to the one that owns it.
unsafe impl<E: Alloc, M: Alloc> Alloc for TwoStage<E, M> {
    fn malloc(&self, size: usize) -> *mut u8 {
        self.current().malloc(size)
    }

    unsafe fn realloc(&self, block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            return self.malloc(size);
        }
        let (owner, current) = (self.owner(block), self.current());
        let early_block = self.early.owns(block);
        if !(early_block && self.main_ready.load(Ordering::Acquire)) || size == 0 {
            // SAFETY: the caller's promise; the block is this owner's.
            return unsafe { owner.realloc(block, size) };
        }
        // A block of the early allocator moves to the main one when it changes.
        let new = current.malloc(size);
        if !new.is_null() {
            // SAFETY: two live blocks, at least that large; the old one is used no more.
            unsafe {
                new.copy_from_nonoverlapping(block, owner.usable_size(block).min(size));
                owner.free(block);
            }
        }
        new
    }

    fn memalign(&self, align: usize, size: usize) -> *mut u8 {
        self.current().memalign(align, size)
    }

    unsafe fn free(&self, block: *mut u8) {
        if !block.is_null() {
            // SAFETY: the caller's promise; the block is this owner's.
            unsafe { self.owner(block).free(block) }
        }
    }

    unsafe fn usable_size(&self, block: *mut u8) -> usize {
        // SAFETY: the caller's promise; the block is this owner's.
        unsafe { self.owner(block).usable_size(block) }
    }

    unsafe fn add_memory(&self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        // SAFETY: the caller's promise.
        unsafe { self.current().add_memory(base, len) }
    }

    fn reclaim(&self) -> bool {
        self.current().reclaim()
    }

    fn owns(&self, address: *const u8) -> bool {
        self.early.owns(address) || self.main.owns(address)
    }

    fn stats(&self) -> Stats {
        self.current().stats()
    }
}
