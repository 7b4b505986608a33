//! The journal while it is written (jbd2).
//!
//! It is written from its beginning on, and once more from there when it is full: a checkpoint has
//! written all that is in it to its place by then. A transaction is descriptors with copies of blocks,
//! lists of blocks whose earlier copies do not count, a flush, and the block that commits it.

use alloc::vec::Vec;

use ukfile::fallible;
use ukmap::SortedMap;

use crate::Ext4Error;
use crate::bytes::{be32, crc32c, crc32c_without, put_be16, put_be32};
use crate::cache::RUN;
use crate::inode::Inode;
use crate::journal::{
    CHECKSUMS_3, COMMIT, DESCRIPTOR, ESCAPED, HEAD, Journal, KNOWN, LAST, MAGIC, REVOKE, REVOKES,
    SAME, SUPERBLOCK, SUPERBLOCK_2, WIDE, read_superblock,
};
use crate::map::Run;
use crate::superblock::RECOVER;
use crate::transaction::MEMORY;
use crate::volume::Volume;

/// Where the journal is, and how far it is written.
#[derive(Debug)]
pub struct Log {
    /// Blocks of it from its block 0 on.
    runs: Vec<(u64, u64)>,
    superblock: Vec<u8>,
    features: u32,
    seed: Option<u32>,
    first: u32,
    end: u32,
    /// The next block that is written.
    head: u32,
    /// The number of the next transaction.
    sequence: u32,
    /// Whether its superblock names where it begins now.
    is_begun: bool,
    /// Whether the file system's superblock says that it has to be read.
    is_needed: bool,
}

const DAMAGED: Ext4Error = Ext4Error::Damaged("its journal contradicts itself");

impl Log {
    /// The journal of a volume whose transactions are all in place. The next one gets `sequence`,
    /// or the number that the journal names.
    pub fn open(volume: &Volume, inode: &Inode, sequence: Option<u32>) -> Result<Self, Ext4Error> {
        let size = volume.sb.block_size;
        let mut superblock = Vec::new();
        superblock.try_reserve_exact(SUPERBLOCK).map_err(|_| Ext4Error::OutOfMemory)?;
        superblock.resize(SUPERBLOCK, 0);
        read_superblock(volume, inode, &mut superblock)?;
        if be32(&superblock, 4) != SUPERBLOCK_2 || be32(&superblock, 0x28) & !KNOWN != 0 {
            return Err(Ext4Error::ReadOnly(
                "its journal is of a kind that is only known for reading",
            ));
        }
        if be32(&superblock, 0x20) != 0 {
            return Err(Ext4Error::ReadOnly("its journal was given up; repair it with e2fsck -f"));
        }
        let [end, first] = [0x10, 0x14].map(|at| be32(&superblock, at));
        let blocks = (inode.metadata.size / u64::from(size)).min(volume.sb.blocks);
        if first == 0 || first >= end || u64::from(end) > blocks {
            return Err(DAMAGED);
        }
        let mut runs = Vec::new();
        let mut at = 0;
        while at < u64::from(end) {
            let Run { first, blocks } = volume.run(inode, at)?;
            let run = (first.ok_or(DAMAGED)?, blocks.min(u64::from(end) - at));
            fallible::push(&mut runs, run).map_err(|_| Ext4Error::OutOfMemory)?;
            at += run.1;
        }
        let mut features = be32(&superblock, 0x28) & WIDE | REVOKES;
        if volume.sb.wide {
            features |= WIDE;
        }
        if volume.sb.checksum_seed.is_some() {
            features |= CHECKSUMS_3;
        }
        let seed = volume.sb.checksum_seed.map(|_| crc32c(!0, &superblock[0x30..0x40]));
        // Those that other systems had set do not hold for what is written from now on.
        put_be32(&mut superblock, 0x24, 0);
        put_be32(&mut superblock, 0x28, features);
        // CRC-32C is number 4 here.
        superblock[0x50] = if seed.is_some() { 4 } else { 0 };
        let sequence = sequence.unwrap_or(be32(&superblock, 0x18)).max(1);
        Ok(Self {
            runs,
            superblock,
            features,
            seed,
            first,
            end,
            head: first,
            sequence,
            is_begun: false,
            is_needed: false,
        })
    }

