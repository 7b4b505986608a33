//! Entries of directories in the order of the hashes of their names.
//!
//! Where a directory with a hash tree has a name changes when one of its blocks is split; the hash of
//! the name does not. Who lists such a directory while it grows finds each name once: positions are
//! hashes. So they are in a directory of one block, which becomes a tree when it grows. One whose
//! tree contradicts itself is listed from its first block to its last.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ukfile::fallible;

use crate::Ext4Error;
use crate::bytes::crc32c;
use crate::directory::{DAMAGED, DirectoryEntry};
use crate::hash;
use crate::inode::Inode;
use crate::volume::Volume;

/// Blocks with the same hash at their ends whose entries are put in order together.
const MOST: usize = 8;
/// Low bits of a position that tell entries apart which are alike in all others.
const ALIKE: u64 = 0xf;

type Visit<'a> = &'a mut dyn FnMut(&DirectoryEntry<'_>) -> Result<bool, Ext4Error>;

impl Volume {
    /// Visits the entries from position `from` of a directory on, without `.` and `..`, until `visit`
    /// returns false. Positions are larger than 2, but 0 where it begins; each entry has the same one
    /// while it is there.
    pub fn list(&self, directory: &Inode, from: u64, visit: Visit<'_>) -> Result<(), Ext4Error> {
        if let Some(version) = self.order_of_one_block(directory) {
            let Some(block) = self.run(directory, 0)?.first else { return Ok(()) };
            let bytes = self.block(block)?;
            self.has_entries(directory, 0, &bytes)?;
            return self.list_together(version, &[bytes], from, visit).map(drop);
        }
        // Where entries are in the directory, as it is told without a tree, is a multiple of 4.
        let is_place = from > 0 && from.is_multiple_of(4) && from <= directory.metadata.size;
        let uses_tree = if from == 0 { self.has_whole_tree(directory)? } else { !is_place };
        let Some(mut path) = self.tree(directory)?.filter(|_| uses_tree) else {
            return self.entries(directory, from, visit);
        };
        let hash = ((from >> 32) << 1) as u32;
        let mut next = Some(self.descend(directory, &mut path, Some(hash))?.ok_or(DAMAGED)?);
        // Each block of entries is there once.
        let mut left = self.blocks_of(directory.metadata.size)?;
        while let Some(mut at) = next {
            let mut blocks = Vec::new();
            next = loop {
                left = left.checked_sub(1).ok_or(DAMAGED)?;
                let (_, bytes) = self.tree_leaf(directory, at)?.ok_or(DAMAGED)?;
                fallible::push(&mut blocks, bytes).map_err(|_| Ext4Error::OutOfMemory)?;
                let Some(hash) = path.advance() else { break None };
                at = self.descend(directory, &mut path, None)?.ok_or(DAMAGED)?;
                // The lowest bit: the block before has names with the same hash.
                if hash & 1 == 0 || blocks.len() >= MOST {
                    break Some(at);
                }
            };
            if !self.list_together(path.version, &blocks, from, visit)? {
                break;
            }
        }
        Ok(())
    }

    /// The function of the hashes when the directory has one block and will have a tree.
    fn order_of_one_block(&self, directory: &Inode) -> Option<u8> {
        let is_small = directory.metadata.size == u64::from(self.sb.block_size);
        let version = self.sb.new_trees.filter(|_| is_small && !directory.has_index());
        version.filter(|version| hash::is_known(&self.sb, *version))
    }

    /// Visits the entries of some blocks in order. Whether to go on.
    fn list_together(
        &self,
        version: u8,
        blocks: &[Box<[u8]>],
        from: u64,
        visit: Visit<'_>,
    ) -> Result<bool, Ext4Error> {
        let mut entries = Vec::new();
        for block in blocks {
            self.in_block(block, 0, 0, &mut |entry| {
                let position = self.position(version, entry.name)?;
                if position | ALIKE >= from {
                    let pushed = fallible::push(&mut entries, (position, *entry));
                    pushed.map_err(|_| Ext4Error::OutOfMemory)?;
                }
                Ok(true)
            })?;
        }
        entries.sort_unstable_by_key(|(position, entry)| (*position, entry.name));
        let (mut before, mut alike) = (0, 0);
        for (position, entry) in entries {
            alike = if position == before { (alike + 1).min(ALIKE) } else { 0 };
            before = position;
            let position = position + alike;
            if position >= from && !visit(&DirectoryEntry { next: position + 1, ..entry })? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where an entry is in the order: its hash, and more for those with the same one.
    fn position(&self, version: u8, name: &[u8]) -> Result<u64, Ext4Error> {
        let hash = hash::of_name(&self.sb, version, name).ok_or(DAMAGED)?;
        let more = crc32c(!0, name) >> 4 | 1;
        Ok(u64::from(hash >> 1) << 32 | u64::from(more) << 4)
    }
}
