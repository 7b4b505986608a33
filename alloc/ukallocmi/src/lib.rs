//! mimalloc's design: many short free lists, one in each page and for each CPU.
//!
//! After Leijen, Zorn, de Moura: "Mimalloc: Free List Sharding in Action" (APLAS 2019). Memory is
//! divided into slices of 8 KiB; a page is a run of slices with blocks of one size, each page with
//! its own free lists; each CPU or thread has its own pages in a shard ([`Shards`]), in which it
//! allocates and frees without waiting. A block that is freed by another shard than its page's goes
//! to a list of its page for that purpose. Blocks have no header. Where this differs:
//!
//! - A shard takes the free list of a page as a whole, so that `malloc` takes a block from it
//!   without touching the page.
//! - Shards live as long as the heap: no page is ever without an owner, and a block of a page that
//!   its owner does not look at any more is sent to the owner, without further states.
//! - The first pages of a size are small and grow with demand, so that a heap of 1 MiB is not
//!   used up by a dozen sizes.
//! - Blocks above 64 KiB are runs of slices from a segregated list with immediate joining, as in
//!   TLSF; a shard keeps the last one that was freed. There is no memory that is given back to an
//!   operating system.
//!
//! Sizes above 128 bytes are rounded up by less than an eighth; the table of a piece of memory takes
//! 64 bytes for 8 KiB. Adding memory touches none of it. A second free of the same block, free
//! blocks that were written to, and addresses that are no block are found where that is cheap, not
//! always.
//!
//! ```
//! use ukalloc::{Alloc, NoLock};
//!
//! let mut memory = vec![0u64; 1 << 15];
//! let heap = ukallocmi::Mi::new(unsafe { NoLock::single_threaded() });
//! unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 1 << 18)? };
//! let block = heap.memalign(4096, 100);
//! assert!(block.addr().is_multiple_of(4096));
//! unsafe { heap.free(block) };
//! # Ok::<(), ukalloc::AddMemoryError>(())
//! ```
#![cfg_attr(not(test), no_std)]

mod counters;
mod page;
mod piece;
mod run;
mod shard;
mod size_class;

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

use ukalloc::{AddMemoryError, Alloc, MIN_ALIGN, Shards, Stats};

use page::{Block, FULL, LARGE, Page, owned_by, owner};
use piece::{Pieces, SLICE};
use run::Runs;
use shard::{Local, Shard};
use size_class::{BLOCK_MAX, BLOCK_SIZES, SMALL_BINS, SMALL_MAX, bin_of};

/// The allocator, with shards kept apart by `S`.
pub struct Mi<S: Shards> {
    pieces: Pieces,
    runs: UnsafeCell<Runs>,
    shards: S::Array<Shard>,
    flows: S,
}

impl<S: Shards> fmt::Debug for Mi<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mi").field("pieces", &self.pieces).finish_non_exhaustive()
    }
}

// SAFETY: a shard's local part is touched by the flow inside of it, `runs` under the lock; the
// rest is atomic.
unsafe impl<S: Shards> Sync for Mi<S> {}
// SAFETY: the pointers lead to memory that belongs to the heap alone.
unsafe impl<S: Shards + Send> Send for Mi<S> {}

impl<S: Shards> Mi<S> {
    /// A heap without memory. If `shards` is all zeros, so is this: it takes no room in the image
    /// file.
    pub const fn new(shards: S) -> Self {
        Self {
            pieces: Pieces::new(),
            runs: UnsafeCell::new(Runs::new()),
            // SAFETY: an array of shards (contract of `Shards`), which are made of integers,
            // atomic integers and raw pointers: zeros are values of them.
            shards: unsafe { core::mem::zeroed() },
            flows: shards,
        }
    }

    #[inline]
    fn shard(&self, id: usize) -> &Shard {
        debug_assert!(id < S::COUNT);
        // SAFETY: `shards` is an array of `COUNT` shards, and `enter` returns numbers below.
        unsafe { &*(&raw const self.shards).cast::<Shard>().add(id) }
    }