    /// Blocks that a transaction may have, with some left for descriptors.
    pub fn room(&self) -> usize {
        let all = (self.end - self.first) as usize;
        all - all / 8
    }

    /// Where a block of the journal is on the disk, and how many follow.
    fn place(&self, at: u32) -> Result<(u64, u64), Ext4Error> {
        let mut at = u64::from(at);
        for (first, blocks) in &self.runs {
            if at < *blocks {
                return Ok((first + at, blocks - at));
            }
            at -= blocks;
        }
        Err(DAMAGED)
    }

    /// The superblock as it is to be written, to what block.
    fn superblock(&mut self, start: u32) -> Result<(u64, &[u8]), Ext4Error> {
        put_be32(&mut self.superblock, 0x18, self.sequence);
        put_be32(&mut self.superblock, 0x1c, start);
        let crc =
            if self.seed.is_some() { crc32c_without(!0, &self.superblock, 0xfc, 4) } else { 0 };
        put_be32(&mut self.superblock, 0xfc, crc);
        Ok((self.place(0)?.0, &self.superblock))
    }

    fn tag_length(&self) -> usize {
        match (self.features & CHECKSUMS_3 != 0, self.features & WIDE != 0) {
            (true, _) => 16,
            (false, true) => 12,
            (false, false) => 8,
        }
    }

    /// Bytes of a descriptor or of a list that can be used.
    fn usable(&self, block_size: usize) -> usize {
        block_size - if self.seed.is_some() { 4 } else { 0 }
    }

    /// Copies that are written at once, behind a descriptor of their own.
    fn copies_at_once(&self, block_size: usize) -> usize {
        // The first tag is followed by 16 bytes.
        let tags = (self.usable(block_size) - HEAD - 16) / self.tag_length();
        tags.min((RUN / block_size).max(2))
    }

    fn revokes_in(&self, block_size: usize) -> usize {
        (self.usable(block_size) - HEAD - 4) / self.revoke_length()
    }

    fn revoke_length(&self) -> usize {
        if self.features & WIDE != 0 { 8 } else { 4 }
    }

    fn header(&self, block: &mut [u8], kind: u32) {
        put_be32(block, 0, MAGIC);
        put_be32(block, 4, kind);
        put_be32(block, 8, self.sequence);
    }

    fn seal(&self, block: &mut [u8], at: usize) {
        if let Some(seed) = self.seed {
            put_be32(block, at, 0);
            let crc = crc32c(seed, block);
            put_be32(block, at, crc);
        }
    }

    fn put_tag(&self, descriptor: &mut [u8], at: usize, block: u64, copy: &[u8], flags: u32) {
        let (low, high) = (block as u32, (block >> 32) as u32);
        put_be32(descriptor, at, low);
        if self.features & CHECKSUMS_3 != 0 {
            put_be32(descriptor, at + 4, flags);
            put_be32(descriptor, at + 8, high);
            let seed = self.seed.unwrap_or_default();
            let crc = crc32c(crc32c(seed, &self.sequence.to_be_bytes()), copy);
            put_be32(descriptor, at + 12, crc);
        } else {
            put_be16(descriptor, at + 6, flags as u16);
            if self.features & WIDE != 0 {
                put_be32(descriptor, at + 8, high);
            }
        }
    }
}

