//! What a flow does inside of its shard when there is no block at hand.

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

use ukalloc::Shards;

use crate::Mi;
use crate::counters::Counters;
use crate::page::{Block, FULL, LARGE, Mailbox, Page, owned_by};
use crate::piece::SLICE;
use crate::size_class::{BINS, BLOCK_SIZES, FIRST_SLICES};

/// Pages grow up to this many bytes, or eight blocks if those are more.
const PAGE_MAX: usize = 64 << 10;
/// A page takes no more than this part of all memory, so that a small heap can hold many sizes.
const PAGE_SHARE: usize = 32;
/// A shard keeps the last run that was freed up to this many slices, and this part of memory.
const KEPT_MAX: usize = (4 << 20) / SLICE;
/// Blocks are cut from a page that many bytes at a time.
const CUT: usize = 4096;

/// A shard. All zeros is one without pages.
#[derive(Debug)]
#[repr(align(128))]
pub struct Shard {
    /// For the flow inside.
    pub local: UnsafeCell<Local>,
    pub counters: Counters,
    /// For everybody.
    pub mailbox: Mailbox,
}

/// What belongs to the flow inside of a shard.
#[derive(Debug)]
pub struct Local {
    /// Taken blocks of the first page of each bin's queue, from which allocations are served.
    lists: [*mut Block; BINS],
    /// Pages with free blocks.
    queues: [Queue; BINS],
    /// How often each bin's pages doubled in length.
    grown: [u8; BINS],
    /// A run for the next block that needs as many slices, with tag 0; null when there is none.
    kept: *mut Page,
}

#[derive(Clone, Copy, Debug)]
struct Queue {
    first: *mut Page,
    last: *mut Page,
}

// SAFETY (all functions): pages in a queue are pages in use whose owner is this shard; the caller
// is inside of the shard.
impl Local {
    /// A block from the list of a bin; null when it is empty, or when the first block was written
    /// to. That is said by `refill`: a path without a call is shorter.
    ///
    /// # Safety
    /// `bin` must be below `BINS`.
    #[inline]
    pub unsafe fn pop(&mut self, bin: usize) -> *mut Block {
        // SAFETY: the bin exists; blocks in the list are free and hold a link.
        unsafe {
            let list = self.lists.get_unchecked_mut(bin);
            let block = *list;
            if !block.is_null() {
                let next = (*block).next;
                if !next.addr().is_multiple_of(ukalloc::MIN_ALIGN) {
                    return null_mut();
                }
                *list = next;
            }
            block
        }
    }

    /// Puts a page at the end of its queue.
    ///
    /// # Safety
    /// The page must be in no queue.
    unsafe fn append(&mut self, page: *mut Page) {
        // SAFETY: see above.
        unsafe {
            let queue = &mut self.queues[usize::from((*page).bin)];
            (*page).next = null_mut();
            (*page).previous = queue.last;
            match queue.last.as_mut() {
                Some(last) => last.next = page,
                None => queue.first = page,
            }
            queue.last = page;
        }
    }

    /// Takes a page out of its queue.
    ///
    /// # Safety
    /// The page must be in its queue; if it is the first, the bin's list must be empty.
    unsafe fn unlink(&mut self, page: *mut Page) {
        // SAFETY: see above.
        unsafe {
            let queue = &mut self.queues[usize::from((*page).bin)];
            let (next, previous) = ((*page).next, (*page).previous);
            match next.as_mut() {
                Some(next) => next.previous = previous,
                None => queue.last = previous,
            }
            match previous.as_mut() {
                Some(previous) => previous.next = next,
                None => queue.first = next,
            }
        }
    }
}

