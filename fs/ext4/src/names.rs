//! Entries of directories that are changed.

use alloc::boxed::Box;

use ukfile::Kind;

use crate::Ext4Error;
use crate::bytes::{crc32c, le16, le32, put16, put32};
use crate::directory::{DAMAGED, HEAD, TAIL};
use crate::draft::Draft;
use crate::extents::Extent;
use crate::index::Search;
use crate::inode::INDEX;
use crate::superblock::FILE_TYPE;
use crate::volume::Volume;

/// Nodes of a hash tree that become ordinary blocks in one operation, at most.
const MOST_NODES: usize = 32;

/// An entry, and where it is.
struct Found {
    /// The block on the disk, and what is in it.
    block: u64,
    bytes: Box<[u8]>,
    at: usize,
    /// The entry before it in the block.
    before: Option<usize>,
}

/// An entry that is put into a directory.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    pub name: &'a [u8],
    pub inode: u32,
    pub kind: Kind,
}

/// The number that an entry has for a type.
const fn number_of(kind: Kind) -> u8 {
    match kind {
        Kind::Anonymous => 0,
        Kind::Regular => 1,
        Kind::Directory => 2,
        Kind::CharacterDevice => 3,
        Kind::BlockDevice => 4,
        Kind::Fifo => 5,
        Kind::Socket => 6,
        Kind::Symlink => 7,
    }
}

/// Bytes of an entry with such a name.
pub const fn length_of(name: usize) -> usize {
    (HEAD + name).next_multiple_of(4)
}

impl Volume {
    /// Where the entries of a block end.
    pub fn entries_end(&self, draft: &Draft) -> usize {
        self.sb.block_size as usize - if draft.seed.is_some() { TAIL } else { 0 }
    }

    /// Length of the entry at a byte, and of its name; both are inside.
    pub fn entry_at(
        &self,
        bytes: &[u8],
        at: usize,
        end: usize,
    ) -> Result<(usize, usize), Ext4Error> {
        let rest = bytes.get(at..end).filter(|rest| rest.len() >= HEAD).ok_or(DAMAGED)?;
        let (length, name) = (self.record_length(rest), usize::from(rest[6]));
        if length < HEAD + name || !length.is_multiple_of(4) || length > rest.len() {
            return Err(DAMAGED);
        }
        Ok((length, name))
    }

    pub fn put_entry(&self, bytes: &mut [u8], at: usize, length: usize, entry: &NewEntry<'_>) {
        put32(bytes, at, entry.inode);
        self.put_length(bytes, at, length);
        bytes[at + 6] = entry.name.len() as u8;
        let typed = self.sb.features & FILE_TYPE != 0;
        bytes[at + 7] = if typed { number_of(entry.kind) } else { 0 };
        bytes[at + HEAD..at + HEAD + entry.name.len()].copy_from_slice(entry.name);
    }

    pub fn put_length(&self, bytes: &mut [u8], at: usize, length: usize) {
        put16(bytes, at + 4, u16::try_from(length).unwrap_or(u16::MAX));
    }

    /// Puts an entry into a block where there is room for it. Whether there was.
    pub fn put_in_block(
        &self,
        draft: &Draft,
        bytes: &mut [u8],
        entry: &NewEntry<'_>,
    ) -> Result<bool, Ext4Error> {
        let (needed, end) = (length_of(entry.name.len()), self.entries_end(draft));
        let mut at = 0;
        while at < end {
            let (length, name) = self.entry_at(bytes, at, end)?;
            let used = if le32(bytes, at) == 0 { 0 } else { length_of(name) };
            if length.saturating_sub(used) >= needed {
                if used > 0 {
                    self.put_length(bytes, at, used);
                }
                self.put_entry(bytes, at + used, length - used, entry);
                return Ok(true);
            }
            at += length;
        }
        Ok(false)
    }