impl Volume {
    /// Writes to their places the blocks whose newest content is in the journal, deletes what was
    /// open without a name, and gets ready for writing.
    ///
    /// # Errors
    /// [`Ext4Error::ReadOnly`] with the reason why it can only be read; nothing was written then.
    pub fn make_writable(&mut self) -> Result<(), Ext4Error> {
        if let Some(why) = self.sb.only_read {
            return Err(Ext4Error::ReadOnly(why));
        }
        if let Some(why) = self.cache.only_read(self.sb.block_size) {
            return Err(Ext4Error::ReadOnly(why));
        }
        if self.sb.journal == 0 {
            return Err(Ext4Error::ReadOnly("its journal is on another disk"));
        }
        let inode = self.inode(self.sb.journal)?;
        let mut log = Log::open(self, &inode, self.journal.sequence)?;
        let was_used = self.sb.features & RECOVER != 0;
        if was_used {
            self.replay()?;
            log.is_needed = true;
            self.settle_log(&mut log)?;
            self.sb.features &= !RECOVER;
        } else {
            self.forget_log(&mut log)?;
        }
        self.log = Some(log);
        if was_used {
            self.operation(Self::count_free)?;
        }
        self.delete_orphans()?;
        self.settle()
    }

    /// Empties a journal with transactions in it that somebody declared void, by the file system's superblock
    /// alone: behind the ones that are written from now on nobody may find those.
    fn forget_log(&self, log: &mut Log) -> Result<(), Ext4Error> {
        if be32(&log.superblock, 0x1c) != 0 {
            // There are no more of them than blocks.
            log.sequence = log.sequence.wrapping_add(log.end).max(1);
            self.write_log_superblock(log, 0)?;
            self.cache.flush()?;
        }
        Ok(())
    }

    /// Writes to their places the blocks whose newest content is in the journal.
    fn replay(&mut self) -> Result<(), Ext4Error> {
        for index in 0.. {
            let Some(block) = self.journal.block(index) else { break };
            let bytes = self.block(block)?;
            let noted = self.committed.try_insert(block, bytes);
            noted.map_err(|_| Ext4Error::OutOfMemory)?;
            if self.committed_bytes() >= RUN {
                self.checkpoint()?;
            }
        }
        self.checkpoint()?;
        self.journal = Journal::default();
        Ok(())
    }

    /// Makes all changes survive a crash. Without memory for that, what was read makes room.
    pub fn commit(&mut self) -> Result<(), Ext4Error> {
        match self.try_to_commit() {
            Err(Ext4Error::OutOfMemory) if self.cache.forget_lines() => self.try_to_commit(),
            result => result,
        }
    }

    fn try_to_commit(&mut self) -> Result<(), Ext4Error> {
        self.must_be_writable()?;
        if self.changes.is_empty() {
            self.flush()?;
            self.changes.settle();
            return Ok(());
        }
        let sealed = self.seal_metadata();
        self.changes.keep();
        let result = sealed.and_then(|()| self.commit_to_log());
        self.rely_on(result)?;
        self.changes.finish(&mut self.committed);
        if self.committed_bytes() < MEMORY {
            return Ok(());
        }
        match self.checkpoint() {
            // It is committed all the same; the next one tries again.
            Err(Ext4Error::OutOfMemory) => Ok(()),
            result => self.rely_on(result),
        }
    }

    fn committed_bytes(&self) -> usize {
        self.committed.len() * self.sb.block_size as usize
    }

    /// Writes to their places the blocks that are in the journal. They are not flushed then.
    fn checkpoint(&mut self) -> Result<(), Ext4Error> {
        if !self.committed.is_empty() {
            self.cache.write_blocks(self.sb.block_size.into(), &self.committed)?;
            self.committed = SortedMap::new();
        }
        Ok(())
    }

    /// Makes all that was written survive a loss of power.
    pub fn flush(&mut self) -> Result<(), Ext4Error> {
        let result = self.cache.flush();
        self.rely_on(result)
    }

