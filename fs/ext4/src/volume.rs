//! What is on the disk, by block and by inode.

use alloc::boxed::Box;

use ukfile::fallible;
use ukmap::SortedMap;

use crate::Ext4Error;
use crate::cache::{Cache, RUN, Source};
use crate::inode::Inode;
use crate::journal::Journal;
use crate::log::Log;
use crate::superblock::{self, RECOVER, Superblock};
use crate::transaction::{COMMIT_AFTER, Transaction};

/// A file system as it lies on its disk.
#[derive(Debug)]
pub struct Volume {
    pub cache: Cache,
    pub sb: Superblock,
    /// Blocks whose newest content is in the journal.
    pub journal: Journal,
    /// What was changed and is not in the journal yet.
    pub changes: Transaction,
    /// Blocks that are in the journal with this content and not yet in their places, which a
    /// checkpoint changes.
    pub committed: SortedMap<u64, Box<[u8]>>,
    /// The journal for writing; `None` when nothing can be written.
    pub log: Option<Log>,
    /// A transaction could not be written: nothing is written any more.
    pub failed: bool,
    /// How long changes wait, in nanoseconds.
    pub commit_after: u64,
}

impl Volume {
    /// Looks what is there, and reads the journal if it was not finished.
    pub fn new(source: Box<dyn Source>) -> Result<Self, Ext4Error> {
        let mut cache = Cache::new(source);
        let mut bytes = [0; superblock::LENGTH];
        if cache.bytes() < superblock::AT + superblock::LENGTH as u64 {
            return Err(Ext4Error::Other);
        }
        cache.read(superblock::AT, &mut bytes)?;
        let sb = Superblock::parse(&bytes, cache.bytes())?;
        cache.set_block_size(sb.block_size);
        let (journal, changes) = (Journal::default(), Transaction::default());
        let commit_after = COMMIT_AFTER;
        let mut volume = Self {
            cache,
            sb,
            journal,
            changes,
            committed: SortedMap::new(),
            log: None,
            failed: false,
            commit_after,
        };
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

    /// The newest content of a block that is not in its place yet.
    fn in_memory(&self, block: u64) -> Option<&[u8]> {
        self.changes.blocks.get(&block).or_else(|| self.committed.get(&block)).map(|bytes| &**bytes)
    }

    /// The first of these blocks from `block` on.
    fn next_in_memory(&self, block: u64) -> Option<u64> {
        let next = |blocks: &SortedMap<u64, _>| blocks.range_from(&block).next().map(|(at, _)| *at);
        next(&self.changes.blocks).into_iter().chain(next(&self.committed)).min()
    }

    /// Fills `into` from the byte `from` on of what begins with block `block`.
    pub fn read_blocks(&self, block: u64, from: u64, into: &mut [u8]) -> Result<(), Ext4Error> {
        let size = u64::from(self.sb.block_size);
        let (mut block, mut from) = (block.saturating_add(from / size), from % size);
        let mut left = into;
        while !left.is_empty() {
            // All at once, unless a block of them is elsewhere.
            let last = block.saturating_add((from + left.len() as u64).div_ceil(size));
            let is_here = self.next_in_memory(block).is_none_or(|next| next >= last);
            let length = if self.journal.is_empty() && is_here {
                left.len()
            } else {
                left.len().min((size - from) as usize)
            };
            let blocks = (from + length as u64).div_ceil(size);
            if block.checked_add(blocks).is_none_or(|end| end > self.sb.blocks) {
                return Err(Ext4Error::Damaged("a block lies behind the end"));
            }
            let (now, later) = left.split_at_mut(length);
            let changed = if is_here { None } else { self.in_memory(block) };
            match (changed, self.journal.place(block)) {
                (Some(bytes), _) => {
                    now.copy_from_slice(&bytes[from as usize..from as usize + length]);
                }
                (None, Some(place)) => {
                    self.cache.read(place.block * size + from, now)?;
                    place.restore(from, now);
                }
                (None, None) => self.cache.read(block * size + from, now)?,
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
        let bytes = self.inode_bytes(number)?;
        Inode::parse(number, &bytes, &self.sb)
    }

    /// The bytes of an inode.
    pub fn inode_bytes(&self, number: u32) -> Result<Box<[u8]>, Ext4Error> {
        let (block, from) = self.inode_at(number)?;
        let bytes = fallible::zeroed(self.sb.inode_size);
        let mut bytes = bytes.map_err(|_| Ext4Error::OutOfMemory)?;
        self.read_blocks(block, from as u64, &mut bytes)?;
        Ok(bytes)
    }

    /// The block in which an inode is, and where there.
    pub fn inode_at(&self, number: u32) -> Result<(u64, usize), Ext4Error> {
        let sb = &self.sb;
        if number == 0 || number > sb.inodes {
            return Err(Ext4Error::Damaged("there is no inode of such a number"));
        }
        let (group, index) =
            ((number - 1) / sb.inodes_per_group, (number - 1) % sb.inodes_per_group);
        let at = u64::from(index) * sb.inode_size as u64;
        let size = u64::from(sb.block_size);
        let table = self.group(group)?.inode_table();
        let block = table.checked_add(at / size);
        let block = block.ok_or(Ext4Error::Damaged("a block lies behind the end"))?;
        Ok((block, (at % size) as usize))
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

    /// Writes `bytes` to where they begin `from` bytes behind the start of a block. The rest
    /// of the first and of the last block stays as it is, or becomes zeros when they are `fresh`.
    pub fn write_range(
        &self,
        block: u64,
        from: u64,
        bytes: &[u8],
        fresh: bool,
    ) -> Result<(), Ext4Error> {
        let size = self.sb.block_size as usize;
        let mut block = block.saturating_add(from / size as u64);
        let (mut from, mut bytes) = ((from % size as u64) as usize, bytes);
        while !bytes.is_empty() {
            let at = block.saturating_mul(size as u64);
            let whole = bytes.len() / size * size;
            if from == 0 && (whole == bytes.len() || whole > RUN) {
                self.cache.write(at, &bytes[..whole])?;
                (block, bytes) = (block + (whole / size) as u64, &bytes[whole..]);
                continue;
            }
            // With the rest of the first and of the last block; without memory one after the other.
            let all = (from + bytes.len()).next_multiple_of(size).min(RUN);
            let run = fallible::zeroed(all).or_else(|_| fallible::zeroed(size));
            let mut run = run.map_err(|_| Ext4Error::OutOfMemory)?;
            let (now, later) = bytes.split_at(bytes.len().min(run.len() - from));
            let end = from + now.len();
            let last = end / size * size;
            if !fresh && (from > 0 || last == 0) {
                self.cache.read(at, &mut run[..size])?;
            }
            if !fresh && last > 0 && last < end {
                self.cache.read(at + last as u64, &mut run[last..])?;
            }
            run[from..end].copy_from_slice(now);
            self.cache.write(at, &run)?;
            (block, from, bytes) = (block + (run.len() / size) as u64, 0, later);
        }
        Ok(())
    }
}
