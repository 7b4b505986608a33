//! Two-level segregated fit: every call takes constant time, whatever the heap looks like.
//!
//! After Masmano, Ripoll, Crespo, Real: "TLSF: a new dynamic memory allocator for real-time
//! systems" (ECRTS 2004). Free blocks hang in lists by size: a first level of powers of two, each
//! divided into 32 steps. Two bitmaps find a fitting list with two bit scans. Neighbours that are
//! free are joined at once. A block in use costs 8 bytes; the tables cost 8 KiB for a heap of any
//! size up to 1 TiB, and adding memory touches only its two ends.
//!
//! ```
//! use ukalloc::{Alloc, Heap, SpinLock};
//!
//! let mut memory = vec![0u64; 8192];
//! let heap = Heap::new(ukalloctlsf::Tlsf::new(), SpinLock::new());
//! unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 65_536)? };
//! let block = heap.memalign(4096, 100);
//! assert!(block.addr().is_multiple_of(4096));
//! unsafe { heap.free(block) };
//! # Ok::<(), ukalloc::AddMemoryError>(())
//! ```
#![cfg_attr(not(test), no_std)]

mod block;
mod size_class;

use core::ptr::NonNull;

use ukalloc::{AddMemoryError, Backend, MIN_ALIGN};

use block::{Block, HEADER, MIN_PAYLOAD};
use size_class::{FIRST_LEVELS, LISTS, MAX_PAYLOAD, MAX_REQUEST, SizeClass};

/// The allocator.
#[derive(Debug)]
pub struct Tlsf {
    /// Bit `i`: some list of the first level `i` is not empty.
    first: u64,
    /// Bit `j` of word `i`: list `(i, j)` is not empty.
    second: [u32; FIRST_LEVELS],
    /// First free block of each class.
    lists: [Option<Block>; LISTS],
    pools: Option<NonNull<Pool>>,
    total: usize,
    available: usize,
}

/// At the start of each piece of memory: where the piece ends, and the next piece.
#[derive(Debug)]
struct Pool {
    next: Option<NonNull<Pool>>,
    end: usize,
}

// SAFETY: the pointers lead to memory that belongs to the allocator alone.
unsafe impl Send for Tlsf {}

impl Tlsf {
    /// Without memory.
    pub const fn new() -> Self {
        Self {
            first: 0,
            second: [0; FIRST_LEVELS],
            lists: [None; LISTS],
            pools: None,
            total: 0,
            available: 0,
        }
    }

    /// Puts a free block of `size` bytes into its list.
    ///
    /// # Safety
    /// `block` must be free, in no list, and of this allocator.
    #[inline]
    unsafe fn insert(&mut self, block: Block, size: usize) {
        let class = SizeClass::of(size);
        let head = class.in_table(&mut self.lists);
        let old = head.replace(block);
        // SAFETY: a free block has room for links; the head of a list is a free block.
        unsafe {
            block.set_links(old, None);
            if let Some(old) = old {
                old.set_previous(Some(block));
                return;
            }
        }
        self.first |= 1 << class.first();
        *class.in_row(&mut self.second) |= 1 << class.second();
    }

    /// Takes a free block of `size` bytes out of its list.
    ///
    /// # Safety
    /// `block` must be free and in its list.
    #[inline]
    unsafe fn remove(&mut self, block: Block, size: usize) {
        // SAFETY: links of a free block lead to free blocks of the same list.
        unsafe {
            let (next, previous) = block.links();
            match previous {
                None => self.set_head(SizeClass::of(size), next),
                Some(previous) => {
                    previous.set_next(next);
                    if let Some(next) = next {
                        next.set_previous(Some(previous));
                    }
                }
            }
        }
    }

    /// Makes `block` the first one of a list, after its first was taken out.
    ///
    /// # Safety
    /// `block` must be the second one of that list.
    #[inline]
    unsafe fn set_head(&mut self, class: SizeClass, block: Option<Block>) {
        *class.in_table(&mut self.lists) = block;
        match block {
            // SAFETY: the caller's promise.
            Some(block) => unsafe { block.set_previous(None) },
            None => {
                let row = class.in_row(&mut self.second);
                *row &= !(1 << class.second());
                // Without a branch, which nothing would predict.
                self.first &= !(u64::from(*row == 0) << class.first());
            }
        }
    }