    /// When the disk does not do what everything else relies on, it has a state of before, or what
    /// was written to it is lost: nothing is added to that. Without memory nothing was committed,
    /// and it can be tried again.
    fn rely_on(&mut self, result: Result<(), Ext4Error>) -> Result<(), Ext4Error> {
        if let Err(error) = result
            && error != Ext4Error::OutOfMemory
            && !self.failed
        {
            self.failed = true;
            // Maybe nobody asks for long.
            ukplat::eprintln!("ext4: nothing is written to the disk any more: {}", error);
        }
        result
    }

    fn commit_to_log(&mut self) -> Result<(), Ext4Error> {
        let Some(mut log) = self.log.take() else { return Err(DAMAGED) };
        let result = self.write_transaction(&mut log);
        self.log = Some(log);
        result
    }

    fn write_transaction(&mut self, log: &mut Log) -> Result<(), Ext4Error> {
        let size = self.sb.block_size as usize;
        let blocks = self.changes.blocks.len();
        let needed = blocks
            + blocks.div_ceil(log.copies_at_once(size))
            + self.changes.revoked.len().div_ceil(log.revokes_in(size))
            + 1;
        if needed > (log.end - log.first) as usize {
            return Err(Ext4Error::Unsupported("its journal is too small"));
        }
        if needed > (log.end - log.head) as usize {
            // All that is in it comes to its place, and stays there.
            self.checkpoint()?;
            self.cache.flush()?;
            log.head = log.first;
            log.is_begun = false;
        }
        if !log.is_needed {
            self.write_recover_flag(true)?;
            self.cache.flush()?;
            log.is_needed = true;
        }
        if !log.is_begun {
            self.write_log_superblock(log, log.first)?;
            // Before anything that the old one leads to is overwritten.
            self.cache.flush()?;
            log.is_begun = true;
        }
        // What is committed has to be kept.
        if self.committed.try_reserve(blocks).is_err() {
            self.checkpoint()?;
            self.committed.try_reserve(blocks).map_err(|_| Ext4Error::OutOfMemory)?;
        }
        let head = log.head;
        let result = self.write_to_log(log, size);
        if result.is_err() {
            // Whatever is there now has no commit block.
            log.head = head;
            return result;
        }
        log.sequence = log.sequence.wrapping_add(1);
        Ok(())
    }

    fn write_to_log(&self, log: &mut Log, size: usize) -> Result<(), Ext4Error> {
        let mut commit = fallible::zeroed(size).map_err(|_| Ext4Error::OutOfMemory)?;
        self.write_revocations(log)?;
        self.write_copies(log)?;
        self.cache.flush()?;
        log.header(&mut commit, COMMIT);
        let now = ukplat::wall_ns();
        put_be32(&mut commit, 0x34, (now / 1_000_000_000) as u32);
        put_be32(&mut commit, 0x38, (now % 1_000_000_000) as u32);
        log.seal(&mut commit, 0x10);
        // One that waits after a failure might be on the disk before the blocks of another attempt.
        let (block, _) = log.place(log.head)?;
        self.cache.write_through(block * size as u64, &commit)?;
        log.head += 1;
        self.cache.flush()
    }

    /// Writes blocks to where the journal ends.
    fn append(&self, log: &mut Log, mut bytes: &[u8]) -> Result<(), Ext4Error> {
        let size = u64::from(self.sb.block_size);
        while !bytes.is_empty() {
            let (block, blocks) = log.place(log.head)?;
            let length = (blocks * size).min(bytes.len() as u64);
            let (now, later) = bytes.split_at(length as usize);
            self.cache.write(block * size, now)?;
            log.head += (length / size) as u32;
            bytes = later;
        }
        Ok(())
    }

