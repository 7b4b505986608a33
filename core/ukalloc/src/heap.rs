//! An allocator made of a back end and a lock.

use core::cell::UnsafeCell;
use core::ptr::{NonNull, null_mut};

use crate::{AddMemoryError, Alloc, Backend, MIN_ALIGN, RawLock, Stats};

/// A heap: a back end, a lock, statistics, and the edge cases of the POSIX interface.
#[derive(Debug)]
pub struct Heap<B, L> {
    lock: L,
    state: UnsafeCell<State<B>>,
}

#[derive(Debug)]
struct State<B> {
    backend: B,
    stats: Stats,
}

impl<B: Backend> State<B> {
    fn reclaim(&mut self) -> bool {
        let found = self.backend.reclaim();
        self.stats.freed_by_itself(self.backend.take_freed());
        found
    }

    /// The second try: with what the back end kept for later.
    #[cold]
    #[inline(never)]
    fn allocate_reclaimed(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let block = if self.reclaim() { self.backend.allocate(size, align) } else { None };
        if block.is_none() {
            self.stats.failed();
        }
        block
    }
}

// SAFETY: the state is only reached through `with`, which holds the lock; `Backend: Send` lets
// the holders be different threads.
unsafe impl<B: Backend, L: RawLock> Sync for Heap<B, L> {}

impl<B: Backend, L: RawLock> Heap<B, L> {
    /// A heap without memory. A back end and a lock that are all zeros make a heap that takes no
    /// room in the image file.
    pub const fn new(backend: B, lock: L) -> Self {
        Self { lock, state: UnsafeCell::new(State { backend, stats: Stats::ZERO }) }
    }

    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut State<B>) -> R) -> R {
        self.lock.acquire();
        // SAFETY: the lock is held, so this is the only reference. `work` does not call back into
        // the heap: it only uses the back end, which knows nothing of heaps.
        let result = work(unsafe { &mut *self.state.get() });
        self.lock.release();
        result
    }

    #[inline]
    fn allocate(&self, size: usize, align: usize) -> *mut u8 {
        if size > isize::MAX as usize {
            return null_mut();
        }
        self.with(|state| {
            let block = match state.backend.allocate(size, align) {
                Some(block) => block,
                None => match state.allocate_reclaimed(size, align) {
                    Some(block) => block,
                    None => return null_mut(),
                },
            };
            if cfg!(feature = "stats") {
                // SAFETY: the block was just allocated.
                state.stats.allocated(unsafe { state.backend.usable_size(block) });
            }
            block.as_ptr()
        })
    }

    /// Resizes without moving; returns whether it worked, and the old size if not.
    fn resize(&self, block: NonNull<u8>, size: usize) -> Result<(), usize> {
        self.with(|state| {
            // SAFETY: the callers pass live blocks of this heap.
            unsafe {
                let old = state.backend.usable_size(block);
                if !state.backend.resize_in_place(block, size) {
                    return Err(old);
                }
                if cfg!(feature = "stats") {
                    state.stats.resized(old, state.backend.usable_size(block));
                }
            }
            Ok(())
        })
    }
}

// SAFETY: blocks come from a `Backend`, whose contract is that of `Alloc`, under the lock.
unsafe impl<B: Backend, L: RawLock> Alloc for Heap<B, L> {
    #[inline]
    fn malloc(&self, size: usize) -> *mut u8 {
        self.allocate(size, MIN_ALIGN)
    }

    unsafe fn realloc(&self, block: *mut u8, size: usize) -> *mut u8 {
        let Some(old_block) = NonNull::new(block) else { return self.malloc(size) };
        if size == 0 {
            // SAFETY: the caller's promise.
            unsafe { self.free(block) };
            return null_mut();
        }
        if size > isize::MAX as usize {
            return null_mut();
        }
        let old_size = match self.resize(old_block, size) {
            Ok(()) => return block,
            Err(old_size) => old_size,
        };
        let new = self.malloc(size);
        if !new.is_null() {
            // SAFETY: both blocks are live, distinct and at least that large; the old one is not
            // used after this (the caller's promise).
            unsafe {
                new.copy_from_nonoverlapping(block, old_size.min(size));
                self.free(block);
            }
        }
        new
    }

    fn memalign(&self, align: usize, size: usize) -> *mut u8 {
        if !align.is_power_of_two() {
            return null_mut();
        }
        self.allocate(size, align.max(MIN_ALIGN))
    }

    #[inline]
    unsafe fn free(&self, block: *mut u8) {
        let Some(block) = NonNull::new(block) else { return };
        self.with(|state| {
            // SAFETY: the caller's promise.
            unsafe {
                if cfg!(feature = "stats") {
                    state.stats.freed(state.backend.usable_size(block));
                }
                state.backend.free(block);
            }
        });
    }

    unsafe fn usable_size(&self, block: *mut u8) -> usize {
        // SAFETY: the caller's promise.
        NonNull::new(block)
            .map_or(0, |block| self.with(|state| unsafe { state.backend.usable_size(block) }))
    }

    unsafe fn leave_alone(&self, block: *mut u8) -> bool {
        // SAFETY: the caller's promise.
        NonNull::new(block)
            .is_none_or(|block| self.with(|state| unsafe { state.backend.leave_alone(block) }))
    }

    unsafe fn add_memory(&self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        // SAFETY: the caller's promise.
        self.with(|state| unsafe { state.backend.add_memory(base, len) })
    }

    fn reclaim(&self) -> bool {
        self.with(State::reclaim)
    }

    fn owns(&self, address: *const u8) -> bool {
        self.with(|state| state.backend.owns(address))
    }

    fn stats(&self) -> Stats {
        self.with(|state| Stats {
            total_memory: state.backend.total_memory(),
            available: state.backend.available(),
            largest_free: state.backend.largest_free(),
            ..state.stats
        })
    }
}
