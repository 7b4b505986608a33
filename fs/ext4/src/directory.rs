//! Entries of directories.

use alloc::boxed::Box;

use ukfile::{Kind, fallible};

use crate::Ext4Error;
use crate::bytes::{crc32c, le16, le32};
use crate::index::Search;
use crate::inode::Inode;
use crate::superblock::FILE_TYPE;
use crate::volume::Volume;

/// Bytes of an entry before its name.
pub const HEAD: usize = 8;
/// Bytes of the entry without a name at the end of a block, which has the block's checksum.
pub const TAIL: usize = 12;

pub const DAMAGED: Ext4Error = Ext4Error::Damaged("a directory contradicts itself");

/// An entry.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryEntry<'a> {
    pub name: &'a [u8],
    pub inode: u32,
    /// `None` when only the inode tells.
    pub kind: Option<Kind>,
    /// The position from which on what comes after this entry is found.
    pub next: u64,
}

impl Volume {
    /// Visits the entries from byte `from` of a directory on, without `.` and `..`, until `visit`
    /// returns false, in the order of their blocks.
    pub fn entries(
        &self,
        directory: &Inode,
        from: u64,
        visit: &mut dyn FnMut(&DirectoryEntry<'_>) -> Result<bool, Ext4Error>,
    ) -> Result<(), Ext4Error> {
        let size = u64::from(self.sb.block_size);
        let blocks = self.blocks_of(directory.metadata.size)?;
        let bytes = fallible::zeroed(self.sb.block_size as usize);
        let mut bytes = bytes.map_err(|_| Ext4Error::OutOfMemory)?;
        let mut block = from / size;
        while block < blocks {
            let run = self.run(directory, block)?;
            let Some(first) = run.first else {
                // Nothing is in a hole.
                block = block.saturating_add(run.blocks);
                continue;
            };
            self.read_blocks(first, 0, &mut bytes)?;
            if self.has_entries(directory, block, &bytes)?
                && !self.in_block(&bytes, block * size, from, &mut |entry| visit(entry))?
            {
                return Ok(());
            }
            block += 1;
        }
        Ok(())
    }

    /// How many blocks a directory of such a size has: not more than the disk, for nobody to go
    /// through the same ones again and again.
    pub fn blocks_of(&self, size: u64) -> Result<u64, Ext4Error> {
        let blocks = size / u64::from(self.sb.block_size);
        if blocks <= self.sb.blocks { Ok(blocks) } else { Err(DAMAGED) }
    }

    /// Whether it is a block of entries: a directory with a hash tree has others. Checks the
    /// checksum.
    pub fn has_entries(&self, directory: &Inode, at: u64, block: &[u8]) -> Result<bool, Ext4Error> {
        let has_checksum = directory.seed.is_some();
        if directory.has_index() && (at == 0 || self.is_node(block, has_checksum)) {
            return Ok(false);
        }
        if let Some(seed) = directory.seed {
            let (before, tail) = block.split_at(block.len() - TAIL);
            let is_tail = tail[..8] == [0, 0, 0, 0, TAIL as u8, 0, 0, 0xde];
            if !is_tail || crc32c(seed, before) != le32(tail, 8) {
                return Err(Ext4Error::Damaged("the checksum of a directory is wrong"));
            }
        }
        Ok(true)
    }

    /// Bytes of an entry; 65536 do not fit, and are written as others that are impossible.
    pub fn record_length(&self, entry: &[u8]) -> usize {
        match le16(entry, 4) {
            0 | 0xffff if self.sb.block_size == 1 << 16 => 1 << 16,
            length => length.into(),
        }
    }

    /// Visits entries of a block that begins at byte `start` of the directory.
    pub fn in_block<'a>(
        &self,
        block: &'a [u8],
        start: u64,
        from: u64,
        visit: &mut dyn FnMut(&DirectoryEntry<'a>) -> Result<bool, Ext4Error>,
    ) -> Result<bool, Ext4Error> {
        let mut at = 0;
        while at < block.len() {
            let rest = block.get(at..).filter(|rest| rest.len() >= HEAD).ok_or(DAMAGED)?;
            let (inode, length) = (le32(rest, 0), self.record_length(rest));
            let name_end = HEAD + usize::from(rest[6]);
            if length < name_end || !length.is_multiple_of(4) || length > rest.len() {
                return Err(DAMAGED);
            }
            let (name, position) = (&rest[HEAD..name_end], start + at as u64);
            at += length;
            // Positions that are none of ours begin with the next entry.
            if inode == 0 || matches!(name, b"." | b"..") || position < from {
                continue;
            }
            if name.is_empty() || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
                return Err(DAMAGED);
            }
            let has_kind = self.sb.features & FILE_TYPE != 0;
            let kind = if has_kind { kind_of(rest[7])? } else { None };
            if !visit(&DirectoryEntry { name, inode, kind, next: start + at as u64 })? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The inode that a name means in a directory.
    pub fn lookup(&self, directory: &Inode, name: &[u8]) -> Result<Option<u32>, Ext4Error> {
        let visit = &mut |_, bytes: Box<[u8]>| self.find_in(&bytes, name);
        match self.search_tree(directory, name, visit)? {
            Search::Found(inode) => return Ok(Some(inode)),
            Search::Missing => return Ok(None),
            Search::NoTree => {}
        }
        let mut found = None;
        self.entries(directory, 0, &mut |entry| {
            if entry.name == name {
                found = Some(entry.inode);
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// The inode that a name means in a block of entries.
    pub fn find_in(&self, bytes: &[u8], name: &[u8]) -> Result<Option<u32>, Ext4Error> {
        let mut found = None;
        self.in_block(bytes, 0, 0, &mut |entry| {
            if entry.name == name {
                found = Some(entry.inode);
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }
}

fn kind_of(number: u8) -> Result<Option<Kind>, Ext4Error> {
    Ok(Some(match number {
        0 => return Ok(None),
        1 => Kind::Regular,
        2 => Kind::Directory,
        3 => Kind::CharacterDevice,
        4 => Kind::BlockDevice,
        5 => Kind::Fifo,
        6 => Kind::Socket,
        7 => Kind::Symlink,
        _ => return Err(DAMAGED),
    }))
}