    /// Puts a free block into the place that another has in a list.
    ///
    /// # Safety
    /// `old` must be in the list of blocks like it, of `size` bytes, to which `new` must belong too.
    #[inline]
    unsafe fn replace(&mut self, old: Block, new: Block, size: usize) {
        // SAFETY: links of a free block lead to free blocks of the same list.
        unsafe {
            let (next, previous) = old.links();
            new.set_links(next, previous);
            if let Some(next) = next {
                next.set_previous(Some(new));
            }
            match previous {
                Some(previous) => previous.set_next(Some(new)),
                None => *SizeClass::of(size).in_table(&mut self.lists) = Some(new),
            }
        }
    }

    /// A free block whose payload is at least `size`, the first one of its list, and its class.
    #[inline]
    fn find(&mut self, size: usize) -> Option<(Block, SizeClass)> {
        // Every block of the class that `size` rounds up to is large enough: no list is searched.
        let mut class = SizeClass::for_request(size);
        let row = *class.in_row(&mut self.second) & (u32::MAX << class.second());
        if row != 0 {
            class = SizeClass::new(class.first(), row.trailing_zeros());
        } else {
            let above = self.first & (u64::MAX << 1 << class.first());
            if above == 0 {
                return None;
            }
            class = SizeClass::new(above.trailing_zeros(), 0);
            let second = class.in_row(&mut self.second).trailing_zeros();
            class = SizeClass::new(class.first(), second);
        }
        let block = (*class.in_table(&mut self.lists))?;
        Some((block, class))
    }

    /// Takes the first block of a list into use, `size` bytes of it.
    ///
    /// # Safety
    /// `block` must be the first one in the list of this class, and have `size` bytes at least.
    #[inline]
    unsafe fn take(&mut self, block: Block, class: SizeClass, size: usize) {
        // SAFETY: the rest lies inside the block. Neighbours of a free block are in use.
        unsafe {
            let whole = block.payload_size();
            let rest = whole - size;
            if rest < HEADER + MIN_PAYLOAD {
                self.set_head(class, block.links().0);
                block.write_used(whole);
                block.after(whole).previous_is_used();
                self.available -= whole;
                return;
            }
            // What is left stays free: the block after it knows already.
            let (tail, rest) = (block.after(size), rest - HEADER);
            if SizeClass::is_same_large(whole, rest) {
                let next = block.links().0;
                tail.set_links(next, None);
                if let Some(next) = next {
                    next.set_previous(Some(tail));
                }
                *class.in_table(&mut self.lists) = Some(tail);
            } else {
                self.set_head(class, block.links().0);
                self.insert(tail, rest);
            }
            tail.write_free(rest);
            block.write_used(size);
            self.available -= size + HEADER;
        }
    }

    /// Gives the end of a block in use back when it is large enough to be a block.
    ///
    /// # Safety
    /// `block` must be in use, with a payload of at least `size`, and its neighbour after it too.
    #[inline]
    unsafe fn trim(&mut self, block: Block, size: usize) {
        // SAFETY: the rest lies inside the block.
        unsafe {
            let rest = block.payload_size() - size;
            if rest >= HEADER + MIN_PAYLOAD {
                let (tail, rest) = (block.after(size), rest - HEADER);
                block.set_used_size(size);
                tail.write_free(rest);
                tail.next().previous_is_free();
                self.insert(tail, rest);
                self.available += rest;
            }
        }
    }