// SAFETY (all functions): `id` is the shard that the calling flow is inside of.
impl<S: Shards> Mi<S> {
    /// Fills the list of a bin and takes a block from it; null when there is no memory.
    ///
    /// # Safety
    /// For the flow inside of shard `id`; the bin's list must have no block to give.
    pub(crate) unsafe fn refill(&self, id: usize, bin: usize) -> *mut Block {
        // SAFETY: the flow is inside of the shard; pages in a queue are the shard's.
        unsafe {
            if !(*self.local(id)).lists[bin].is_null() {
                ukalloc::corrupt("a free block was written to");
            }
            self.open_mail(id);
            loop {
                let page = (*self.local(id)).queues[bin].first;
                if page.is_null() {
                    if !self.fresh_page(id, bin) {
                        return null_mut();
                    }
                    continue;
                }
                let mut list = null_mut();
                if !(*page).local_free.is_null() {
                    list = Page::take_local(page);
                } else if S::CONCURRENT {
                    list = Page::take_remote(page);
                }
                if list.is_null() && (*page).capacity < (*page).reserved {
                    list = self.cut_blocks(page);
                }
                if !list.is_null() {
                    let local = &mut *self.local(id);
                    local.lists[bin] = list;
                    let block = local.pop(bin);
                    if block.is_null() {
                        ukalloc::corrupt("a free block was written to");
                    }
                    return block;
                }
                if !S::CONCURRENT || Page::leave_notice(page) {
                    (*self.local(id)).unlink(page);
                    (*page).tag.store(owned_by(id) | FULL, Relaxed);
                }
            }
        }
    }

    /// Cuts more blocks from a page; returns the list of them. They count as taken.
    ///
    /// # Safety
    /// For the owner; the page must have room.
    unsafe fn cut_blocks(&self, page: *mut Page) -> *mut Block {
        // SAFETY: the blocks lie in the page and were never used.
        unsafe {
            let size = (*page).block_size as usize;
            let room = usize::from((*page).reserved - (*page).capacity);
            let count = (CUT / size).clamp(1, room);
            let start = self.start_of(page);
            let offset = usize::from((*page).capacity) * size;
            let first = start.add(offset);
            // Blocks of more than a slice come one at a time: no slice in which one starts is left out.
            for slice in offset / SLICE..=(offset + (count - 1) * size) / SLICE {
                (*page.add(slice)).back = (slice * size_of::<Page>()) as u32;
            }
            let mut block = first;
            for _ in 1..count {
                let next = block.add(size);
                (*block.cast::<Block>()).next = next.cast();
                block = next;
            }
            (*block.cast::<Block>()).next = null_mut();
            (*page).capacity += count as u16;
            (*page).used += count as u32;
            first.cast()
        }
    }

    /// Adds a page to the queue of a bin; returns whether there was memory for it.
    ///
    /// # Safety
    /// For the flow inside of shard `id`.
    #[cold]
    #[inline(never)]
    unsafe fn fresh_page(&self, id: usize, bin: usize) -> bool {
        let block_size = BLOCK_SIZES[bin];
        let size = block_size as usize;
        let least = size.div_ceil(SLICE);
        // SAFETY: the flow is inside of the shard; the run is a new one.
        unsafe {
            let local = &mut *self.local(id);
            let first = usize::from(FIRST_SLICES[bin]);
            let grown = local.grown[bin];
            let run = self.with_runs(|runs| {
                let most = (PAGE_MAX.max(8 * size) / SLICE).min(runs.slices / PAGE_SHARE);
                let mut slices = (first << grown).min(most).max(first);
                if first << grown < most {
                    local.grown[bin] += 1;
                }
                loop {
                    match runs.take(&self.pieces, slices, 1) {
                        Some(run) => return Some(run),
                        None if slices == least => return None,
                        None => slices = (slices / 2).max(least),
                    }
                }
            });
            let Some(page) = run else { return false };
            page.write(Page::new(id, bin, block_size, &*page));
            local.append(page);
            true
        }
    }

    /// Frees the blocks of full pages that other shards sent; returns whether that gave pages back.
    ///
    /// # Safety
    /// For the flow inside of shard `id`, or who adopted it.
    unsafe fn open_mail(&self, id: usize) -> bool {
        let mut any = false;
        if !S::CONCURRENT {
            return any;
        }
        let mut block = self.shard(id).mailbox.receive();
        while !block.is_null() {
            // SAFETY: blocks in the mailbox are taken ones of the shard's pages.
            unsafe {
                let next = (*block).next;
                let Some(page) = self.pieces.find(block.cast()) else {
                    ukalloc::corrupt("a free block was written to")
                };
                any |= self.free_own(id, page, block);
                block = next;
            }
        }
        any
    }