    /// What belongs to the flow inside of a shard.
    #[inline]
    fn local(&self, id: usize) -> *mut Local {
        self.shard(id).local.get()
    }

    /// Does something with the free runs.
    fn with_runs<R>(&self, work: impl FnOnce(&mut Runs) -> R) -> R {
        self.flows.lock();
        // SAFETY: the lock is held, so this is the only reference; `work` does not come back here.
        let result = work(unsafe { &mut *self.runs.get() });
        // SAFETY: locked above.
        unsafe { self.flows.unlock() };
        result
    }

    /// A block of at least `size` bytes in shard `id`, which is left.
    ///
    /// # Safety
    /// For the flow that entered the shard briefly.
    #[inline(never)]
    unsafe fn allocate_and_leave(&self, id: usize, size: usize, align: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            let id = self.flows.stay(id);
            if size > isize::MAX as usize {
                self.flows.leave(id);
                return null_mut();
            }
            let mut block = self.allocate(id, size, align);
            if block.is_null() && self.reclaim_inside(id) {
                block = self.allocate(id, size, align);
            }
            if block.is_null() {
                self.shard(id).counters.failed();
            }
            self.flows.leave(id);
            block
        }
    }

    /// A block, if there is one without reclaiming.
    ///
    /// # Safety
    /// For the flow inside of shard `id`.
    unsafe fn allocate(&self, id: usize, size: usize, align: usize) -> *mut u8 {
        let counters = &self.shard(id).counters;
        if size <= BLOCK_MAX && align <= SLICE {
            // Pages start at multiples of SLICE, and blocks for a multiple of an alignment are
            // multiples of it.
            let bin = bin_of(size.max(1).next_multiple_of(align));
            // SAFETY: the caller's promise; a size up to BLOCK_MAX has a bin.
            let block = unsafe {
                let block = (*self.local(id)).pop(bin);
                if block.is_null() { self.refill(id, bin) } else { block }
            };
            if !block.is_null() {
                counters.allocated(BLOCK_SIZES[bin] as usize);
            }
            return block.cast();
        }
        let slices = size.max(1).div_ceil(SLICE);
        // SAFETY: the caller's promise.
        let run = unsafe { self.take_run(id, slices, align) };
        if run.is_null() {
            return null_mut();
        }
        counters.allocated(slices * SLICE);
        // SAFETY: the run is an entry of its piece.
        unsafe { self.start_of(run) }
    }

    /// Gives empty pages back: of this shard and of those that nobody uses.
    ///
    /// # Safety
    /// For the flow inside of shard `id`.
    unsafe fn reclaim_inside(&self, id: usize) -> bool {
        // SAFETY: the caller's promise; other shards are entered for this.
        unsafe {
            let mut any = self.reclaim_shard(id);
            for other in (0..S::COUNT).filter(|other| *other != id) {
                if self.flows.adopt(other) {
                    any |= self.reclaim_shard(other);
                    self.flows.abandon(other);
                }
            }
            any
        }
    }

    /// Frees a block of a page in a queue of shard `id`, which is left.
    ///
    /// # Safety
    /// For the flow that entered the shard briefly; the block must be a taken one of the page, not
    /// used any more.
    #[inline(always)]
    unsafe fn free_local_and_leave(&self, id: usize, page: *mut Page, block: *mut Block) {
        // SAFETY: the caller's promise.
        unsafe {
            debug_assert!(self.size_of(page, block.cast()) != 0, "asked for its checks");
            if Stats::COUNTED {
                self.shard(id).counters.freed((*page).block_size as usize);
            }
            if Page::push_local(page, block) {
                self.emptied_and_leave(id, page);
            } else {
                self.flows.leave_briefly(id);
            }
        }
    }

    /// Frees what is not simply a block of a page in a queue of shard `id`, which is left.
    ///
    /// # Safety
    /// As [`Alloc::free`]; for the flow that entered the shard briefly.
    #[inline(never)]
    unsafe fn free_and_leave(&self, id: usize, block: *mut u8) {
        // SAFETY: the caller's promise; what the block belongs to is found out first.
        unsafe {
            let Some(page) = self.pieces.find(block) else {
                if !block.is_null() {
                    ukalloc::corrupt("an address outside of the heap was freed");
                }
                return self.flows.leave_briefly(id);
            };
            let tag = (*page).tag.load(Relaxed);
            if tag == owned_by(id) && (*page).local_free != block.cast() {
                // The way of heaps with several pieces.
                return self.free_local_and_leave(id, page, block.cast());
            }
            let id = self.flows.stay(id);
            let size = self.size_of(page, block);
            self.shard(id).counters.freed(size);
            let block = block.cast::<Block>();
            if tag == LARGE {
                self.give_run(id, page);
            } else if owner(tag) == id {
                if (*page).local_free == block {
                    ukalloc::corrupt("a block was freed twice");
                }
                self.free_own(id, page, block);
            } else if S::CONCURRENT && !Page::push_remote(page, block) {
                self.shard(owner(tag)).mailbox.send(block);
            }
            self.flows.leave(id);
        }
    }

    /// Where the slices of a page or run start.
    ///
    /// # Safety
    /// `run` must be an entry of the piece that it names.
    unsafe fn start_of(&self, run: *mut Page) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.pieces.get((*run).piece).start_of(run) }
    }

    /// The page or run of a block.
    fn page_of(&self, block: *mut u8) -> *mut Page {
        match self.pieces.find(block) {
            Some(page) => page,
            None => ukalloc::corrupt("an address is outside of the heap"),
        }
    }

    /// Bytes of a block that was found in a page or run; ends the image when there is no block.
    ///
    /// # Safety
    /// `page` must be from [`Pieces::find`].
    unsafe fn size_of(&self, page: *mut Page, block: *mut u8) -> usize {
        // SAFETY: the caller's promise; what the entry says is checked.
        unsafe {
            let start = self.start_of(page);
            let offset = block.addr().wrapping_sub(start.addr());
            let tag = (*page).tag.load(Relaxed);
            if tag == LARGE {
                if offset == 0 {
                    return (*page).slices as usize * SLICE;
                }
            } else if tag & !FULL != 0 && owner(tag) < S::COUNT {
                // Pages have less than 4 GiB, and 32 bits divide faster.
                let size = (*page).block_size;
                if size != 0 && (offset as u32).is_multiple_of(size) {
                    return size as usize;
                }
            } else {
                ukalloc::corrupt("a block was freed twice, or was none");
            }
            ukalloc::corrupt("an address is inside of a block")
        }
    }

    /// The page was found empty when a block was freed in shard `id`, which is left.
    ///
    /// # Safety
    /// As [`Mi::emptied`], for the flow that entered the shard briefly.
    #[cold]
    #[inline(never)]
    unsafe fn emptied_and_leave(&self, id: usize, page: *mut Page) {
        // SAFETY: the caller's promise.
        unsafe {
            let id = self.flows.stay(id);
            self.emptied(id, page);
            self.flows.leave(id);
        }
    }

    /// Changes the size of a run that is one block; returns whether it worked.
    ///
    /// # Safety
    /// The run must be a block in use.
    unsafe fn resize_run(&self, run: *mut Page, old: usize, size: usize) -> bool {
        let slices = size.div_ceil(SLICE);
        let id = self.flows.enter();
        // SAFETY: the caller's promise; the shard was entered above.
        unsafe {
            let resized = self.with_runs(|runs| runs.resize(&self.pieces, run, slices));
            if resized {
                self.shard(id).counters.changed(old, slices * SLICE);
            }
            self.flows.leave(id);
            resized
        }
    }
}

