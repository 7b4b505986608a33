//! Names that are put into hash trees.
//!
//! A block of entries that is full is split: the half with the larger hashes goes to a new one. So
//! are the nodes above it; a root that is full gets another level below it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ukfile::{Kind, fallible};

use crate::Ext4Error;
use crate::bytes::{le32, put32};
use crate::directory::{DAMAGED, HEAD};
use crate::draft::Draft;
use crate::hash;
use crate::index::{ENTRY, INFO_LENGTH, LENGTH, LEVELS, Leaf, NODE, Node, Path, ROOT, VERSION};
use crate::inode::INDEX;
use crate::names::{NewEntry, length_of};
use crate::volume::Volume;

/// An entry of a block.
struct Record {
    hash: u32,
    at: usize,
    /// Bytes of it that are used.
    length: usize,
}

/// Where the records of a full block, which are in order, are split: about half of their bytes come
/// before.
fn middle(records: &[Record]) -> usize {
    let all: usize = records.iter().map(|record| record.length).sum();
    let mut before = 0;
    let count = records.iter().take_while(|record| {
        before += record.length;
        before - record.length / 2 <= all / 2
    });
    count.count().clamp(1, records.len() - 1)
}

impl Volume {
    /// Puts a name into a directory that does not have it. `false`: there is no hash tree that could
    /// be used.
    pub fn insert_in_tree(
        &mut self,
        draft: &mut Draft,
        entry: &NewEntry<'_>,
    ) -> Result<bool, Ext4Error> {
        let directory = self.view(draft)?;
        let Some(mut path) = self.tree(&directory)? else { return Ok(false) };
        let Some(hash) = hash::of_name(&self.sb, path.version, entry.name) else {
            return Ok(false);
        };
        let Some(leaf) = self.descend(&directory, &mut path, Some(hash))? else {
            return Ok(false);
        };
        let Some((mut block, mut bytes)) = self.tree_leaf(&directory, leaf)? else {
            return Ok(false);
        };
        if !self.put_in_block(draft, &mut bytes, entry)? {
            let needed = length_of(entry.name.len());
            let room = self.make_room(draft, &mut path, (block, bytes), hash, needed)?;
            let Some(room) = room else { return Ok(false) };
            (block, bytes) = room;
            if !self.put_in_block(draft, &mut bytes, entry)? {
                return Err(DAMAGED);
            }
        }
        self.store_entries(draft, block, &mut bytes)?;
        Ok(true)
    }

    /// Makes a hash tree of a directory that has one block, which is full. `false`: it has none, as
    /// it has more blocks, or this disk has no such trees.
    pub fn make_tree(&mut self, draft: &mut Draft) -> Result<bool, Ext4Error> {
        let size = self.sb.block_size as usize;
        let version = self.sb.new_trees.filter(|version| hash::is_known(&self.sb, *version));
        let Some(version) = version.filter(|_| draft.size() == size as u64) else {
            return Ok(false);
        };
        let place = self.run(&self.view(draft)?, 0)?.first.ok_or(DAMAGED)?;
        let bytes = self.block(place)?;
        let (own, end) = (length_of(1), self.entries_end(draft));
        let (first, _) = self.entry_at(&bytes, 0, end)?;
        let (parent, length) = self.entry_at(&bytes, own, end)?;
        if first != own || length != 2 || &bytes[own + HEAD..own + HEAD + 2] != b".." {
            return Err(DAMAGED);
        }
        let records = self.records(&bytes, own + parent, end, version)?;
        let mut leaf = self.packed(&bytes, &records, end)?;
        let (number, block, _) = self.add_block(draft)?;
        self.store_entries(draft, block, &mut leaf)?;

        let root = fallible::zeroed(size).map_err(|_| Ext4Error::OutOfMemory)?;
        let mut root = Node { place, bytes: root, entries: ROOT, at: 0 };
        let names =
            [(0, own, draft.number, &b"."[..]), (own, size - own, le32(&bytes, own), b"..")];
        for (at, length, inode, name) in names {
            let entry = NewEntry { name, inode, kind: Kind::Directory };
            self.put_entry(&mut root.bytes, at, length, &entry);
        }
        (root.bytes[VERSION], root.bytes[LENGTH]) = (version, INFO_LENGTH);
        root.set_limit(draft.seed.is_some());
        root.set_count(1);
        root.set_first(number);
        self.store_tree_node(draft, &mut root)?;
        draft.set_flags(draft.flags() | INDEX);
        Ok(true)
    }

