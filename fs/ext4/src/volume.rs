//! What is on the disk, by block and by inode.

use alloc::boxed::Box;

use ukfile::fallible;

use crate::Ext4Error;
use crate::bytes::{crc32c, crc32c_without, le16, le32, wide};
use crate::cache::{Cache, Source};
use crate::inode::Inode;
use crate::journal::Journal;
use crate::superblock::{self, RECOVER, Superblock};

/// A file system as it lies on its disk.
#[derive(Debug)]
pub struct Volume {
    cache: Cache,
    pub sb: Superblock,
    /// Blocks whose newest content is in the journal.
    journal: Journal,
}

impl Volume {
    /// Looks what is there, and reads the journal if it was not finished.
    pub fn new(source: Box<dyn Source>) -> Result<Self, Ext4Error> {
        let cache = Cache::new(source);
        let mut bytes = [0; superblock::LENGTH];
        if cache.bytes() < superblock::AT + superblock::LENGTH as u64 {
            return Err(Ext4Error::Other);
        }
        cache.read(superblock::AT, &mut bytes)?;
        let sb = Superblock::parse(&bytes, cache.bytes())?;
        let mut volume = Self { cache, sb, journal: Journal::default() };
        if volume.sb.features & RECOVER != 0 {
            volume.journal = Journal::read(&volume)?;
            // Its newest state may be there as well.
            let block_size = u64::from(volume.sb.block_size);
            let (block, from) = (superblock::AT / block_size, superblock::AT % block_size);
            volume.read_blocks(block, from, &mut bytes)?;
            volume.sb = Superblock::parse(&bytes, volume.cache.bytes())?;
            if u64::from(volume.sb.block_size) != block_size {
                return Err(Ext4Error::Damaged("the journal has another superblock"));
            }
        }
        Ok(volume)
    }

    /// Fills `into` from the byte `from` on of what begins with block `block`.
    pub fn read_blocks(&self, block: u64, from: u64, into: &mut [u8]) -> Result<(), Ext4Error> {
        let size = u64::from(self.sb.block_size);
        let (mut block, mut from) = (block.saturating_add(from / size), from % size);
        let mut left = into;
        while !left.is_empty() {
            // All at once, unless a block of them is elsewhere.
            let length = if self.journal.is_empty() {
                left.len()
            } else {
                left.len().min((size - from) as usize)
            };
            let blocks = (from + length as u64).div_ceil(size);
            if block.checked_add(blocks).is_none_or(|end| end > self.sb.blocks) {
                return Err(Ext4Error::Damaged("a block lies behind the end"));
            }
            let (now, later) = left.split_at_mut(length);
            match self.journal.place(block) {
                Some(place) => {
                    self.cache.read(place.block * size + from, now)?;
                    place.restore(from, now);
                }
                None => self.cache.read(block * size + from, now)?,
            }
            (block, from, left) = (block + blocks, 0, later);
        }
        Ok(())
    }

    /// One block.
    pub fn block(&self, number: u64) -> Result<Box<[u8]>, Ext4Error> {
        let bytes = fallible::zeroed(self.sb.block_size as usize);
        let mut bytes = bytes.map_err(|_| Ext4Error::OutOfMemory)?;
        self.read_blocks(number, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// An inode in use.
    pub fn inode(&self, number: u32) -> Result<Inode, Ext4Error> {
        let sb = &self.sb;
        if number == 0 || number > sb.inodes {
            return Err(Ext4Error::Damaged("there is no inode of such a number"));
        }
        let (group, index) =
            ((number - 1) / sb.inodes_per_group, (number - 1) % sb.inodes_per_group);
        let from = u64::from(index) * sb.inode_size as u64;
        let mut bytes = fallible::zeroed(sb.inode_size).map_err(|_| Ext4Error::OutOfMemory)?;
        self.read_blocks(self.inode_table(group)?, from, &mut bytes)?;
        Inode::parse(number, &bytes, sb)
    }

    /// The first block of the inodes of a group. Descriptors of groups follow the superblock.
    fn inode_table(&self, group: u32) -> Result<u64, Ext4Error> {
        let sb = &self.sb;
        let block_size = u64::from(sb.block_size);
        let mut bytes = [0; 1024];
        let bytes = bytes.get_mut(..sb.descriptor_size);
        let bytes = bytes.ok_or(Ext4Error::Damaged("descriptors of groups are too long"))?;
        let from = u64::from(group) * sb.descriptor_size as u64;
        self.read_blocks(superblock::AT / block_size + 1, from, bytes)?;
        if let Some(seed) = sb.checksum_seed {
            let crc = crc32c_without(crc32c(seed, &group.to_le_bytes()), bytes, 0x1e, 2);
            if crc as u16 != le16(bytes, 0x1e) {
                return Err(Ext4Error::Damaged("the checksum of a group is wrong"));
            }
        }
        Ok(wide(if sb.wide { le32(bytes, 0x28) } else { 0 }, le32(bytes, 0x8)))
    }

    /// Reads what the file has from `offset` on; less at the end.
    pub fn read(&self, inode: &Inode, offset: u64, into: &mut [u8]) -> Result<usize, Ext4Error> {
        let size = u64::from(self.sb.block_size);
        let left = inode.metadata.size.saturating_sub(offset);
        let wanted = usize::try_from(left).map_or(into.len(), |left| left.min(into.len()));
        let mut done = 0;
        while done < wanted {
            let at = offset + done as u64;
            let (block, from) = (at / size, at % size);
            let run = self.run(inode, block)?;
            let there = run.blocks.saturating_mul(size) - from;
            let length = (wanted - done).min(usize::try_from(there).unwrap_or(usize::MAX));
            let part = &mut into[done..done + length];
            match run.first {
                Some(first) => self.read_blocks(first, from, part)?,
                None => part.fill(0),
            }
            done += length;
        }
        Ok(done)
    }

    /// The first byte from `offset` on that is in a hole, or in none; the end is in a hole.
    pub fn find(&self, inode: &Inode, offset: u64, hole: bool) -> Result<Option<u64>, Ext4Error> {
        let (size, end) = (u64::from(self.sb.block_size), inode.metadata.size);
        let mut at = offset;
        while at < end {
            let run = self.run(inode, at / size)?;
            if run.first.is_none() == hole {
                return Ok(Some(at));
            }
            at = (at / size).saturating_add(run.blocks).saturating_mul(size);
        }
        Ok((hole && offset < end).then_some(end))
    }
}
