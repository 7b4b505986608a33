//! An allocator in two stages: an early one serves boot until the main one is ready.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::{AddMemoryError, Alloc, Stats};

/// Serves from `E` until [`Staged::switch`], then from `M`. Blocks of either are freed where they
/// came from, at any time. For allocators that need a thread, or thread-local state, before they
/// can work; the main one must be able to take memory before that.
///
/// The early stage gets the first bytes of the first piece of memory, the main one all else.
#[derive(Debug)]
pub struct TwoStage<E, M> {
    early: E,
    main: M,
    early_size: usize,
    /// Memory of the early stage: what tells its blocks from the main one's. Empty until there is
    /// memory.
    early_start: AtomicUsize,
    early_end: AtomicUsize,
    main_ready: AtomicBool,
}

/// An allocator in two stages, whatever they are: what the boot phase of its library gets.
pub trait Staged: Alloc {
    /// From now on serves from the main stage. Called once that can work.
    fn switch(&self);

    /// The memory of the early stage, which serves blocks that live on after [`Staged::switch`].
    fn early_memory(&self) -> Range<usize>;
}

impl<E: Alloc, M: Alloc> TwoStage<E, M> {
    /// Serves from `early`, which gets `early_size` bytes of memory.
    pub const fn new(early: E, main: M, early_size: usize) -> Self {
        Self {
            early,
            main,
            early_size,
            early_start: AtomicUsize::new(0),
            early_end: AtomicUsize::new(0),
            main_ready: AtomicBool::new(false),
        }
    }

    #[inline]
    fn is_switched(&self) -> bool {
        self.main_ready.load(Ordering::Acquire)
    }

    #[inline]
    fn is_early(&self, block: *const u8) -> bool {
        let start = self.early_start.load(Ordering::Relaxed);
        let len = self.early_end.load(Ordering::Relaxed) - start;
        (block as usize).wrapping_sub(start) < len
    }

    /// A block of the early stage moves to the main one when it changes.
    ///
    /// # Safety
    /// `block` must be a live block of the early stage; when the result is not null it is used no
    /// more.
    #[cold]
    unsafe fn move_to_main(&self, block: *mut u8, size: usize) -> *mut u8 {
        let new = self.main.malloc(size);
        if !new.is_null() {
            // SAFETY: two live blocks, at least that large; the old one is used no more.
            unsafe {
                new.copy_from_nonoverlapping(block, self.early.usable_size(block).min(size));
                self.early.free(block);
            }
        }
        new
    }
}

impl<E: Alloc, M: Alloc> Staged for TwoStage<E, M> {
    fn switch(&self) {
        self.main_ready.store(true, Ordering::Release);
    }

    fn early_memory(&self) -> Range<usize> {
        self.early_start.load(Ordering::Relaxed)..self.early_end.load(Ordering::Relaxed)
    }
}

// SAFETY: every block is one of the two allocators', and goes back to the one that owns it.
unsafe impl<E: Alloc, M: Alloc> Alloc for TwoStage<E, M> {
    #[inline]
    fn malloc(&self, size: usize) -> *mut u8 {
        if self.is_switched() { self.main.malloc(size) } else { self.early.malloc(size) }
    }

    fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        if self.is_switched() {
            self.main.calloc(count, size)
        } else {
            self.early.calloc(count, size)
        }
    }

    unsafe fn realloc(&self, block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            return self.malloc(size);
        }
        // SAFETY: the caller's promise; the block is the stage's that is asked.
        unsafe {
            if !self.is_early(block) {
                self.main.realloc(block, size)
            } else if size == 0 || !self.is_switched() {
                self.early.realloc(block, size)
            } else {
                self.move_to_main(block, size)
            }
        }
    }

    fn memalign(&self, align: usize, size: usize) -> *mut u8 {
        if self.is_switched() {
            self.main.memalign(align, size)
        } else {
            self.early.memalign(align, size)
        }
    }

    #[inline]
    unsafe fn free(&self, block: *mut u8) {
        // SAFETY: the caller's promise; the block is the stage's that is asked.
        unsafe { if self.is_early(block) { self.early.free(block) } else { self.main.free(block) } }
    }

    unsafe fn usable_size(&self, block: *mut u8) -> usize {
        // SAFETY: the caller's promise; the block is the stage's that is asked.
        unsafe {
            if self.is_early(block) {
                self.early.usable_size(block)
            } else {
                self.main.usable_size(block)
            }
        }
    }

    /// A main stage that reads blocks reads the early one's, too.
    unsafe fn leave_alone(&self, block: *mut u8) -> bool {
        // SAFETY: the caller's promise; the block is the main stage's.
        !self.is_early(block) && unsafe { self.main.leave_alone(block) }
    }

    unsafe fn add_memory(&self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        if !self.early_memory().is_empty() {
            // SAFETY: the caller's promise.
            return unsafe { self.main.add_memory(base, len) };
        }
        let rest = len.checked_sub(self.early_size).ok_or(AddMemoryError::TooSmall)?;
        // SAFETY: the caller's promise, for two parts that do not overlap.
        unsafe {
            self.main.add_memory(base.add(self.early_size), rest)?;
            self.early.add_memory(base, self.early_size)?;
        }
        self.early_start.store(base as usize, Ordering::Relaxed);
        self.early_end.store(base as usize + self.early_size, Ordering::Relaxed);
        Ok(())
    }

    fn reclaim(&self) -> bool {
        if self.is_switched() { self.main.reclaim() } else { self.early.reclaim() }
    }

    fn owns(&self, address: *const u8) -> bool {
        self.is_early(address) || self.main.owns(address)
    }

    /// Both stages added up: the peak is the most that it can have been. The largest block is that
    /// of the stage that serves.
    fn stats(&self) -> Stats {
        let (early, main) = (self.early.stats(), self.main.stats());
        let serving = if self.is_switched() { &main } else { &early };
        Stats { largest_free: serving.largest_free, ..early.add(main) }
    }
}