    /// Lets `..` in the root of a hash tree mean another directory. `false`: there is no root that
    /// could be used.
    pub fn change_parent_in_tree(&mut self, draft: &Draft, parent: u32) -> Result<bool, Ext4Error> {
        let directory = self.view(draft)?;
        if !directory.has_index() {
            return Ok(false);
        }
        let Some(mut root) = self.tree_node(&directory, 0, ROOT)? else { return Ok(false) };
        put32(&mut root.bytes, length_of(1), parent);
        self.store_tree_node(draft, &mut root)?;
        Ok(true)
    }

    /// Makes room in a block of entries for one with a hash and a length; returns the block that has
    /// it, which is to be stored. `None`: what is in the block does not belong there.
    fn make_room(
        &mut self,
        draft: &mut Draft,
        path: &mut Path,
        (block, bytes): Leaf,
        hash: u32,
        needed: usize,
    ) -> Result<Option<Leaf>, Ext4Error> {
        let end = self.entries_end(draft);
        let mut records = self.records(&bytes, 0, end, path.version)?;
        let used: usize = records.iter().map(|record| record.length).sum();
        if used + needed <= end {
            return Ok(Some((block, self.packed(&bytes, &records, end)?)));
        }
        records.sort_unstable_by_key(|record| (record.hash, record.at));
        let [first, .., last] = &records[..] else { return Err(DAMAGED) };
        if !path.nodes.last().is_some_and(|node| node.may_have(first.hash, last.hash)) {
            return Ok(None);
        }
        let (left, right) = records.split_at(middle(&records));
        let first = right[0].hash;
        let goes_on = left.last().is_some_and(|last| last.hash == first);
        let mut lower = self.packed(&bytes, left, end)?;
        let mut upper = self.packed(&bytes, right, end)?;

        self.make_room_above(draft, path)?;
        let (number, new_block, _) = self.add_block(draft)?;
        let node = path.nodes.last_mut().ok_or(DAMAGED)?;
        node.insert(first | u32::from(goes_on), number)?;
        self.store_tree_node(draft, node)?;
        if hash >= first {
            self.store_entries(draft, block, &mut lower)?;
            Ok(Some((new_block, upper)))
        } else {
            self.store_entries(draft, new_block, &mut upper)?;
            Ok(Some((block, lower)))
        }
    }

    /// The entries of a block from a byte on.
    fn records(
        &self,
        bytes: &[u8],
        from: usize,
        end: usize,
        version: u8,
    ) -> Result<Vec<Record>, Ext4Error> {
        let mut records = Vec::new();
        let mut at = from;
        while at < end {
            let (length, name) = self.entry_at(bytes, at, end)?;
            if le32(bytes, at) != 0 {
                let name = &bytes[at + HEAD..at + HEAD + name];
                let hash = hash::of_name(&self.sb, version, name).ok_or(DAMAGED)?;
                let record = Record { hash, at, length: length_of(name.len()) };
                fallible::push(&mut records, record).map_err(|_| Ext4Error::OutOfMemory)?;
            }
            at += length;
        }
        Ok(records)
    }

