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
use size_class::{FIRST_LEVELS, MAX_PAYLOAD, SECOND_LEVELS, SizeClass};

/// The allocator.
#[derive(Debug)]
pub struct Tlsf {
    /// Bit `i`: some list of the first level `i` is not empty.
    first: u64,
    /// Bit `j` of word `i`: list `(i, j)` is not empty.
    second: [u32; FIRST_LEVELS],
    lists: [[Option<Block>; SECOND_LEVELS]; FIRST_LEVELS],
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
            lists: [[None; SECOND_LEVELS]; FIRST_LEVELS],
            pools: None,
            total: 0,
            available: 0,
        }
    }

    /// Puts a free block into its list.
    ///
    /// # Safety
    /// `block` must be free, in no list, and of this allocator.
    #[inline]
    unsafe fn insert(&mut self, block: Block) {
        // SAFETY: a free block has room for links; the head of a list is a free block.
        unsafe {
            let payload = block.payload_size();
            let class = SizeClass::of(payload);
            let head = class.in_table(&mut self.lists);
            block.set_links(*head, None);
            if let Some(old) = *head {
                old.set_previous(Some(block));
            }
            *head = Some(block);
            self.first |= 1 << class.first;
            *class.in_row(&mut self.second) |= 1 << class.second;
            self.available += payload;
        }
    }

    /// Takes a free block out of its list.
    ///
    /// # Safety
    /// `block` must be free and in its list.
    #[inline]
    unsafe fn remove(&mut self, block: Block) {
        // SAFETY: links of a free block lead to free blocks of the same list.
        unsafe {
            let payload = block.payload_size();
            let class = SizeClass::of(payload);
            let (next, previous) = block.links();
            if let Some(next) = next {
                next.set_previous(previous);
            }
            match previous {
                Some(previous) => previous.set_next(next),
                None => {
                    *class.in_table(&mut self.lists) = next;
                    if next.is_none() {
                        let row = class.in_row(&mut self.second);
                        *row &= !(1 << class.second);
                        if *row == 0 {
                            self.first &= !(1 << class.first);
                        }
                    }
                }
            }
            self.available -= payload;
        }
    }

    /// A free block whose payload is at least `size`, taken out of its list.
    #[inline]
    fn take(&mut self, size: usize) -> Option<Block> {
        // Every block of the class that `size` rounds up to is large enough: no list is searched.
        let class = SizeClass::for_request(size)?;
        let row = *class.in_row(&mut self.second) & (u32::MAX << class.second);
        let found = if row != 0 {
            SizeClass { second: row.trailing_zeros(), ..class }
        } else {
            let above = self.first & (u64::MAX << 1 << class.first);
            if above == 0 {
                return None;
            }
            let first = above.trailing_zeros();
            let mut found = SizeClass { first, second: 0 };
            found.second = found.in_row(&mut self.second).trailing_zeros();
            found
        };
        let block = (*found.in_table(&mut self.lists))?;
        // SAFETY: heads of lists are free and in their list.
        unsafe { self.remove(block) };
        Some(block)
    }

    /// Gives the end of a block in no list back when it is large enough to be a block.
    ///
    /// # Safety
    /// `block` must be out of all lists, with a payload of at least `size`, and its neighbour
    /// after it in use or out of all lists too.
    #[inline]
    unsafe fn trim(&mut self, block: Block, size: usize) {
        // SAFETY: the rest lies inside the block.
        unsafe {
            let rest = block.payload_size() - size;
            if rest >= HEADER + MIN_PAYLOAD {
                let tail = block.split(size);
                tail.mark_free();
                self.insert(tail);
            }
        }
    }

    /// Joins a block out of all lists with its free neighbours; the result is in no list.
    ///
    /// # Safety
    /// `block` must be of this allocator and in no list.
    #[inline]
    unsafe fn join(&mut self, mut block: Block) -> Block {
        // SAFETY: neighbours are blocks of the same piece; free ones are in their lists. The
        // block at the end of a piece is never free.
        unsafe {
            if let Some(previous) = block.previous_free() {
                if !previous.is_free() {
                    ukalloc::corrupt("a free block's mark was overwritten");
                }
                self.remove(previous);
                previous.absorb(block);
                block = previous;
            }
            let next = block.next();
            if next.is_free() {
                self.remove(next);
                block.absorb(next);
            }
        }
        block
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
            let block = self.take(wanted)?;
            // SAFETY: the block was just taken out of its list; its neighbours are in use, or it
            // would have been joined with them.
            unsafe {
                self.trim(block, wanted);
                block.mark_used();
                return Some(block.payload());
            }
        }
        // Room to move the payload up to the alignment, leaving a block before it.
        let gap_at_least = HEADER + MIN_PAYLOAD;
        let room = wanted.checked_add(align)?.checked_add(gap_at_least)?;
        let mut block = self.take(payload_for(room)?)?;
        // SAFETY: as above; the gap is inside the block, whose payload has the room.
        unsafe {
            let payload = block.payload().as_ptr() as usize;
            let aligned = payload + offset;
            let mut gap = aligned.next_multiple_of(align) - aligned;
            if gap != 0 {
                if gap < gap_at_least {
                    gap = (aligned + gap_at_least).next_multiple_of(align) - aligned;
                }
                let front = block;
                block = front.split(gap - HEADER);
                front.mark_free();
                self.insert(front);
            }
            self.trim(block, wanted);
            block.mark_used();
            Some(block.payload())
        }
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
    if size > MAX_PAYLOAD {
        return None;
    }
    Some(block::round_up(size).max(MIN_PAYLOAD))
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
            block.start_piece(size);
            self.insert(block);
        }
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
        // SAFETY: the caller's promise: a live block.
        unsafe {
            let block = self.live(address);
            let block = self.join(block);
            block.mark_free();
            self.insert(block);
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
                self.remove(next);
                block.absorb(next);
            }
            self.trim(block, wanted);
            block.mark_used();
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
        let class = SizeClass { first, second: row.checked_ilog2().unwrap_or(0) };
        let mut next = self.lists[class.first as usize][class.second as usize];
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
