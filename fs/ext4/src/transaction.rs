//! What was changed and is not in the journal yet.
//!
//! Metadata is changed in copies of its blocks, which hide those on the disk until the transaction
//! is committed and a checkpoint has written them to their places. An operation changes all that
//! belongs to it or nothing: blocks are as before when it fails. Data is not here: it is on the disk before the
//! metadata that leads to it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ukfile::fallible;
use ukmap::SortedMap;

use crate::Ext4Error;
use crate::superblock;
use crate::volume::Volume;

/// Bytes of changed blocks that are kept in memory, and of those that are committed: half a mebibyte.
pub const MEMORY: usize = 512 << 10;
/// Blocks that one operation changes at most.
pub const ROOM: usize = 64;
/// How long changes wait, in nanoseconds, unless told otherwise: as on Linux.
pub const COMMIT_AFTER: u64 = 5_000_000_000;

/// The running transaction.
#[derive(Debug, Default)]
pub struct Transaction {
    /// Blocks that were changed.
    pub blocks: SortedMap<u64, Box<[u8]>>,
    /// Runs of blocks that were freed. Until this is committed a crash would bring back who had
    /// them: nobody gets them before.
    pub freed: Vec<(u64, u64)>,
    /// Freed blocks of metadata, whose content in the journal does not count any more.
    pub revoked: Vec<u64>,
    /// Groups whose bitmaps were changed: their checksums are made at the end.
    pub groups: SortedMap<u32, ()>,
    /// Whether more was changed than times.
    pub essential: bool,
    /// What the blocks that the running operation changed were before.
    undo: Vec<(u64, Option<Box<[u8]>>)>,
    /// When the first change was made, or data was written.
    since: Option<u64>,
}

impl Transaction {
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    fn roll_back(&mut self, freed: usize, revoked: usize) {
        while let Some((block, before)) = self.undo.pop() {
            match before {
                // There is room for it since it was noted.
                Some(before) => self.blocks.insert(block, before),
                None => self.blocks.remove(&block),
            };
        }
        self.freed.truncate(freed);
        self.revoked.truncate(revoked);
    }

    /// Notes what a block was, once for each operation.
    fn note(&mut self, block: u64) -> Result<(), Ext4Error> {
        if self.undo.iter().any(|(noted, _)| *noted == block) {
            return Ok(());
        }
        let no_memory = |_| Ext4Error::OutOfMemory;
        let before = self.blocks.get(&block).map(|bytes| fallible::copy(bytes));
        let before = before.transpose().map_err(no_memory)?;
        self.blocks.try_reserve(self.undo.len() + 1).map_err(|_| Ext4Error::OutOfMemory)?;
        fallible::push(&mut self.undo, (block, before)).map_err(no_memory)
    }
}

