//! Group descriptors, and the bitmaps that they lead to.

use alloc::boxed::Box;

use ukfile::fallible;

use crate::Ext4Error;
use crate::bytes::{crc16, crc32c, crc32c_without, le16, le32, put16, wide};
use crate::superblock::{AT, CHECKSUM, set_recover};
use crate::volume::Volume;

/// Places in a descriptor: of the low half, and of the high one in those of 64 bytes.
const BLOCK_BITMAP: (usize, usize) = (0x0, 0x20);
const INODE_BITMAP: (usize, usize) = (0x4, 0x24);
const INODE_TABLE: (usize, usize) = (0x8, 0x28);
pub const FREE_BLOCKS: (usize, usize) = (0xc, 0x2c);
pub const FREE_INODES: (usize, usize) = (0xe, 0x2e);
pub const DIRECTORIES: (usize, usize) = (0x10, 0x30);
const FLAGS: usize = 0x12;
const BLOCK_CHECKSUM: (usize, usize) = (0x18, 0x38);
const INODE_CHECKSUM: (usize, usize) = (0x1a, 0x3a);
pub const UNUSED_INODES: (usize, usize) = (0x1c, 0x32);
const GROUP_CHECKSUM: usize = 0x1e;
/// Flags: the bitmap of inodes, or of blocks, was never written.
const NO_INODE_BITMAP: u16 = 1;
const NO_BLOCK_BITMAP: u16 = 2;

/// Bytes of a descriptor that mean something here.
const LENGTH: usize = 64;

/// A group descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub number: u32,
    bytes: [u8; LENGTH],
    wide: bool,
}

/// A bitmap of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bitmap {
    Blocks,
    Inodes,
}

impl Group {
    fn place(&self, (low, high): (usize, usize)) -> u64 {
        wide(if self.wide { le32(&self.bytes, high) } else { 0 }, le32(&self.bytes, low))
    }

    pub fn inode_table(&self) -> u64 {
        self.place(INODE_TABLE)
    }

    pub fn bitmap(&self, which: Bitmap) -> u64 {
        self.place(match which {
            Bitmap::Blocks => BLOCK_BITMAP,
            Bitmap::Inodes => INODE_BITMAP,
        })
    }

    /// A number of 16 bits, or of 32 in two halves.
    pub fn count(&self, (low, high): (usize, usize)) -> u32 {
        let high = if self.wide { le16(&self.bytes, high) } else { 0 };
        u32::from(high) << 16 | u32::from(le16(&self.bytes, low))
    }

    pub fn set_count(&mut self, (low, high): (usize, usize), value: u32) {
        put16(&mut self.bytes, low, value as u16);
        if self.wide {
            put16(&mut self.bytes, high, (value >> 16) as u16);
        }
    }

    /// Whether the bitmap was never written.
    pub fn is_missing(&self, which: Bitmap) -> bool {
        le16(&self.bytes, FLAGS) & flag(which) != 0
    }

    /// The bitmap is written now.
    pub fn set_present(&mut self, which: Bitmap) {
        let flags = le16(&self.bytes, FLAGS) & !flag(which);
        put16(&mut self.bytes, FLAGS, flags);
    }
}

const fn flag(which: Bitmap) -> u16 {
    match which {
        Bitmap::Blocks => NO_BLOCK_BITMAP,
        Bitmap::Inodes => NO_INODE_BITMAP,
    }
}

impl Volume {
    /// Where the descriptor of a group is. They follow the superblock.
    fn group_at(&self, number: u32) -> (u64, usize) {
        let size = u64::from(self.sb.block_size);
        let at = u64::from(number) * self.sb.descriptor_size as u64;
        (AT / size + 1 + at / size, (at % size) as usize)
    }