// SAFETY: blocks of a page lie in it side by side and are in one list or in use; runs do not
// overlap. Sizes and alignments are those of `allocate`.
unsafe impl<S: Shards> Alloc for Mi<S> {
    #[inline]
    fn malloc(&self, size: usize) -> *mut u8 {
        let id = self.flows.enter_briefly();
        // SAFETY: the flow is inside of the shard; the table has bins for all sizes up to SMALL_MAX.
        unsafe {
            if size <= SMALL_MAX {
                let bin = usize::from(*SMALL_BINS.get_unchecked(size.div_ceil(MIN_ALIGN)));
                let block = (*self.local(id)).pop(bin);
                if !block.is_null() {
                    if Stats::COUNTED {
                        self.shard(id).counters.allocated(BLOCK_SIZES[bin] as usize);
                    }
                    self.flows.leave_briefly(id);
                    return block.cast();
                }
            }
            self.allocate_and_leave(id, size, MIN_ALIGN)
        }
    }

    unsafe fn realloc(&self, block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            return self.malloc(size);
        }
        if size == 0 {
            // SAFETY: the caller's promise.
            unsafe { self.free(block) };
            return null_mut();
        }
        if size > isize::MAX as usize {
            return null_mut();
        }
        let page = self.page_of(block);
        // SAFETY: the entry of a block in use.
        let (old, large) =
            unsafe { (self.size_of(page, block), (*page).tag.load(Relaxed) == LARGE) };
        // A block that would be mostly empty is worth moving.
        if size <= old && size >= old / 2 && !large {
            return block;
        }
        // SAFETY: the run is a block in use.
        if large && size > BLOCK_MAX && unsafe { self.resize_run(page, old, size) } {
            return block;
        }
        let new = self.malloc(size);
        if new.is_null() {
            return if size <= old { block } else { null_mut() };
        }
        // SAFETY: both blocks are live, distinct and at least that large; the old one is not used
        // after this (the caller's promise).
        unsafe {
            new.copy_from_nonoverlapping(block, old.min(size));
            self.free(block);
        }
        new
    }

    fn memalign(&self, align: usize, size: usize) -> *mut u8 {
        if align <= MIN_ALIGN && align.is_power_of_two() {
            return self.malloc(size);
        }
        if !align.is_power_of_two() {
            return null_mut();
        }
        let id = self.flows.enter_briefly();
        // SAFETY: the flow is inside of the shard.
        unsafe { self.allocate_and_leave(id, size, align) }
    }

    #[inline]
    unsafe fn free(&self, block: *mut u8) {
        let id = self.flows.enter_briefly();
        // SAFETY: the flow is inside of the shard, and the tag says that the page is in a queue of it.
        // The block is the caller's, who gives it up.
        unsafe {
            if let Some(page) = self.pieces.find_in_first(block)
                && (*page).tag.load(Relaxed) == owned_by(id)
                && (*page).local_free != block.cast()
            {
                self.free_local_and_leave(id, page, block.cast());
            } else {
                self.free_and_leave(id, block);
            }
        }
    }

    unsafe fn usable_size(&self, block: *mut u8) -> usize {
        // SAFETY: the page is the block's.
        if block.is_null() { 0 } else { unsafe { self.size_of(self.page_of(block), block) } }
    }

    unsafe fn add_memory(&self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        let id = self.flows.enter();
        let result = self.with_runs(|runs| {
            let slices = self.pieces.add(base, len)?;
            runs.memory += len;
            runs.slices += slices;
            runs.free += slices;
            Ok(())
        });
        // SAFETY: entered above.
        unsafe { self.flows.leave(id) };
        result
    }

    fn reclaim(&self) -> bool {
        let id = self.flows.enter();
        // SAFETY: the flow is inside of the shard.
        unsafe {
            let any = self.reclaim_inside(id);
            self.flows.leave(id);
            any
        }
    }

    fn owns(&self, address: *const u8) -> bool {
        self.pieces.owns(address)
    }

    /// Blocks that are free in pages are not `available`: they are for one size only. With several
    /// shards `peak_bytes` is the sum of their peaks.
    fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        let id = self.flows.enter();
        for shard in 0..S::COUNT {
            self.shard(shard).counters.add_to(&mut stats);
        }
        self.with_runs(|runs| {
            stats.total_memory = runs.memory;
            stats.available = runs.free * SLICE;
            stats.largest_free = runs.longest(&self.pieces) * SLICE;
        });
        // SAFETY: entered above.
        unsafe { self.flows.leave(id) };
        stats
    }
}

#[cfg(test)]
mod concurrent_tests;
#[cfg(test)]
mod tests;
