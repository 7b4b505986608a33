//! Maps of extents that are changed.
//!
//! All changes are made of three: an extent is put in, taken out, or gets another length. When there
//! is no room for one in its leaf, nodes that are full are split on the way down, so that there is
//! always room in the one above.

use alloc::boxed::Box;

use ukfile::fallible;

use crate::Ext4Error;
use crate::bytes::{crc32c, le16, le32, put16, put32, wide};
use crate::draft::{BODY, Draft};
use crate::map::{DAMAGED, ENTRY, MAGIC, MAX_DEPTH, WRITTEN};
use crate::volume::Volume;

/// Blocks of a file that are in a row on the disk too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first block in the file.
    pub at: u32,
    /// How many: at least 1.
    pub blocks: u32,
    /// The first block on the disk.
    pub first: u64,
    /// Whether they were written; else they read as zeros.
    pub written: bool,
}

/// Blocks that one extent can have.
const MOST: u32 = WRITTEN as u32;

impl Extent {
    pub fn end(&self) -> u64 {
        u64::from(self.at) + u64::from(self.blocks)
    }

    /// The part of it from block `from` of the file on, up to `to`.
    pub fn part(&self, from: u32, to: u32) -> Self {
        let first = self.first + u64::from(from - self.at);
        Self { at: from, blocks: to - from, first, written: self.written }
    }

    fn parse(entry: &[u8]) -> Self {
        let length = le16(entry, 4);
        let (blocks, written) =
            if length > WRITTEN { (length - WRITTEN, false) } else { (length, true) };
        let first = wide(le16(entry, 6).into(), le32(entry, 8));
        Self { at: le32(entry, 0), blocks: blocks.into(), first, written }
    }

    fn bytes(&self) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        put32(&mut entry, 0, self.at);
        let length = self.blocks as u16;
        put16(&mut entry, 4, if self.written { length } else { length + WRITTEN });
        put16(&mut entry, 6, (self.first >> 32) as u16);
        put32(&mut entry, 8, self.first as u32);
        entry
    }

    fn most(&self) -> u32 {
        if self.written { MOST } else { MOST - 1 }
    }
}

/// An entry of a node above others.
fn index_entry(at: u32, block: u64) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    put32(&mut entry, 0, at);
    put32(&mut entry, 4, block as u32);
    put16(&mut entry, 8, (block >> 32) as u16);
    entry
}

/// Makes an empty map in an inode.
pub fn make_root(body: &mut [u8]) {
    body.fill(0);
    put16(body, 0, MAGIC);
    put16(body, 4, ((body.len() - ENTRY) / ENTRY) as u16);
}

/// The bytes of a node, looked at and changed.
struct Node<'a>(&'a mut [u8]);

impl<'a> Node<'a> {
    /// Checks what everything else relies on.
    fn new(bytes: &'a mut [u8], depth: Option<u16>) -> Result<Self, Ext4Error> {
        let node = Self(bytes);
        let right = depth.is_none_or(|depth| depth == node.depth()) && node.depth() <= MAX_DEPTH;
        let fits = (node.most() + 1) * ENTRY <= node.0.len();
        if le16(node.0, 0) != MAGIC || !right || node.count() > node.most() || !fits {
            return Err(DAMAGED);
        }
        Ok(node)
    }

    fn count(&self) -> usize {
        le16(self.0, 2).into()
    }

    fn set_count(&mut self, count: usize) {
        put16(self.0, 2, count as u16);
    }

    fn most(&self) -> usize {
        le16(self.0, 4).into()
    }

    fn depth(&self) -> u16 {
        le16(self.0, 6)
    }

    fn entry(&self, index: usize) -> &[u8] {
        &self.0[(index + 1) * ENTRY..(index + 2) * ENTRY]
    }

    fn key(&self, index: usize) -> u32 {
        le32(self.entry(index), 0)
    }

    fn child(&self, index: usize) -> u64 {
        let entry = self.entry(index);
        wide(le16(entry, 8).into(), le32(entry, 4))
    }

