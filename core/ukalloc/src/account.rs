//! What single libraries take from their heaps.

use core::cell::UnsafeCell;

use crate::{AddMemoryError, Alloc, RawLock, Stats};

/// The allocator of one library: its heap, with what the library has taken counted apart.
///
/// The statistics that count are those of the library; sizes of memory are those of the heap.
pub struct Account<L> {
    library: &'static str,
    heap: &'static dyn Alloc,
    lock: L,
    counts: UnsafeCell<Stats>,
}

// SAFETY: the counts are only reached through `count`, which holds the lock.
unsafe impl<L: RawLock> Sync for Account<L> {}

/// The allocator of a library.
pub trait LibraryAlloc: Alloc {
    /// Name of the library.
    fn library(&self) -> &'static str;
}

impl<L: RawLock> Account<L> {
    /// An account of `library`, which allocates from `heap`.
    pub const fn new(library: &'static str, heap: &'static dyn Alloc, lock: L) -> Self {
        Self { library, heap, lock, counts: UnsafeCell::new(Stats::ZERO) }
    }

    fn count<R>(&self, work: impl FnOnce(&mut Stats) -> R) -> R {
        self.lock.acquire();
        // SAFETY: the lock is held, so this is the only reference; `work` only counts.
        let result = work(unsafe { &mut *self.counts.get() });
        self.lock.release();
        result
    }

    fn taken(&self, block: *mut u8) -> *mut u8 {
        // SAFETY: the block was just allocated from this heap, or is null.
        let bytes = unsafe { self.heap.usable_size(block) };
        self.count(|stats| if block.is_null() { stats.failed() } else { stats.allocated(bytes) });
        block
    }
}

impl<L: RawLock> LibraryAlloc for Account<L> {
    fn library(&self) -> &'static str {
        self.library
    }
}

// SAFETY: all blocks are the heap's.
unsafe impl<L: RawLock> Alloc for Account<L> {
    fn malloc(&self, size: usize) -> *mut u8 {
        self.taken(self.heap.malloc(size))
    }

    fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        self.taken(self.heap.calloc(count, size))
    }

    unsafe fn realloc(&self, block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            return self.malloc(size);
        }
        // SAFETY: the caller's promise; after it, the block is as large as before, moved or freed.
        let (old, new, new_bytes) = unsafe {
            let old = self.heap.usable_size(block);
            let new = self.heap.realloc(block, size);
            (old, new, self.heap.usable_size(new))
        };
        self.count(|stats| match (new.is_null(), size) {
            (true, 0) => stats.freed(old),
            (true, _) => stats.failed(),
            (false, _) => stats.resized(old, new_bytes),
        });
        new
    }

    fn memalign(&self, align: usize, size: usize) -> *mut u8 {
        self.taken(self.heap.memalign(align, size))
    }

    unsafe fn free(&self, block: *mut u8) {
        if block.is_null() {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            let bytes = self.heap.usable_size(block);
            self.heap.free(block);
            self.count(|stats| stats.freed(bytes));
        }
    }

    unsafe fn usable_size(&self, block: *mut u8) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.heap.usable_size(block) }
    }

    unsafe fn leave_alone(&self, block: *mut u8) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.heap.leave_alone(block) }
    }

    unsafe fn add_memory(&self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        // SAFETY: the caller's promise.
        unsafe { self.heap.add_memory(base, len) }
    }

    fn reclaim(&self) -> bool {
        self.heap.reclaim()
    }

    fn owns(&self, address: *const u8) -> bool {
        self.heap.owns(address)
    }

    fn stats(&self) -> Stats {
        let heap = self.heap.stats();
        let counts = self.count(|stats| *stats);
        Stats {
            total_memory: heap.total_memory,
            available: heap.available,
            largest_free: heap.largest_free,
            ..counts
        }
    }
}

impl<L> core::fmt::Debug for Account<L> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Account").field("library", &self.library).finish_non_exhaustive()
    }
}