    /// Makes the checksum of a block of entries, and writes it.
    pub fn store_entries(
        &mut self,
        draft: &Draft,
        block: u64,
        bytes: &mut [u8],
    ) -> Result<(), Ext4Error> {
        if let Some(seed) = draft.seed {
            let (before, tail) = bytes.split_at_mut(bytes.len() - TAIL);
            tail.fill(0);
            put16(tail, 4, TAIL as u16);
            tail[7] = 0xde;
            put32(tail, 8, crc32c(seed, before));
        }
        self.replace(block, bytes)
    }

    /// The blocks of entries, until `visit` returns something.
    fn in_blocks<T>(
        &self,
        draft: &Draft,
        visit: &mut dyn FnMut(u64, Box<[u8]>) -> Result<Option<T>, Ext4Error>,
    ) -> Result<Option<T>, Ext4Error> {
        let directory = self.view(draft)?;
        let blocks = self.blocks_of(draft.size())?;
        let mut at = 0;
        while at < blocks {
            let run = self.run(&directory, at)?;
            let Some(first) = run.first else {
                at = at.saturating_add(run.blocks);
                continue;
            };
            let bytes = self.block(first)?;
            if self.has_entries(&directory, at, &bytes)?
                && let Some(result) = visit(first, bytes)?
            {
                return Ok(Some(result));
            }
            at += 1;
        }
        Ok(None)
    }

    fn find_entry(&self, draft: &Draft, name: &[u8]) -> Result<Found, Ext4Error> {
        let end = self.entries_end(draft);
        let visit = &mut |block, bytes: Box<[u8]>| {
            let (mut at, mut before) = (0, None);
            while at < end {
                let (length, name_length) = self.entry_at(&bytes, at, end)?;
                if le32(&bytes, at) != 0 && &bytes[at + HEAD..at + HEAD + name_length] == name {
                    return Ok(Some(Found { block, bytes, at, before }));
                }
                (before, at) = (Some(at), at + length);
            }
            Ok(None)
        };
        match self.search_tree(&self.view(draft)?, name, visit)? {
            Search::Found(found) => Ok(found),
            Search::Missing => Err(DAMAGED),
            Search::NoTree => self.in_blocks(draft, visit)?.ok_or(DAMAGED),
        }
    }

    /// Puts a name into a directory that does not have it.
    pub fn insert_name(
        &mut self,
        draft: &mut Draft,
        name: &[u8],
        inode: u32,
        kind: Kind,
    ) -> Result<(), Ext4Error> {
        let entry = NewEntry { name, inode, kind };
        if self.insert_in_tree(draft, &entry)? {
            return Ok(());
        }
        self.drop_index(draft)?;
        let found = self.in_blocks(draft, &mut |block, mut bytes| {
            Ok(self.put_in_block(draft, &mut bytes, &entry)?.then_some((block, bytes)))
        })?;
        if let Some((block, mut bytes)) = found {
            return self.store_entries(draft, block, &mut bytes);
        }
        if self.make_tree(draft)? {
            return if self.insert_in_tree(draft, &entry)? { Ok(()) } else { Err(DAMAGED) };
        }
        let (_, block, mut bytes) = self.add_block(draft)?;
        self.put_entry(&mut bytes, 0, self.entries_end(draft), &entry);
        self.store_entries(draft, block, &mut bytes)
    }

    /// Makes the first block of a new directory.
    pub fn make_entries(&mut self, draft: &mut Draft, parent: u32) -> Result<(), Ext4Error> {
        let (_, block, mut bytes) = self.add_block(draft)?;
        let (own, end) = (length_of(1), self.entries_end(draft));
        let names = [(0, own, draft.number, &b"."[..]), (own, end - own, parent, b"..")];
        for (at, length, inode, name) in names {
            let entry = NewEntry { name, inode, kind: Kind::Directory };
            self.put_entry(&mut bytes, at, length, &entry);
        }
        self.store_entries(draft, block, &mut bytes)
    }

