//! A piece of memory: a table of descriptors, then blocks, then what was never used.
//!
//! Blocks lie next to each other from the start of the piece up to `top`, and know their neighbours.
//! The last one is never free: memory above it is just memory above `top`.

use ukalloc::corrupt;

use crate::table::{Block, MAX_BLOCKS, NONE, Table};

/// Bytes of a unit: starts and sizes of blocks are multiples of it.
pub const UNIT: usize = ukalloc::MIN_ALIGN;
/// A rest of fewer units stays with its block: it would cost a descriptor and serve nobody.
const MIN_REST: u32 = 2;
/// Units in a piece at most.
const MAX_UNITS: usize = (1 << 31) - 1;

/// A piece of memory. All zeros: none.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Address of the first block.
    base: usize,
    /// Units for blocks.
    units: u32,
    /// Units below are blocks.
    top: u32,
    /// Units in blocks in use.
    used: u32,
    /// The block that ends at `top`.
    last: u16,
    /// The free block with the lowest address.
    first_free: u16,
    table: Table,
}

/// Why memory makes no piece.
pub enum Unfit {
    TooSmall,
    TooLarge,
}

impl Piece {
    /// No memory.
    pub const NONE: Self =
        Self { base: 0, units: 0, top: 0, used: 0, last: 0, first_free: 0, table: Table::EMPTY };

    /// Makes a piece of memory, without writing to it.
    ///
    /// # Safety
    /// The memory must be the caller's, and nobody else's as long as the piece is used.
    pub unsafe fn new(memory: *mut u8, len: usize, bytes_per_block: u64) -> Result<Self, Unfit> {
        let start = (memory as usize).checked_next_multiple_of(UNIT).ok_or(Unfit::TooSmall)?;
        let len = (memory as usize).saturating_add(len).saturating_sub(start);
        let capacity = (len as u64 / bytes_per_block).clamp(1, MAX_BLOCKS as u64) as usize;
        let table_len = Table::bytes(capacity).next_multiple_of(UNIT);
        let units = len.saturating_sub(table_len) / UNIT;
        match units {
            0 => Err(Unfit::TooSmall),
            1..=MAX_UNITS => Ok(Self {
                base: start + table_len,
                units: units as u32,
                last: NONE,
                first_free: NONE,
                // SAFETY: the table lies at the start of the memory.
                table: unsafe { Table::at(start as *mut u8, capacity) },
                ..Self::NONE
            }),
            _ => Err(Unfit::TooLarge),
        }
    }

    /// Whether this is a piece.
    pub const fn exists(&self) -> bool {
        self.units != 0
    }

    /// Whether an address lies in the blocks.
    #[inline]
    pub const fn owns(&self, address: usize) -> bool {
        address.wrapping_sub(self.base) < self.units as usize * UNIT
    }

    /// Bytes in free blocks and above them.
    pub const fn available(&self) -> usize {
        (self.units - self.used) as usize * UNIT
    }

    /// Bytes of the largest block that could be had.
    pub fn largest_free(&self) -> usize {
        let above = if self.table.left() > 0 { self.units - self.top } else { 0 };
        let mut largest = above;
        let mut index = self.first_free;
        while index != NONE {
            let block = self.table.read(index);
            largest = largest.max(block.units());
            index = block.next;
        }
        largest as usize * UNIT
    }

    /// Units from `start` to the next multiple of `align` bytes.
    #[inline]
    const fn gap(&self, start: u32, align: usize) -> usize {
        let address = self.base + start as usize * UNIT;
        (address.wrapping_neg() & (align - 1)) / UNIT
    }

    /// A block of that many units at a multiple of `align` bytes: its address.
    #[inline]
    pub fn allocate(&mut self, units: usize, align: usize) -> Option<usize> {
        let mut next = self.first_free;
        while next != NONE {
            let block = self.table.read(next);
            let gap = self.gap(block.start, align);
            if (block.units() as usize).checked_sub(gap).is_some_and(|left| left >= units)
                && (gap == 0 || self.table.left() > 0)
            {
                return Some(self.take(next, block, gap as u32, units as u32));
            }
            next = block.next;
        }
        self.extend(units, align)
    }