    /// The descriptor of a group.
    pub fn group(&self, number: u32) -> Result<Group, Ext4Error> {
        let (block, from) = self.group_at(number);
        let mut bytes = [0; 1024];
        let bytes = bytes.get_mut(..self.sb.descriptor_size);
        let bytes = bytes.ok_or(Ext4Error::Damaged("descriptors of groups are too long"))?;
        self.read_blocks(block, from as u64, bytes)?;
        if (self.sb.checksum_seed.is_some() || self.sb.group_checksums)
            && self.group_checksum(number, bytes) != le16(bytes, GROUP_CHECKSUM)
        {
            return Err(Ext4Error::Damaged("the checksum of a group is wrong"));
        }
        let mut group = Group { number, bytes: [0; LENGTH], wide: self.sb.wide };
        let used = bytes.len().min(LENGTH);
        group.bytes[..used].copy_from_slice(&bytes[..used]);
        if !self.sb.group_checksums && self.sb.checksum_seed.is_none() {
            // Without checksums the flags and the number of unused inodes mean nothing.
            put16(&mut group.bytes, FLAGS, 0);
            group.set_count(UNUSED_INODES, 0);
        }
        Ok(group)
    }

    fn group_checksum(&self, number: u32, bytes: &[u8]) -> u16 {
        if let Some(seed) = self.sb.checksum_seed {
            let seed = crc32c(seed, &number.to_le_bytes());
            return crc32c_without(seed, bytes, GROUP_CHECKSUM, 2) as u16;
        }
        if !self.sb.group_checksums {
            return 0;
        }
        let crc = crc16(crc16(!0, &self.sb.uuid), &number.to_le_bytes());
        crc16(crc16(crc, &bytes[..GROUP_CHECKSUM]), &bytes[GROUP_CHECKSUM + 2..])
    }

    /// Changes the descriptor of a group.
    pub fn store_group(&mut self, group: &Group) -> Result<(), Ext4Error> {
        let (block, from) = self.group_at(group.number);
        let length = self.sb.descriptor_size;
        let used = length.min(LENGTH);
        // All or nothing: this takes no memory once there is a copy of the block.
        self.edit(block)?[from..from + used].copy_from_slice(&group.bytes[..used]);
        let copy = self.changes.blocks.get(&block).and_then(|copy| copy.get(from..from + length));
        let crc = self.group_checksum(group.number, copy.ok_or(Ext4Error::OutOfMemory)?);
        put16(self.edit(block)?, from + GROUP_CHECKSUM, crc);
        Ok(())
    }

    fn bitmap_length(&self, which: Bitmap) -> usize {
        let bits = match which {
            Bitmap::Blocks => self.sb.blocks_per_group,
            Bitmap::Inodes => self.sb.inodes_per_group,
        };
        bits as usize / 8
    }

    /// The bitmap of a group, made up if it was never written.
    pub fn bitmap(&self, group: &Group, which: Bitmap) -> Result<Box<[u8]>, Ext4Error> {
        if group.is_missing(which) {
            return self.initial_bitmap(group, which);
        }
        let block = group.bitmap(which);
        let bytes = self.block(block)?;
        if let Some(seed) = self.sb.checksum_seed
            && !self.changes.blocks.contains_key(&block)
        {
            let crc = crc32c(seed, &bytes[..self.bitmap_length(which)]);
            let (low, high) = checksum_places(which);
            let right = le16(&group.bytes, low) == crc as u16
                && (!group.wide || le16(&group.bytes, high) == (crc >> 16) as u16);
            if !right {
                return Err(Ext4Error::Damaged("the checksum of a bitmap is wrong"));
            }
        }
        Ok(bytes)
    }