impl Volume {
    /// Does what belongs together: all of it or, when it fails, nothing. What was freed and not yet
    /// committed is made available when there is no space.
    pub fn operation<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, Ext4Error>,
    ) -> Result<T, Ext4Error> {
        self.must_be_writable()?;
        let now = ukplat::monotonic_ns();
        if self.commit_at().is_some_and(|at| at <= now) || self.is_full() {
            self.commit()?;
        }
        let mut result = self.attempt(&mut work);
        if matches!(result, Err(Ext4Error::NoSpace)) && !self.changes.freed.is_empty() {
            self.commit()?;
            result = self.attempt(&mut work);
        }
        let is_clean = self.changes.is_empty() && !self.cache.has_waiting();
        if self.changes.since.is_none() && !is_clean {
            self.changes.since = Some(now);
        }
        result
    }

    /// When what was changed is to be committed, on the monotonic clock.
    pub fn commit_at(&self) -> Option<u64> {
        self.changes.since.map(|since| since.saturating_add(self.commit_after))
    }

    fn attempt<T>(
        &mut self,
        work: &mut dyn FnMut(&mut Self) -> Result<T, Ext4Error>,
    ) -> Result<T, Ext4Error> {
        let (freed, revoked) = (self.changes.freed.len(), self.changes.revoked.len());
        let result = work(self);
        match &result {
            Ok(_) => self.changes.undo.clear(),
            Err(_) => self.changes.roll_back(freed, revoked),
        }
        result
    }

    /// Whether the running transaction should be committed before more is changed.
    pub fn is_full(&self) -> bool {
        let changes = &self.changes;
        let memory = (MEMORY / self.sb.block_size as usize).max(1);
        changes.blocks.len() >= memory
            || changes.blocks.len() + ROOM > self.log.as_ref().map_or(0, |log| log.room())
            || changes.freed.len() >= 1024
            || changes.revoked.len() >= 1024
    }

    /// A block to be changed.
    pub fn edit(&mut self, block: u64) -> Result<&mut [u8], Ext4Error> {
        self.changes.note(block)?;
        if !self.changes.blocks.contains_key(&block) {
            let bytes = self.block(block)?;
            let made = self.changes.blocks.try_insert(block, bytes);
            made.map_err(|_| Ext4Error::OutOfMemory)?;
        }
        self.changes.essential = true;
        self.changes.blocks.get_mut(&block).map(|bytes| &mut **bytes).ok_or(Ext4Error::OutOfMemory)
    }

    /// A block that gets new content, whatever it had.
    pub fn replace(&mut self, block: u64, bytes: &[u8]) -> Result<(), Ext4Error> {
        self.changes.note(block)?;
        let mut whole = fallible::zeroed(self.sb.block_size as usize);
        let whole = whole.as_mut().map_err(|_| Ext4Error::OutOfMemory)?;
        whole[..bytes.len()].copy_from_slice(bytes);
        let made = self.changes.blocks.try_insert(block, core::mem::take(whole));
        made.map_err(|_| Ext4Error::OutOfMemory)?;
        self.changes.essential = true;
        Ok(())
    }

    /// A block of metadata is used for that no more.
    pub fn forget_block(&mut self, block: u64) -> Result<(), Ext4Error> {
        self.changes.note(block)?;
        self.changes.blocks.remove(&block);
        fallible::push(&mut self.changes.revoked, block).map_err(|_| Ext4Error::OutOfMemory)
    }

    /// Where the superblock is.
    pub fn superblock_at(&self) -> (u64, usize) {
        let size = u64::from(self.sb.block_size);
        (superblock::AT / size, (superblock::AT % size) as usize)
    }

    /// The bytes of the superblock, to be changed. Its checksum is made at the end.
    pub fn edit_superblock(&mut self) -> Result<&mut [u8], Ext4Error> {
        let (block, from) = self.superblock_at();
        Ok(&mut self.edit(block)?[from..from + superblock::LENGTH])
    }

    /// The bytes of the superblock.
    pub fn superblock_bytes(&self) -> Result<[u8; superblock::LENGTH], Ext4Error> {
        let (block, from) = self.superblock_at();
        let mut bytes = [0; superblock::LENGTH];
        self.read_blocks(block, from as u64, &mut bytes)?;
        Ok(bytes)
    }

    /// Why nothing can be written, if so.
    pub fn must_be_writable(&self) -> Result<(), Ext4Error> {
        match (&self.log, self.failed) {
            (_, true) => Err(Ext4Error::ReadOnly("the journal could not be written")),
            (Some(_), _) => Ok(()),
            (None, _) => Err(Ext4Error::ReadOnly(self.sb.only_read.unwrap_or("as asked for"))),
        }
    }
}

impl Transaction {
    /// What was changed until now stays, whatever comes of the next operation.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// Nothing was changed, and the data is on the disk.
    pub fn settle(&mut self) {
        self.since = None;
    }

    /// All of it is in the journal. `committed` gets the blocks, for which it has room, and forgets
    /// those whose content does not count any more: they may become data, which is written to its
    /// place at once.
    pub fn finish(&mut self, committed: &mut SortedMap<u64, Box<[u8]>>) {
        let Self { blocks, revoked, .. } = core::mem::take(self);
        for block in revoked {
            committed.remove(&block);
        }
        for (block, bytes) in blocks {
            committed.insert(block, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use ukfile::{Kind, Timestamp};
    use vfs::New;

    use super::*;
    use crate::index::disks;
    use crate::inode::ROOT;
    use crate::insert::tests::Disk;

    /// Data that replaces other data changes no block of metadata when it comes soon enough.
    #[test]
    fn data_alone_waits_no_longer_than_metadata() {
        if !disks::tools() {
            return;
        }
        let disk = Disk(Arc::new(Mutex::new(disks::make(&["-t", "ext4", "-b", "1024"], "4M"))));
        let mut volume = Volume::new(Box::new(disk.clone())).unwrap();
        volume.make_writable().unwrap();
        let kind = Kind::Regular;
        let new = New { kind, permissions: 0o600, user: 0, group: 0, special: 0, target: b"" };
        let file = volume.create(ROOT, b"file", &new).unwrap();
        let now = Timestamp { seconds: 1_000_000_000, nanoseconds: 0 };
        volume.write_file(file, 0, &[1; 1024], now).unwrap();
        volume.commit().unwrap();
        assert_eq!(volume.commit_at(), None);
        let there = |byte: u8| disk.0.lock().unwrap().chunks(1024).any(|b| *b == [byte; 1024]);
        volume.write_file(file, 0, &[0x5a; 1024], now).unwrap();
        assert!(volume.changes.is_empty() && there(1) && !there(0x5a));
        assert!(volume.commit_at().is_some());
        // What comes next after that time.
        volume.commit_after = 0;
        volume.operation(|_| Ok(())).unwrap();
        assert!(there(0x5a) && !there(1));
        assert_eq!(volume.commit_at(), None);
    }
}