    /// How many entries begin at a block or before it.
    fn position(&self, at: u32) -> usize {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle) <= at { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn put(&mut self, index: usize, entry: &[u8; ENTRY]) {
        self.0[(index + 1) * ENTRY..(index + 2) * ENTRY].copy_from_slice(entry);
    }

    fn insert(&mut self, index: usize, entry: &[u8; ENTRY]) -> Result<(), Ext4Error> {
        let count = self.count();
        if count >= self.most() || index > count {
            return Err(DAMAGED);
        }
        self.0.copy_within((index + 1) * ENTRY..(count + 1) * ENTRY, (index + 2) * ENTRY);
        self.put(index, entry);
        self.set_count(count + 1);
        Ok(())
    }

    fn remove(&mut self, index: usize) {
        let count = self.count();
        self.0.copy_within((index + 2) * ENTRY..(count + 1) * ENTRY, (index + 1) * ENTRY);
        self.set_count(count - 1);
    }
}

/// What to do with the map.
#[derive(Clone, Copy)]
enum Edit {
    /// Puts one in where there is room for it.
    Insert(Extent),
    /// Puts one in, and makes room.
    Split(Extent),
    /// Takes out the one that begins at the block.
    Remove(u32),
    /// Gives the one that begins there another length.
    Resize(u32, u32),
}

impl Edit {
    fn at(&self) -> u32 {
        match *self {
            Self::Insert(extent) | Self::Split(extent) => extent.at,
            Self::Remove(at) | Self::Resize(at, _) => at,
        }
    }
}

impl Volume {
    /// The extent that has a block of the file, or the next one behind it, and the end of the one
    /// before with where it would go on.
    pub fn extent_at(
        &self,
        draft: &Draft,
        at: u32,
    ) -> Result<(Option<Extent>, Option<Extent>), Ext4Error> {
        let bytes = fallible::copy(&draft.bytes[BODY]);
        let mut bytes = bytes.map_err(|_| Ext4Error::OutOfMemory)?;
        let mut next_child = None;
        let mut depth = None;
        loop {
            let node = Node::new(&mut bytes, depth)?;
            let position = node.position(at);
            if node.depth() > 0 {
                if node.count() == 0 {
                    return Err(DAMAGED);
                }
                let index = position.saturating_sub(1);
                if index + 1 < node.count() {
                    next_child = Some((node.child(index + 1), node.depth() - 1));
                }
                let child = node.child(index);
                depth = Some(node.depth() - 1);
                bytes = self.node(draft, child)?;
                continue;
            }
            let before = position.checked_sub(1).map(|index| Extent::parse(node.entry(index)));
            if let Some(before) = before
                && before.end() > at.into()
            {
                self.check_extent(&before)?;
                return Ok((Some(before), None));
            }
            let next = if position < node.count() {
                Some(Extent::parse(node.entry(position)))
            } else {
                self.leftmost(draft, next_child)?
            };
            if let Some(next) = &next {
                self.check_extent(next)?;
                // They are in order.
                if next.at <= at {
                    return Err(DAMAGED);
                }
            }
            if let Some(before) = &before {
                self.check_extent(before)?;
            }
            return Ok((next, before));
        }
    }

    fn check_extent(&self, extent: &Extent) -> Result<(), Ext4Error> {
        let end = extent.first.checked_add(extent.blocks.into());
        if extent.blocks == 0
            || extent.first == 0
            || end.is_none_or(|end| end > self.sb.blocks)
            || extent.end() > u32::MAX.into()
        {
            return Err(DAMAGED);
        }
        Ok(())
    }

    fn leftmost(
        &self,
        draft: &Draft,
        child: Option<(u64, u16)>,
    ) -> Result<Option<Extent>, Ext4Error> {
        let Some((mut block, mut depth)) = child else { return Ok(None) };
        loop {
            let mut bytes = self.node(draft, block)?;
            let node = Node::new(&mut bytes, Some(depth))?;
            if node.count() == 0 {
                return Err(DAMAGED);
            }
            if depth == 0 {
                return Ok(Some(Extent::parse(node.entry(0))));
            }
            (block, depth) = (node.child(0), depth - 1);
        }
    }

    /// A node that is in a block, with its checksum checked.
    fn node(&self, draft: &Draft, block: u64) -> Result<Box<[u8]>, Ext4Error> {
        let bytes = self.block(block)?;
        self.check_node(draft.seed, &bytes)?;
        Ok(bytes)
    }

    fn store_node(&mut self, draft: &Draft, block: u64, bytes: &mut [u8]) -> Result<(), Ext4Error> {
        if let Some(seed) = draft.seed {
            let end = (usize::from(le16(bytes, 4)) + 1) * ENTRY;
            if end + 4 > bytes.len() {
                return Err(DAMAGED);
            }
            let crc = crc32c(seed, &bytes[..end]);
            put32(bytes, end, crc);
        }
        self.replace(block, bytes)
    }