    /// Frees a block of a page of this shard, whether the page is full or not; returns whether the
    /// page was given back.
    ///
    /// # Safety
    /// For the flow inside of shard `id`; the block must be a taken one of the page, not used any
    /// more.
    pub(crate) unsafe fn free_own(&self, id: usize, page: *mut Page, block: *mut Block) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let empty = Page::push_local(page, block);
            if (*page).tag.load(Relaxed) & FULL != 0 {
                (*page).tag.store(owned_by(id), Relaxed);
                (*self.local(id)).append(page);
            }
            empty && self.emptied(id, page)
        }
    }

    /// A page has only free blocks: gives it back unless it is the only one of its bin; returns
    /// whether it did.
    ///
    /// # Safety
    /// For the flow inside of shard `id`; the page must be in its queue, and no block taken.
    pub(crate) unsafe fn emptied(&self, id: usize, page: *mut Page) -> bool {
        // SAFETY: the caller's promise. The bin's list holds no block of the page: those are taken.
        unsafe {
            if (*page).next.is_null() && (*page).previous.is_null() {
                return false;
            }
            self.give_page(id, page);
        }
        true
    }

    /// Gives an empty page back.
    ///
    /// # Safety
    /// As [`Mi::emptied`].
    unsafe fn give_page(&self, id: usize, page: *mut Page) {
        // SAFETY: the caller's promise.
        unsafe {
            (*self.local(id)).unlink(page);
            self.with_runs(|runs| runs.give(&self.pieces, page));
        }
    }

    /// A run that is one block of so many slices, at a multiple of `align` bytes; null when there is
    /// none.
    ///
    /// # Safety
    /// For the flow inside of shard `id`.
    pub(crate) unsafe fn take_run(&self, id: usize, slices: usize, align: usize) -> *mut Page {
        // SAFETY: the flow is inside of the shard; the kept run belongs to it.
        unsafe {
            let local = &mut *self.local(id);
            if let Some(kept) = local.kept.as_ref()
                && kept.slices as usize == slices
                && (align <= SLICE || self.start_of(local.kept).addr().is_multiple_of(align))
            {
                kept.tag.store(LARGE, Relaxed);
                return core::mem::replace(&mut local.kept, null_mut());
            }
        }
        let run = self.with_runs(|runs| runs.take(&self.pieces, slices, align.div_ceil(SLICE)));
        run.unwrap_or(null_mut())
    }

    /// Takes a run back that was one block.
    ///
    /// # Safety
    /// For the flow inside of shard `id`; the run must be a block in use, which is used no more.
    pub(crate) unsafe fn give_run(&self, id: usize, run: *mut Page) {
        // SAFETY: the caller's promise; the kept run belongs to the shard.
        unsafe {
            let slices = (*run).slices as usize;
            let share = self.pieces.get((*run).piece).slices() / PAGE_SHARE;
            let mut unwanted = run;
            if slices <= KEPT_MAX.min(share) {
                // A second free finds this.
                (*run).tag.store(0, Relaxed);
                unwanted = core::mem::replace(&mut (*self.local(id)).kept, run);
            }
            if !unwanted.is_null() {
                self.with_runs(|runs| runs.give(&self.pieces, unwanted));
            }
        }
    }

    /// Gives all empty pages of a shard back, and the run that it keeps; returns whether there were any.
    ///
    /// # Safety
    /// For the flow inside of shard `id`, or who adopted it.
    pub(crate) unsafe fn reclaim_shard(&self, id: usize) -> bool {
        // SAFETY: the flow is inside of the shard; pages in a queue are the shard's.
        unsafe {
            let mut any = self.open_mail(id);
            let kept = core::mem::replace(&mut (*self.local(id)).kept, null_mut());
            if !kept.is_null() {
                self.with_runs(|runs| runs.give(&self.pieces, kept));
                any = true;
            }
            for bin in 0..BINS {
                let local = &mut *self.local(id);
                local.grown[bin] = 0;
                let mut page = local.queues[bin].first;
                // The list is that of the first page.
                push_all(page, core::mem::replace(&mut local.lists[bin], null_mut()));
                while !page.is_null() {
                    let next = (*page).next;
                    if S::CONCURRENT {
                        push_all(page, Page::take_remote(page));
                    }
                    if (*page).used == 0 {
                        self.give_page(id, page);
                        any = true;
                    }
                    page = next;
                }
            }
            any
        }
    }
}

/// Puts a list of taken blocks into `local_free`.
///
/// # Safety
/// For the owner; the blocks must be taken ones of the page that nobody uses.
unsafe fn push_all(page: *mut Page, mut list: *mut Block) {
    while !list.is_null() {
        // SAFETY: the caller's promise.
        unsafe {
            let next = (*list).next;
            Page::push_local(page, list);
            list = next;
        }
    }
}
