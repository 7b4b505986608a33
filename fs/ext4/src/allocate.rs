//! Blocks that are taken and given back.

use ukfile::fallible;

use crate::Ext4Error;
use crate::bytes::{le32, put32, wide};
use crate::group::{Bitmap, FREE_BLOCKS, FREE_INODES, get, set};
use crate::superblock;
use crate::volume::Volume;

impl Volume {
    /// Changes the number of free blocks in the superblock.
    fn count_free_blocks(&mut self, change: i64) -> Result<(), Ext4Error> {
        let is_wide = self.sb.wide;
        let bytes = self.edit_superblock()?;
        let (low, high) = superblock::FREE_BLOCKS;
        let free = wide(if is_wide { le32(bytes, high) } else { 0 }, le32(bytes, low));
        let free = free.saturating_add_signed(change);
        put32(bytes, low, free as u32);
        if is_wide {
            put32(bytes, high, (free >> 32) as u32);
        }
        Ok(())
    }

    /// Lets the superblock say what the groups say is free. Linux keeps it right only at the end.
    pub fn count_free(&mut self) -> Result<(), Ext4Error> {
        let (mut blocks, mut inodes) = (0, 0u32);
        for number in 0..self.sb.groups() {
            let group = self.group(number)?;
            blocks += u64::from(group.count(FREE_BLOCKS));
            inodes = inodes.saturating_add(group.count(FREE_INODES));
        }
        let (told_blocks, told_inodes) = self.sb.free_of(&self.superblock_bytes()?);
        if (blocks, inodes) != (told_blocks, told_inodes) {
            self.count_free_blocks(blocks.wrapping_sub(told_blocks).cast_signed())?;
            put32(self.edit_superblock()?, superblock::FREE_INODES, inodes);
        }
        Ok(())
    }

    /// The group of a block, and its number there.
    fn group_of(&self, block: u64) -> Result<(u32, u32), Ext4Error> {
        let at = block.checked_sub(self.sb.first_block.into()).filter(|_| block < self.sb.blocks);
        let at = at.ok_or(Ext4Error::Damaged("a block lies behind the end"))?;
        let per = u64::from(self.sb.blocks_per_group);
        Ok(((at / per) as u32, (at % per) as u32))
    }

    /// Takes up to `wanted` blocks in a row, near `goal` if there are some. Returns the first and how
    /// many.
    pub fn allocate_blocks(&mut self, goal: u64, wanted: u32) -> Result<(u64, u32), Ext4Error> {
        let groups = self.sb.groups();
        let goal = goal.clamp(self.sb.first_block.into(), self.sb.blocks - 1);
        let (start, bit) = self.group_of(goal)?;
        for step in 0..groups {
            let number = (start + step) % groups;
            let bit = if step == 0 { bit } else { 0 };
            if let Some(taken) = self.allocate_in(number, bit, wanted)? {
                return Ok(taken);
            }
        }
        Err(Ext4Error::NoSpace)
    }

    fn allocate_in(
        &mut self,
        number: u32,
        goal: u32,
        wanted: u32,
    ) -> Result<Option<(u64, u32)>, Ext4Error> {
        let mut group = self.group(number)?;
        if group.count(FREE_BLOCKS) == 0 {
            return Ok(None);
        }
        let (first, blocks) = self.sb.group(number);
        let mut bitmap = self.bitmap(&group, Bitmap::Blocks)?;
        for (freed, count) in &self.changes.freed {
            let from = (*freed).max(first);
            let to = (freed + count).min(first + u64::from(blocks));
            (from..to).for_each(|block| set(&mut bitmap, (block - first) as u32, true));
        }
        let find = |from: u32, to: u32| {
            let mut bit = from;
            while bit < to {
                // Whole bytes that are in use are passed at once.
                if bit.is_multiple_of(8) && bitmap.get(bit as usize / 8) == Some(&0xff) {
                    bit += 8;
                } else if get(&bitmap, bit) {
                    bit += 1;
                } else {
                    return Some(bit);
                }
            }
            None
        };
        let Some(bit) = find(goal, blocks).or_else(|| find(0, goal.min(blocks))) else {
            return Ok(None);
        };
        let most = wanted.min(blocks - bit).min(group.count(FREE_BLOCKS)).max(1);
        let count = (1..most).take_while(|n| !get(&bitmap, bit + n)).count() as u32 + 1;
        let bitmap = self.edit_bitmap(&mut group, Bitmap::Blocks)?;
        (bit..bit + count).for_each(|bit| set(bitmap, bit, true));
        group.set_count(FREE_BLOCKS, group.count(FREE_BLOCKS) - count);
        self.store_group(&group)?;
        self.count_free_blocks(-i64::from(count))?;
        Ok(Some((first + u64::from(bit), count)))
    }

    /// Gives blocks back. They are free when this is committed.
    pub fn free_blocks(&mut self, first: u64, count: u64) -> Result<(), Ext4Error> {
        const FREE: Ext4Error = Ext4Error::Damaged("a block in use is free");
        let push = fallible::push(&mut self.changes.freed, (first, count));
        push.map_err(|_| Ext4Error::OutOfMemory)?;
        let (mut block, mut left) = (first, count);
        while left > 0 {
            let (number, bit) = self.group_of(block)?;
            let (_, blocks) = self.sb.group(number);
            let now = left.min(u64::from(blocks.saturating_sub(bit)));
            if now == 0 {
                return Err(FREE);
            }
            let mut group = self.group(number)?;
            let bitmap = self.edit_bitmap(&mut group, Bitmap::Blocks)?;
            for bit in bit..bit + now as u32 {
                if !get(bitmap, bit) {
                    return Err(FREE);
                }
                set(bitmap, bit, false);
            }
            let free = group.count(FREE_BLOCKS).saturating_add(now as u32);
            group.set_count(FREE_BLOCKS, free.min(blocks));
            self.store_group(&group)?;
            (block, left) = (block + now, left - now);
        }
        self.count_free_blocks(count as i64)
    }

    /// A block of metadata is given back.
    pub fn free_metadata(&mut self, block: u64) -> Result<(), Ext4Error> {
        self.free_blocks(block, 1)?;
        self.forget_block(block)
    }
}