    /// Takes units out of a free block, after a gap that stays free and costs a descriptor.
    #[inline]
    fn take(&mut self, index: u16, block: Block, gap: u32, units: u32) -> usize {
        let (mut used, mut before_rest) = (index, block.previous);
        if gap == 0 {
            self.unlink(index);
        } else if let Some(second) = self.cut(index, gap) {
            (used, before_rest) = (second, index);
        }
        self.table.get(used).set_free(false);
        self.cut_rest(used, units, |piece, rest| piece.link_after(before_rest, rest));
        self.hand_out(used)
    }

    /// Makes a new block above all others.
    fn extend(&mut self, units: usize, align: usize) -> Option<usize> {
        let gap = self.gap(self.top, align);
        let left = (self.units - self.top) as usize;
        if left.checked_sub(gap)? < units || self.table.left() < 1 + u16::from(gap > 0) {
            return None;
        }
        if gap > 0 {
            let block = self.push(gap as u32)?;
            self.table.get(block).set_free(true);
            self.insert(block);
        }
        let block = self.push(units as u32)?;
        Some(self.hand_out(block))
    }

    /// Makes a block of what follows `top`, neither free nor handed out.
    fn push(&mut self, units: u32) -> Option<u16> {
        let index = self.table.create(self.top, units)?;
        let last = core::mem::replace(&mut self.last, index);
        self.table.get(index).before = last;
        if last != NONE {
            self.table.get(last).after = index;
        }
        self.top += units;
        Some(index)
    }

    /// Divides a block; the second part is marked as used, in no list and no chain.
    #[inline]
    fn cut(&mut self, index: u16, units: u32) -> Option<u16> {
        let block = self.table.read(index);
        let second = self.table.create(block.start + units, block.units() - units)?;
        self.table.get(second).before = index;
        self.table.get(second).after = block.after;
        let first = self.table.get(index);
        first.set_units(units);
        first.after = second;
        if block.after == NONE {
            self.last = second;
        } else {
            self.table.get(block.after).before = second;
        }
        Some(second)
    }

    /// Frees what a block has beyond `units`, when it is worth a descriptor and there is one.
    #[inline]
    fn cut_rest(&mut self, index: u16, units: u32, link: impl FnOnce(&mut Self, u16)) {
        if self.table.get(index).units() - units >= MIN_REST
            && let Some(rest) = self.cut(index, units)
        {
            self.table.get(rest).set_free(true);
            link(self, rest);
        }
    }

    #[inline]
    fn hand_out(&mut self, index: u16) -> usize {
        self.table.enter(index);
        let block = self.table.get(index);
        let address = self.base + block.start as usize * UNIT;
        self.used += block.units();
        address
    }

    /// The block in use at an address.
    #[inline]
    fn find(&self, address: usize) -> u16 {
        let offset = address - self.base;
        let found = if offset.is_multiple_of(UNIT) {
            self.table.find((offset / UNIT) as u32)
        } else {
            None
        };
        match found {
            Some(index) => index,
            None => corrupt("a block was freed twice, or its address is wrong"),
        }
    }

    /// Takes the block at an address back.
    pub fn free(&mut self, address: usize) {
        let mut index = self.find(address);
        self.table.leave(index);
        let block = self.table.read(index);
        self.used -= block.units();
        let before_is_free = self.is_free(block.before);
        if block.after == NONE {
            // Above the blocks memory has no descriptors.
            if before_is_free {
                self.unlink(block.before);
                self.absorb_after(block.before);
                index = block.before;
            }
            let block = self.table.read(index);
            self.top = block.start;
            self.last = block.before;
            if block.before != NONE {
                self.table.get(block.before).after = NONE;
            }
            self.table.destroy(index);
            return;
        }
        if before_is_free {
            self.absorb_after(block.before);
            index = block.before;
        } else {
            self.table.get(index).set_free(true);
            if self.is_free(block.after) {
                let previous = self.table.get(block.after).previous;
                self.link_after(previous, index);
            } else {
                self.insert(index);
            }
        }
        if self.is_free(block.after) {
            self.unlink(block.after);
            self.absorb_after(index);
        }
    }