    /// Puts an extent into the map, in which nothing of it is yet.
    pub fn insert_extent(&mut self, draft: &mut Draft, extent: Extent) -> Result<(), Ext4Error> {
        // Behind the one before it, if that is where it belongs.
        let (_, before) = self.extent_at(draft, extent.at)?;
        if let Some(before) = before
            && before.end() == u64::from(extent.at)
            && before.first + u64::from(before.blocks) == extent.first
            && before.written == extent.written
            && before.blocks + extent.blocks <= before.most()
        {
            return self.edit_map(draft, Edit::Resize(before.at, before.blocks + extent.blocks));
        }
        let is_full = self.leaf_is_full(draft, extent.at)?;
        self.edit_map(draft, if is_full { Edit::Split(extent) } else { Edit::Insert(extent) })
    }

    fn leaf_is_full(&self, draft: &Draft, at: u32) -> Result<bool, Ext4Error> {
        let bytes = fallible::copy(&draft.bytes[BODY]);
        let mut bytes = bytes.map_err(|_| Ext4Error::OutOfMemory)?;
        let mut depth = None;
        loop {
            let node = Node::new(&mut bytes, depth)?;
            if node.depth() == 0 {
                return Ok(node.count() == node.most());
            }
            if node.count() == 0 {
                return Err(DAMAGED);
            }
            depth = Some(node.depth() - 1);
            let child = node.child(node.position(at).saturating_sub(1));
            bytes = self.node(draft, child)?;
        }
    }

    /// Takes out the extent that begins at a block of the file.
    pub fn remove_extent(&mut self, draft: &mut Draft, at: u32) -> Result<(), Ext4Error> {
        self.edit_map(draft, Edit::Remove(at))
    }

    /// Leaves the extent that begins at a block of the file so many blocks.
    pub fn shorten_extent(
        &mut self,
        draft: &mut Draft,
        at: u32,
        blocks: u32,
    ) -> Result<(), Ext4Error> {
        self.edit_map(draft, Edit::Resize(at, blocks))
    }

    fn edit_map(&mut self, draft: &mut Draft, edit: Edit) -> Result<(), Ext4Error> {
        let mut root = fallible::copy(draft.body()).map_err(|_| Ext4Error::OutOfMemory)?;
        {
            let node = Node::new(&mut root, None)?;
            if matches!(edit, Edit::Split(_)) && node.count() == node.most() {
                self.grow(draft, &mut root)?;
            }
        }
        self.edit_node(draft, &mut root, None, edit)?;
        if le16(&root, 2) == 0 {
            make_root(&mut root);
        }
        draft.body().copy_from_slice(&root);
        Ok(())
    }

    fn new_node(&mut self, draft: &mut Draft) -> Result<u64, Ext4Error> {
        let goal = self.goal(draft, 0)?;
        let (block, _) = self.allocate_blocks(goal, 1)?;
        draft.count_blocks(1, self.sb.block_size);
        Ok(block)
    }

    fn empty_node(&self, depth: u16) -> Result<Box<[u8]>, Ext4Error> {
        let size = self.sb.block_size as usize;
        let mut bytes = fallible::zeroed(size).map_err(|_| Ext4Error::OutOfMemory)?;
        put16(&mut bytes, 0, MAGIC);
        // The checksum comes behind the last.
        put16(&mut bytes, 4, ((size - ENTRY) / ENTRY - usize::from(size % ENTRY < 4)) as u16);
        put16(&mut bytes, 6, depth);
        Ok(bytes)
    }

    /// Puts a level between the root and what is below.
    fn grow(&mut self, draft: &mut Draft, root: &mut [u8]) -> Result<(), Ext4Error> {
        let (count, depth) = (usize::from(le16(root, 2)), le16(root, 6));
        if depth >= MAX_DEPTH || count == 0 {
            return Err(DAMAGED);
        }
        let block = self.new_node(draft)?;
        let mut below = self.empty_node(depth)?;
        put16(&mut below, 2, count as u16);
        let entries = ENTRY..(count + 1) * ENTRY;
        below[entries.clone()].copy_from_slice(&root[entries]);
        self.store_node(draft, block, &mut below)?;
        let first = le32(root, ENTRY);
        put16(root, 2, 1);
        put16(root, 6, depth + 1);
        root[ENTRY..2 * ENTRY].copy_from_slice(&index_entry(first, block));
        Ok(())
    }