    /// Adds a block to a directory: its number there, where it is on the disk, and zeros.
    pub fn add_block(&mut self, draft: &mut Draft) -> Result<(u32, u64, Box<[u8]>), Ext4Error> {
        if !draft.has_extents() {
            return Err(Ext4Error::ReadOnly("directories with indirect blocks cannot grow"));
        }
        let size = self.sb.block_size;
        let at = draft.size() / u64::from(size);
        let at = u32::try_from(at).ok().filter(|at| *at < u32::MAX).ok_or(Ext4Error::NoSpace)?;
        let goal = self.goal(draft, at)?;
        let (first, _) = self.allocate_blocks(goal, 1)?;
        self.insert_extent(draft, Extent { at, blocks: 1, first, written: true })?;
        draft.count_blocks(1, size);
        draft.set_size((u64::from(at) + 1) * u64::from(size));
        let bytes = ukfile::fallible::zeroed(size as usize).map_err(|_| Ext4Error::OutOfMemory)?;
        Ok((at, first, bytes))
    }

    /// Takes a name out of a directory.
    pub fn remove_name(&mut self, draft: &Draft, name: &[u8]) -> Result<(), Ext4Error> {
        let Found { block, mut bytes, at, before } = self.find_entry(draft, name)?;
        let length = self.record_length(&bytes[at..]);
        match before {
            // The one before gets its room.
            Some(before) => {
                let both = self.record_length(&bytes[before..]) + length;
                self.put_length(&mut bytes, before, both);
                bytes[at..at + HEAD].fill(0);
            }
            None => put32(&mut bytes, at, 0),
        }
        self.store_entries(draft, block, &mut bytes)
    }

    /// Lets a name mean another inode.
    pub fn change_name(
        &mut self,
        draft: &mut Draft,
        name: &[u8],
        inode: u32,
        kind: Kind,
    ) -> Result<(), Ext4Error> {
        // The root of a hash tree has `..` too, but is none of the blocks of entries.
        if name == b".." {
            if self.change_parent_in_tree(draft, inode)? {
                return Ok(());
            }
            self.drop_index(draft)?;
        }
        let Found { block, mut bytes, at, .. } = self.find_entry(draft, name)?;
        let length = self.record_length(&bytes[at..]);
        self.put_entry(&mut bytes, at, length, &NewEntry { name, inode, kind });
        self.store_entries(draft, block, &mut bytes)
    }

    /// A hash tree that cannot be used is given up, as systems do that do not know it. Its nodes
    /// become blocks without entries.
    pub fn drop_index(&mut self, draft: &mut Draft) -> Result<(), Ext4Error> {
        if draft.flags() & INDEX == 0 {
            return Ok(());
        }
        let directory = self.view(draft)?;
        let blocks = self.blocks_of(draft.size())?;
        let end = self.entries_end(draft);
        let mut nodes = 0;
        let mut levels = 0;
        for at in 0..blocks {
            let Some(block) = self.run(&directory, at)?.first else { continue };
            let mut bytes = self.block(block)?;
            if at == 0 {
                levels = bytes[30];
                let own = self.record_length(&bytes);
                let parent = bytes.get(own..).filter(|rest| rest.len() > TAIL + length_of(2));
                let parent = parent.ok_or(DAMAGED)?;
                if own != length_of(1)
                    || le16(parent, 6) & 0xff != 2
                    || &parent[HEAD..HEAD + 2] != b".."
                {
                    return Err(DAMAGED);
                }
                self.put_length(&mut bytes, own, end - own);
            } else {
                if levels == 0 {
                    break;
                }
                if !self.is_node(&bytes, draft.seed.is_some()) {
                    continue;
                }
                nodes += 1;
                if nodes > MOST_NODES {
                    return Err(Ext4Error::ReadOnly("the hash tree of a directory is too large"));
                }
                bytes[..HEAD].fill(0);
                self.put_length(&mut bytes, 0, end);
            }
            self.store_entries(draft, block, &mut bytes)?;
        }
        draft.set_flags(draft.flags() & !INDEX);
        Ok(())
    }
}