    #[inline]
    fn is_free(&self, index: u16) -> bool {
        index != NONE && self.table.read(index).is_free()
    }

    /// Adds the block after a block to it. It must be in no list and no chain.
    fn absorb_after(&mut self, index: u16) {
        let after = self.table.get(index).after;
        let second = self.table.read(after);
        let first = self.table.get(index);
        first.set_units(first.units() + second.units());
        first.after = second.after;
        if second.after == NONE {
            self.last = index;
        } else {
            self.table.get(second.after).before = index;
        }
        self.table.destroy(after);
    }

    /// Puts a free block into the list after another one; [`NONE`]: in front.
    #[inline]
    fn link_after(&mut self, previous: u16, index: u16) {
        let next = match previous {
            NONE => core::mem::replace(&mut self.first_free, index),
            _ => core::mem::replace(&mut self.table.get(previous).next, index),
        };
        let block = self.table.get(index);
        block.next = next;
        block.previous = previous;
        if next != NONE {
            self.table.get(next).previous = index;
        }
    }

    /// Takes a free block out of the list.
    #[inline]
    fn unlink(&mut self, index: u16) {
        let block = self.table.read(index);
        match block.previous {
            NONE => self.first_free = block.next,
            previous => self.table.get(previous).next = block.next,
        }
        if block.next != NONE {
            self.table.get(block.next).previous = block.previous;
        }
    }

    /// Puts a free block into the list, by address. Its place is looked for from both ends: in the
    /// list from the start, and in memory downwards. One is short when free blocks are few, the
    /// other when they are many.
    fn insert(&mut self, index: u16) {
        let Block { start, before: mut below, .. } = *self.table.get(index);
        let (mut previous, mut next) = (NONE, self.first_free);
        loop {
            if next == NONE || self.table.get(next).start > start {
                return self.link_after(previous, index);
            }
            (previous, next) = (next, self.table.get(next).next);
            if below == NONE || self.table.get(below).is_free() {
                return self.link_after(below, index);
            }
            below = self.table.get(below).before;
        }
    }

    /// Bytes that may be used at a block.
    #[inline]
    pub fn usable_size(&self, address: usize) -> usize {
        self.table.read(self.find(address)).units() as usize * UNIT
    }

    /// Changes the size of a block without moving it; returns whether it worked.
    pub fn resize(&mut self, address: usize, wanted: usize) -> bool {
        let index = self.find(address);
        let block = self.table.read(index);
        let old = block.units();
        let wanted_or_more = if block.after == NONE {
            // The last block moves `top`.
            if wanted > (self.units - block.start) as usize {
                return false;
            }
            self.table.get(index).set_units(wanted as u32);
            self.top = block.start + wanted as u32;
            wanted as u32
        } else {
            let after_is_free = self.is_free(block.after);
            let after = if after_is_free { self.table.get(block.after).units() } else { 0 };
            if wanted > (old + after) as usize {
                return false;
            }
            let wanted = wanted as u32;
            if after_is_free {
                // The border between the two moves, or goes.
                let previous = self.table.get(block.after).previous;
                self.unlink(block.after);
                self.absorb_after(index);
                self.cut_rest(index, wanted, |piece, rest| piece.link_after(previous, rest));
            } else {
                self.cut_rest(index, wanted, Self::insert);
            }
            self.table.get(index).units()
        };
        self.used = self.used - old + wanted_or_more;
        true
    }
}