    /// What a bitmap has when nothing of the group is used: only its own metadata is.
    fn initial_bitmap(&self, group: &Group, which: Bitmap) -> Result<Box<[u8]>, Ext4Error> {
        let size = self.sb.block_size as usize;
        let mut bytes = fallible::zeroed(size).map_err(|_| Ext4Error::OutOfMemory)?;
        let bits = match which {
            Bitmap::Inodes => self.sb.inodes_per_group,
            Bitmap::Blocks => {
                let (first, blocks) = self.sb.group(group.number);
                let mut mark = |block: u64, count: u64| {
                    for block in block..block.saturating_add(count.min(u64::from(blocks))) {
                        if let Some(bit) =
                            block.checked_sub(first).filter(|bit| *bit < blocks.into())
                        {
                            set(&mut bytes, bit as u32, true);
                        }
                    }
                };
                if self.sb.has_backup(group.number) {
                    let descriptors = u64::from(self.sb.groups()) * self.sb.descriptor_size as u64;
                    let descriptors = descriptors.div_ceil(size as u64);
                    mark(first, 1 + descriptors + u64::from(self.sb.reserved_descriptors));
                }
                mark(group.bitmap(Bitmap::Blocks), 1);
                mark(group.bitmap(Bitmap::Inodes), 1);
                let table = u64::from(self.sb.inodes_per_group) * self.sb.inode_size as u64;
                mark(group.inode_table(), table.div_ceil(size as u64));
                blocks
            }
        };
        // What is behind the end is in use.
        (bits..size as u32 * 8).for_each(|bit| set(&mut bytes, bit, true));
        Ok(bytes)
    }

    /// Makes the bitmap of a group one that is written, for being changed. The group is to be stored
    /// then.
    pub fn edit_bitmap(
        &mut self,
        group: &mut Group,
        which: Bitmap,
    ) -> Result<&mut [u8], Ext4Error> {
        let block = group.bitmap(which);
        if group.is_missing(which) {
            let bytes = self.initial_bitmap(group, which)?;
            self.replace(block, &bytes)?;
            group.set_present(which);
        } else if !self.changes.blocks.contains_key(&block) {
            // Checks its checksum.
            self.bitmap(group, which)?;
        }
        let noted = self.changes.groups.try_insert(group.number, ());
        noted.map_err(|_| Ext4Error::OutOfMemory)?;
        self.edit(block)
    }

    fn seal_bitmaps(&mut self, number: u32, seed: u32) -> Result<(), Ext4Error> {
        let mut group = self.group(number)?;
        for which in [Bitmap::Blocks, Bitmap::Inodes] {
            let length = self.bitmap_length(which);
            if let Some(bytes) = self.changes.blocks.get(&group.bitmap(which)) {
                let crc = crc32c(seed, &bytes[..length]);
                group.set_count(checksum_places(which), crc);
            }
        }
        self.store_group(&group)
    }

    /// Makes the checksums that are made once for each transaction, and marks the superblock.
    pub fn seal_metadata(&mut self) -> Result<(), Ext4Error> {
        if let Some(seed) = self.sb.checksum_seed {
            loop {
                let last = self.changes.groups.keys().next_back().copied();
                let Some(number) = last else { break };
                self.seal_bitmaps(number, seed)?;
                self.changes.groups.remove(&number);
            }
        }
        let (block, from) = self.superblock_at();
        let has_checksum = self.sb.checksum_seed.is_some();
        if let Some(bytes) = self.changes.blocks.get_mut(&block) {
            debug_assert!(bytes.len() >= from + CHECKSUM + 4);
            if let Some(bytes) = bytes[from..].first_chunk_mut() {
                set_recover(bytes, true, has_checksum);
            }
        }
        Ok(())
    }
}

const fn checksum_places(which: Bitmap) -> (usize, usize) {
    match which {
        Bitmap::Blocks => BLOCK_CHECKSUM,
        Bitmap::Inodes => INODE_CHECKSUM,
    }
}

/// Whether a bit is set.
pub fn get(bitmap: &[u8], bit: u32) -> bool {
    bitmap.get(bit as usize / 8).is_none_or(|byte| byte >> (bit % 8) & 1 != 0)
}

pub fn set(bitmap: &mut [u8], bit: u32, on: bool) {
    if let Some(byte) = bitmap.get_mut(bit as usize / 8) {
        let mask = 1 << (bit % 8);
        *byte = if on { *byte | mask } else { *byte & !mask };
    }
}