    /// A block of `wanted` bytes of which the address `offset` bytes after the start is a multiple of
    /// `align`, which is more than blocks have anyway. Not inlined, to keep the usual path short.
    #[cold]
    #[inline(never)]
    fn allocate_aligned(
        &mut self,
        wanted: usize,
        align: usize,
        offset: usize,
    ) -> Option<NonNull<u8>> {
        // Room to move the payload up to the alignment, leaving a block before it.
        let gap_at_least = HEADER + MIN_PAYLOAD;
        let room = payload_for(wanted.checked_add(align)?.checked_add(gap_at_least)?)?;
        let (front, class) = self.find(room)?;
        // SAFETY: a free block, the first one of its list; the gap is inside of it, because its
        // payload has the room.
        unsafe {
            let whole = front.payload_size();
            self.take(front, class, whole);
            let payload = front.payload().as_ptr() as usize;
            let aligned = payload + offset;
            let mut gap = aligned.next_multiple_of(align) - aligned;
            let mut block = front;
            if gap != 0 {
                if gap < gap_at_least {
                    gap = (aligned + gap_at_least).next_multiple_of(align) - aligned;
                }
                let before = gap - HEADER;
                block = front.after(before);
                block.write_used(whole - gap);
                front.write_free(before);
                block.previous_is_free();
                self.insert(front, before);
                self.available += before;
            }
            self.trim(block, wanted);
            Some(block.payload())
        }
    }

    /// The block whose payload starts at `address`.
    ///
    /// # Safety
    /// `address` must be the payload of a live block of this allocator.
    #[inline]
    unsafe fn live(&self, address: NonNull<u8>) -> Block {
        // SAFETY: the caller's promise.
        let block = unsafe { Block::of_payload(address) };
        // SAFETY: the header stands before the payload.
        if unsafe { block.is_free() } {
            ukalloc::corrupt("a block was freed twice");
        }
        block
    }

    /// As [`Backend::allocate`], but it is the address `offset` bytes after the start that is a
    /// multiple of `align`. For allocators on top of this one that put something before their
    /// blocks. `offset` must be a multiple of [`MIN_ALIGN`].
    #[inline]
    pub fn allocate_with_offset(
        &mut self,
        size: usize,
        align: usize,
        offset: usize,
    ) -> Option<NonNull<u8>> {
        debug_assert!(offset.is_multiple_of(MIN_ALIGN), "payloads are multiples of it");
        let wanted = payload_for(size)?;
        if align <= MIN_ALIGN {
            let (block, class) = self.find(wanted)?;
            // SAFETY: the first one of its list, large enough for `wanted`.
            unsafe {
                self.take(block, class, wanted);
                return Some(block.payload());
            }
        }
        self.allocate_aligned(wanted, align, offset)
    }

    /// Calls `visit` with the address and the usable size of every block in use, in ascending order
    /// within each piece of memory. Takes time for every block, free or not.
    pub fn for_each_used(&self, mut visit: impl FnMut(NonNull<u8>, usize)) {
        for (start, _) in self.pools() {
            let payload = (start + size_of::<Pool>() + 2 * HEADER) as *mut u8;
            // SAFETY: `add_memory` put the first block there; blocks follow each other to the end
            // of the piece, where an empty one stands.
            unsafe {
                let mut block = Block::of_payload(NonNull::new_unchecked(payload));
                while block.payload_size() != 0 {
                    if !block.is_free() {
                        visit(block.payload(), block.payload_size());
                    }
                    block = block.next();
                }
            }
        }
    }

    fn pools(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut next = self.pools;
        core::iter::from_fn(move || {
            let pool = next?;
            // SAFETY: the list is made of pools that `add_memory` wrote.
            let (link, end) = unsafe { (pool.as_ref().next, pool.as_ref().end) };
            next = link;
            Some((pool.as_ptr() as usize, end))
        })
    }
}

impl Default for Tlsf {
    fn default() -> Self {
        Self::new()
    }
}

/// Payload for a request: the next size that keeps headers in place.
#[inline]
fn payload_for(size: usize) -> Option<usize> {
    // Rounding adds 15 at most.
    if size > MAX_REQUEST - 16 {
        return None;
    }
    Some(block::round_up(size.max(MIN_PAYLOAD)))
}