    /// Does the edit in a node, which has room, and below.
    fn edit_node(
        &mut self,
        draft: &mut Draft,
        bytes: &mut [u8],
        depth: Option<u16>,
        edit: Edit,
    ) -> Result<(), Ext4Error> {
        let mut node = Node::new(bytes, depth)?;
        let position = node.position(edit.at());
        if node.depth() == 0 {
            return edit_leaf(&mut node, position, edit);
        }
        let mut index = position.saturating_sub(1);
        if node.count() == 0 {
            return Err(DAMAGED);
        }
        let below = node.depth() - 1;
        let mut block = node.child(index);
        let mut child = self.node(draft, block)?;
        let is_full = {
            let child = Node::new(&mut child, Some(below))?;
            child.count() == 0 || child.count() == child.most()
        };
        if is_full && matches!(edit, Edit::Split(_)) {
            let (key, right_block, mut right) = self.split(draft, &mut child, below, edit.at())?;
            node.insert(index + 1, &index_entry(key, right_block))?;
            self.store_node(draft, block, &mut child)?;
            self.store_node(draft, right_block, &mut right)?;
            if edit.at() >= key {
                (index, block, child) = (index + 1, right_block, right);
            }
        }
        self.edit_node(draft, &mut child, Some(below), edit)?;
        if le16(&child, 2) == 0 {
            node.remove(index);
            draft.count_blocks(-1, self.sb.block_size);
            return self.free_metadata(block);
        }
        let key = le32(&child, ENTRY);
        node.put(index, &index_entry(key, block));
        self.store_node(draft, block, &mut child)
    }

    /// Moves the upper part of a full node to a new one; of what only grows at its end, the last
    /// entry. Returns the new node's first key, block and bytes.
    fn split(
        &mut self,
        draft: &mut Draft,
        bytes: &mut [u8],
        depth: u16,
        at: u32,
    ) -> Result<(u32, u64, Box<[u8]>), Ext4Error> {
        let mut node = Node::new(bytes, Some(depth))?;
        let count = node.count();
        if count < 2 {
            return Err(DAMAGED);
        }
        let kept = if node.key(count - 1) < at { count - 1 } else { count / 2 };
        let block = self.new_node(draft)?;
        let mut right = self.empty_node(depth)?;
        let moved = count - kept;
        if (moved + 1) * ENTRY > right.len() {
            return Err(DAMAGED);
        }
        put16(&mut right, 2, moved as u16);
        right[ENTRY..(moved + 1) * ENTRY]
            .copy_from_slice(&node.0[(kept + 1) * ENTRY..(count + 1) * ENTRY]);
        node.set_count(kept);
        Ok((le32(&right, ENTRY), block, right))
    }

    /// Where on the disk block `at` of a file should be: behind the one before it.
    pub fn goal(&self, draft: &Draft, at: u32) -> Result<u64, Ext4Error> {
        if draft.has_extents() {
            let (found, before) = self.extent_at(draft, at)?;
            if let Some(before) = before {
                return Ok(before.first + u64::from(at - before.at));
            }
            if let Some(found) = found {
                return Ok(found.first);
            }
        }
        // In the group of its inode, files at different places.
        let per = self.sb.inodes_per_group;
        let (first, blocks) = self.sb.group((draft.number - 1) / per);
        let colour = u64::from((draft.number - 1) % per) * u64::from(blocks) / u64::from(per);
        Ok(first + colour)
    }
}

fn edit_leaf(node: &mut Node<'_>, position: usize, edit: Edit) -> Result<(), Ext4Error> {
    let existing = |node: &Node<'_>, at| {
        let index = position.checked_sub(1).ok_or(DAMAGED)?;
        if node.key(index) == at { Ok(index) } else { Err(DAMAGED) }
    };
    match edit {
        Edit::Insert(extent) | Edit::Split(extent) => node.insert(position, &extent.bytes()),
        Edit::Remove(at) => {
            let index = existing(node, at)?;
            node.remove(index);
            Ok(())
        }
        Edit::Resize(at, blocks) => {
            let index = existing(node, at)?;
            let extent = Extent { blocks, ..Extent::parse(node.entry(index)) };
            node.put(index, &extent.bytes());
            Ok(())
        }
    }
}