    /// A block with some of the entries of another, one behind the other.
    fn packed(&self, bytes: &[u8], records: &[Record], end: usize) -> Result<Box<[u8]>, Ext4Error> {
        let packed = fallible::zeroed(bytes.len());
        let mut packed = packed.map_err(|_| Ext4Error::OutOfMemory)?;
        self.put_length(&mut packed, 0, end);
        let mut at = 0;
        for (index, record) in records.iter().enumerate() {
            let used = HEAD + usize::from(bytes[record.at + 6]);
            packed[at..at + used].copy_from_slice(&bytes[record.at..record.at + used]);
            let is_last = index + 1 == records.len();
            self.put_length(&mut packed, at, if is_last { end - at } else { record.length });
            at += record.length;
        }
        Ok(packed)
    }

    /// Lets the last node of a path have room for one more entry.
    fn make_room_above(&mut self, draft: &mut Draft, path: &mut Path) -> Result<(), Ext4Error> {
        loop {
            match path.nodes.iter().rposition(Node::has_room) {
                None => self.add_level(draft, path)?,
                Some(last) if last + 1 == path.nodes.len() => return Ok(()),
                Some(above) => self.split_node(draft, path, above + 1)?,
            }
        }
    }

    /// Puts a level between the root, which is full, and what is below.
    fn add_level(&mut self, draft: &mut Draft, path: &mut Path) -> Result<(), Ext4Error> {
        if path.levels >= self.most_levels() {
            return Err(Ext4Error::NoSpace);
        }
        let (number, mut new) = self.new_tree_node(draft)?;
        let root = path.nodes.first_mut().ok_or(DAMAGED)?;
        move_entries(root, 0, &mut new);
        new.at = root.at;
        root.set_count(1);
        root.set_first(number);
        root.at = 0;
        path.levels += 1;
        root.bytes[LEVELS] = path.levels;
        self.store_tree_node(draft, root)?;
        self.store_tree_node(draft, &mut new)?;
        path.nodes.try_reserve(1).map_err(|_| Ext4Error::OutOfMemory)?;
        path.nodes.insert(1, new);
        Ok(())
    }

    /// Moves the upper half of a node's entries to a new one, for which there is room above.
    fn split_node(
        &mut self,
        draft: &mut Draft,
        path: &mut Path,
        level: usize,
    ) -> Result<(), Ext4Error> {
        let (number, mut new) = self.new_tree_node(draft)?;
        let (above, below) = path.nodes.split_at_mut(level);
        let (Some(parent), Some(node)) = (above.last_mut(), below.first_mut()) else {
            return Err(DAMAGED);
        };
        let kept = node.count() / 2;
        parent.insert(node.hash(kept), number)?;
        move_entries(node, kept, &mut new);
        node.set_count(kept);
        self.store_tree_node(draft, parent)?;
        self.store_tree_node(draft, node)?;
        self.store_tree_node(draft, &mut new)?;
        if node.at >= kept {
            new.at = node.at - kept;
            *node = new;
            parent.at += 1;
        }
        Ok(())
    }

    /// An empty node below the root, and its number in the directory.
    fn new_tree_node(&mut self, draft: &mut Draft) -> Result<(u32, Node), Ext4Error> {
        let (number, place, mut bytes) = self.add_block(draft)?;
        // To who does not know them it is an entry without a name.
        let size = bytes.len();
        self.put_length(&mut bytes, 0, size);
        let mut node = Node { place, bytes, entries: NODE, at: 0 };
        node.set_limit(draft.seed.is_some());
        Ok((number, node))
    }

    fn store_tree_node(&mut self, draft: &Draft, node: &mut Node) -> Result<(), Ext4Error> {
        node.seal(draft.seed);
        self.replace(node.place, &node.bytes)
    }
}

/// Copies the entries of a node from `index` on to an empty one.
fn move_entries(node: &Node, index: usize, to: &mut Node) {
    let (count, entries) = (node.count() - index, node.entries + index * ENTRY);
    let used = count * ENTRY;
    // In place of the hash of the first one are the counts.
    to.bytes[to.entries + 4..to.entries + used]
        .copy_from_slice(&node.bytes[entries + 4..entries + used]);
    to.set_count(count);
}