// SAFETY: blocks partition each piece of memory; `take` and `trim` give each caller a part of its
// own, aligned because all payloads are.
unsafe impl Backend for Tlsf {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        let start = (base as usize).next_multiple_of(MIN_ALIGN);
        let end = (base as usize).saturating_add(len);
        // Pool, first header, payload; the header of the empty block that ends the piece.
        let payload = start + size_of::<Pool>() + 2 * HEADER;
        let size = end.saturating_sub(payload + HEADER + block::BEFORE_HEADER);
        let size = block::round_down(size);
        if end <= payload || size < MIN_PAYLOAD {
            return Err(AddMemoryError::TooSmall);
        }
        if size > MAX_PAYLOAD {
            return Err(AddMemoryError::TooLarge);
        }
        let pool = start as *mut Pool;
        // SAFETY: all of it lies in the memory that the caller gives away.
        unsafe {
            pool.write(Pool { next: self.pools, end });
            let block = Block::of_payload(NonNull::new_unchecked(payload as *mut u8));
            block.write_free(size);
            block.after(size).write_used(0);
            block.after(size).previous_is_free();
            self.insert(block, size);
        }
        self.available += size;
        self.pools = NonNull::new(pool);
        self.total += len;
        Ok(())
    }

    #[inline]
    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        self.allocate_with_offset(size, align, 0)
    }

    #[inline]
    unsafe fn free(&mut self, address: NonNull<u8>) {
        // SAFETY: the caller's promise: a live block. Neighbours are blocks of the same piece; free
        // ones are in their lists. The block at the end of a piece is never free.
        unsafe {
            let freed = self.live(address);
            let (mut block, mut size) = (freed, freed.payload_size());
            let next = freed.after(size);
            // Counted once: each change of the sum waits for the one before.
            let mut gained = size;
            if let Some(previous) = freed.previous_free() {
                if !previous.is_free() {
                    ukalloc::corrupt("a free block's mark was overwritten");
                }
                let before = previous.payload_size();
                self.remove(previous, before);
                freed.mark_gone();
                (block, size) = (previous, before + HEADER + size);
                gained += HEADER;
            }
            if next.is_free() {
                let after = next.payload_size();
                size += HEADER + after;
                gained += HEADER;
                if SizeClass::is_same_large(size, after) {
                    self.replace(next, block, after);
                    block.write_free(size);
                    self.available += gained;
                    return;
                }
                self.remove(next, after);
            } else {
                next.previous_is_free();
            }
            block.write_free(size);
            self.insert(block, size);
            self.available += gained;
        }
    }

    #[inline]
    unsafe fn usable_size(&self, address: NonNull<u8>) -> usize {
        // SAFETY: the caller's promise: a live block.
        unsafe { self.live(address).payload_size() }
    }

    unsafe fn resize_in_place(&mut self, address: NonNull<u8>, size: usize) -> bool {
        let Some(wanted) = payload_for(size) else { return false };
        // SAFETY: the caller's promise: a live block; its neighbour is a block of the same piece.
        unsafe {
            let block = self.live(address);
            let next = block.next();
            let with_next = block.payload_size()
                + if next.is_free() { HEADER + next.payload_size() } else { 0 };
            if wanted > with_next {
                return false;
            }
            let shrinks = wanted + HEADER + MIN_PAYLOAD <= block.payload_size();
            if wanted > block.payload_size() || (shrinks && next.is_free()) {
                // Growing takes the neighbour; what shrinking cuts off joins it.
                let after = next.payload_size();
                self.remove(next, after);
                self.available -= after;
                block.set_used_size(with_next);
                block.next().previous_is_used();
            }
            self.trim(block, wanted);
        }
        true
    }

    fn owns(&self, address: *const u8) -> bool {
        self.pools().any(|(start, end)| (start..end).contains(&(address as usize)))
    }

    fn total_memory(&self) -> usize {
        self.total
    }

    fn available(&self) -> usize {
        self.available
    }

    fn largest_free(&self) -> usize {
        let Some(first) = self.first.checked_ilog2() else { return 0 };
        let row = self.second.get(first as usize).copied().unwrap_or(0);
        let class = SizeClass::new(first, row.checked_ilog2().unwrap_or(0));
        let mut next = class.of_table(&self.lists);
        let mut largest = 0;
        while let Some(block) = next {
            // SAFETY: blocks in lists are free and have links.
            unsafe {
                largest = largest.max(block.payload_size());
                next = block.links().0;
            }
        }
        // A request finds it only through the class that it rounds up to.
        SizeClass::largest_request(largest)
    }
}

#[cfg(test)]
mod tests;