    fn write_revocations(&self, log: &mut Log) -> Result<(), Ext4Error> {
        let size = self.sb.block_size as usize;
        let width = log.revoke_length();
        for part in self.changes.revoked.chunks(log.revokes_in(size)) {
            let mut list = fallible::zeroed(size).map_err(|_| Ext4Error::OutOfMemory)?;
            log.header(&mut list, REVOKE);
            put_be32(&mut list, HEAD, (HEAD + 4 + part.len() * width) as u32);
            for (block, at) in part.iter().zip((HEAD + 4..).step_by(width)) {
                if width == 8 {
                    put_be32(&mut list, at, (block >> 32) as u32);
                }
                put_be32(&mut list, at + width - 4, *block as u32);
            }
            log.seal(&mut list, size - 4);
            self.append(log, &list)?;
        }
        Ok(())
    }

    fn write_copies(&self, log: &mut Log) -> Result<(), Ext4Error> {
        let size = self.sb.block_size as usize;
        let per = log.copies_at_once(size);
        let mut blocks = self.changes.blocks.iter();
        let mut left = self.changes.blocks.len();
        while left > 0 {
            let count = left.min(per);
            left -= count;
            let bytes = fallible::zeroed((count + 1) * size);
            let mut bytes = bytes.map_err(|_| Ext4Error::OutOfMemory)?;
            let (descriptor, copies) = bytes.split_at_mut(size);
            log.header(descriptor, DESCRIPTOR);
            let mut at = HEAD;
            for (index, (copy, (block, content))) in
                copies.chunks_exact_mut(size).zip(blocks.by_ref()).enumerate()
            {
                copy.copy_from_slice(content);
                let mut flags = if index == 0 { 0 } else { SAME };
                if be32(copy, 0) == MAGIC {
                    copy[..4].fill(0);
                    flags |= ESCAPED;
                }
                if index + 1 == count {
                    flags |= LAST;
                }
                log.put_tag(descriptor, at, *block, copy, flags);
                at += log.tag_length();
                if index == 0 {
                    descriptor[at..at + 16].copy_from_slice(&log.superblock[0x30..0x40]);
                    at += 16;
                }
            }
            log.seal(descriptor, size - 4);
            self.append(log, &bytes)?;
        }
        Ok(())
    }

    fn write_log_superblock(&self, log: &mut Log, start: u32) -> Result<(), Ext4Error> {
        let (block, superblock) = log.superblock(start)?;
        self.write_range(block, 0, superblock, false)
    }

    /// Says in the superblock on the disk whether the journal has to be read.
    fn write_recover_flag(&self, needed: bool) -> Result<(), Ext4Error> {
        use crate::superblock::{AT, LENGTH, set_recover};
        let mut bytes = [0; LENGTH];
        self.cache.read(AT, &mut bytes)?;
        set_recover(&mut bytes, needed, self.sb.checksum_seed.is_some());
        let (block, from) = self.superblock_at();
        self.write_range(block, from as u64, &bytes, false)
    }

    /// Commits, and leaves the disk so that nobody needs the journal. Without memory for the latter
    /// it is needed still, as it was before: what is committed survives all the same.
    pub fn settle(&mut self) -> Result<(), Ext4Error> {
        if self.log.is_none() || self.failed {
            return Ok(());
        }
        self.commit()?;
        let result = match self.checkpoint().and_then(|()| self.settle_journal()) {
            Err(Ext4Error::OutOfMemory) => Ok(()),
            result => result,
        };
        // Else transactions might go to a journal that nobody reads any more.
        self.rely_on(result)
    }

    fn settle_journal(&mut self) -> Result<(), Ext4Error> {
        let Some(mut log) = self.log.take() else { return Ok(()) };
        let result = self.settle_log(&mut log);
        self.log = Some(log);
        result
    }

    fn settle_log(&self, log: &mut Log) -> Result<(), Ext4Error> {
        self.cache.flush()?;
        if !log.is_needed {
            return Ok(());
        }
        (log.head, log.is_begun) = (log.first, false);
        self.write_log_superblock(log, 0)?;
        self.cache.flush()?;
        // Before it is so: when this fails, the next transaction announces the journal once more.
        log.is_needed = false;
        self.write_recover_flag(false)?;
        self.cache.flush()
    }
}