#[cfg(test)]
pub mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use ukblkdev::BlockError;
    use vfs::New;

    use super::*;
    use crate::cache::Source;
    use crate::index::disks;
    use crate::inode::ROOT as TOP;

    #[derive(Clone)]
    pub struct Disk(pub Arc<Mutex<Vec<u8>>>);

    impl Source for Disk {
        fn bytes(&self) -> u64 {
            self.0.lock().unwrap().len() as u64
        }

        fn read(&self, at: u64, into: &mut [u8]) -> Result<(), BlockError> {
            self.0.lock().unwrap().read(at, into)
        }

        fn is_read_only(&self) -> bool {
            false
        }

        fn write(&self, at: u64, bytes: &[u8]) -> Result<(), BlockError> {
            let at = at as usize;
            self.0.lock().unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
            Ok(())
        }
    }

    /// A long name that ends so.
    fn long(number: usize, end: [u8; 2]) -> Vec<u8> {
        let mut name = format!("{number:0253}").into_bytes();
        name.extend(end);
        name
    }

    /// Two names with one hash.
    fn alike(hash: &dyn Fn(&[u8]) -> u32) -> (u32, [Vec<u8>; 2]) {
        let bytes = || (1..=255u8).filter(|byte| *byte != b'/');
        for number in 0.. {
            let mut seen = HashMap::new();
            for end in bytes().flat_map(|a| bytes().map(move |b| [a, b])) {
                let hash = hash(&long(number, end));
                if let Some(other) = seen.insert(hash, end) {
                    return (hash, [long(number, other), long(number, end)]);
                }
            }
        }
        unreachable!()
    }

    #[test]
    fn names_with_one_hash_in_two_blocks_are_found_and_listed() {
        if !disks::tools() {
            return;
        }
        let image = disks::make(&["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"], "4M");
        let image = disks::debugfs(&image, &["ssv def_hash_version legacy"]).0;
        let disk = Disk(Arc::new(Mutex::new(image)));
        let mut volume = Volume::new(Box::new(disk.clone())).unwrap();
        volume.make_writable().unwrap();
        let sb = volume.sb.clone();
        let hash = |name: &[u8]| hash::of_name(&sb, 0, name).unwrap();
        let (same, [one, other]) = alike(&hash);
        let smaller = (0..).map(|n| long(n, *b"__")).find(|name| hash(name) < same).unwrap();
        let larger = (0..).map(|n| long(n, *b"..")).find(|name| hash(name) > same).unwrap();

        let new =
            |kind| New { kind, permissions: 0o700, user: 0, group: 0, special: 0, target: b"" };
        let directory = volume.create(TOP, b"many", &new(Kind::Directory)).unwrap();
        let file = volume.create(TOP, b"file", &new(Kind::Regular)).unwrap();
        // Three of them fit into a block.
        let names = [smaller, one, other, larger];
        for name in &names {
            volume.link(directory, name, file, false).unwrap();
        }
        let view = volume.inode(directory).unwrap();
        let path = volume.tree(&view).unwrap().unwrap();
        assert_eq!(path.nodes[0].hash(1), same | 1, "one of them is in the second block");
        for name in &names {
            assert_eq!(volume.lookup(&view, name), Ok(Some(file)));
        }
        // One at a time, and all at once.
        for most in [1, 4] {
            let (mut found, mut from) = (Vec::new(), 0);
            loop {
                let mut left = most;
                volume
                    .list(&view, from, &uklock::Mutex::default(), &mut |entry| {
                        if left > 0 {
                            found.push(entry.name.to_vec());
                            from = entry.next;
                            left -= 1;
                        }
                        Ok(left > 0)
                    })
                    .unwrap();
                if left == most {
                    break;
                }
            }
            assert_eq!((&found[0], &found[3]), (&names[0], &names[3]));
            found.sort();
            let mut expected = names.to_vec();
            expected.sort();
            assert_eq!(found, expected);
        }
        volume.settle().unwrap();
        disks::check(&disk.0.lock().unwrap()).unwrap();
    }
}
