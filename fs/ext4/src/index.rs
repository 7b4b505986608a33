//! Hash trees of directories: which blocks may have a name.
//!
//! Its root is the first block of the directory; from there up to three levels lead to the blocks of entries,
//! in the order of the hashes of their names. To systems that do not know them the nodes are blocks
//! without entries. A tree that contradicts itself is none: the directory is searched from its beginning.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::Ext4Error;
use crate::bytes::{crc32c, le16, le32, put16, put32};
use crate::directory::DAMAGED;
use crate::hash;
use crate::inode::Inode;
use crate::volume::Volume;

/// Where the entries of the root begin, and those of a node below it.
pub const ROOT: usize = 32;
pub const NODE: usize = 8;
/// Bytes of an entry: a hash and a block. The first has two counts in place of its hash, which is 0.
pub const ENTRY: usize = 8;
/// Bytes behind the last entry for which there is room, with the checksum.
const TAIL: usize = 8;
/// What the root says of itself: the function of the hashes, its length, levels below it.
pub const VERSION: usize = 28;
pub const LENGTH: usize = 29;
pub const LEVELS: usize = 30;
/// Its length.
pub const INFO_LENGTH: u8 = 8;
/// Bits of the number of a block.
const BLOCK: u32 = 0x0fff_ffff;

/// A block of entries: where it is on the disk, and what is in it.
pub type Leaf = (u64, Box<[u8]>);

/// What came of a search.
#[derive(Debug, PartialEq, Eq)]
pub enum Search<T> {
    Found(T),
    Missing,
    /// There is no tree that could be used.
    NoTree,
}

/// A node, and which of its entries is the one in use.
pub struct Node {
    /// Where it is on the disk.
    pub place: u64,
    pub bytes: Box<[u8]>,
    /// Where its entries begin.
    pub entries: usize,
    pub at: usize,
}

impl Node {
    pub fn count(&self) -> usize {
        le16(&self.bytes, self.entries + 2).into()
    }

    pub fn set_count(&mut self, count: usize) {
        put16(&mut self.bytes, self.entries + 2, count as u16);
    }

    fn limit(&self) -> usize {
        le16(&self.bytes, self.entries).into()
    }

    /// Lets a new node have as many entries as it has room for.
    pub fn set_limit(&mut self, has_checksum: bool) {
        let limit = limit(self.bytes.len(), self.entries, has_checksum);
        put16(&mut self.bytes, self.entries, limit as u16);
    }

    pub fn has_room(&self) -> bool {
        self.count() < self.limit()
    }

    pub fn hash(&self, index: usize) -> u32 {
        if index == 0 { 0 } else { le32(&self.bytes, self.entries + index * ENTRY) }
    }

    fn block(&self) -> u64 {
        (le32(&self.bytes, self.entries + self.at * ENTRY + 4) & BLOCK).into()
    }

    /// Lets its first entry lead to a block.
    pub fn set_first(&mut self, block: u32) {
        put32(&mut self.bytes, self.entries + 4, block);
    }

    /// Puts an entry, for which there is room, behind the one in use.
    pub fn insert(&mut self, hash: u32, block: u32) -> Result<(), Ext4Error> {
        if block > BLOCK {
            return Err(Ext4Error::NoSpace);
        }
        let (index, count) = (self.at + 1, self.count());
        let is_next = index == count || hash <= self.hash(index);
        if !self.has_room() || hash < self.hash(self.at) || !is_next {
            return Err(DAMAGED);
        }
        let (from, end) = (self.entries + index * ENTRY, self.entries + count * ENTRY);
        self.bytes.copy_within(from..end, from + ENTRY);
        put32(&mut self.bytes, from, hash);
        put32(&mut self.bytes, from + 4, block);
        self.set_count(count + 1);
        Ok(())
    }

    /// Whether hashes from one to another belong to the entry in use.
    pub fn may_have(&self, first: u32, last: u32) -> bool {
        let next = self.at + 1;
        self.hash(self.at) <= first | 1 && (next == self.count() || last < self.hash(next))
    }

    /// Goes to the entry whose range has a hash.
    fn seek(&mut self, hash: u32) {
        let (mut low, mut high) = (1, self.count());
        while low < high {
            let middle = low.midpoint(high);
            if self.hash(middle) <= hash { low = middle + 1 } else { high = middle }
        }
        self.at = low - 1;
    }

    fn checksum(&self, seed: u32) -> u32 {
        let used = self.entries + self.count() * ENTRY;
        let end = self.entries + self.limit() * ENTRY;
        let crc = crc32c(crc32c(seed, &self.bytes[..used]), &self.bytes[end..end + 4]);
        crc32c(crc, &[0; 4])
    }

    /// Makes its checksum, if it is to have one.
    pub fn seal(&mut self, seed: Option<u32>) {
        if let Some(seed) = seed {
            let end = self.entries + self.limit() * ENTRY;
            let crc = self.checksum(seed);
            put32(&mut self.bytes, end + 4, crc);
        }
    }
}

/// Entries for which a node has room.
fn limit(size: usize, entries: usize, has_checksum: bool) -> usize {
    (size - entries - if has_checksum { TAIL } else { 0 }) / ENTRY
}

/// Whether the counts of a node are what they may be.
fn has_counts(bytes: &[u8], entries: usize, has_checksum: bool) -> bool {
    let most = limit(bytes.len(), entries, has_checksum);
    let count = le16(bytes, entries + 2).into();
    usize::from(le16(bytes, entries)) == most && (1..=most).contains(&count)
}

/// The way down a tree: its nodes from the root on.
pub struct Path {
    pub nodes: Vec<Node>,
    /// The function of the hashes.
    pub version: u8,
    /// Levels below the root.
    pub levels: u8,
}

impl Path {
    /// Goes on to the next entry, wherever it is, and returns its hash.
    pub fn advance(&mut self) -> Option<u32> {
        loop {
            let last = self.nodes.last_mut()?;
            last.at += 1;
            if last.at < last.count() {
                return Some(last.hash(last.at));
            }
            self.nodes.pop();
        }
    }
}

impl Volume {
    /// Visits the blocks of a directory in which its hash tree has a name if it has it, until `visit`
    /// returns something: their places on the disk, and what is in them.
    pub fn search_tree<T>(
        &self,
        directory: &Inode,
        name: &[u8],
        visit: &mut dyn FnMut(u64, Box<[u8]>) -> Result<Option<T>, Ext4Error>,
    ) -> Result<Search<T>, Ext4Error> {
        if matches!(name, b"." | b"..") {
            return Ok(Search::NoTree);
        }
        let Some(mut path) = self.tree(directory)? else { return Ok(Search::NoTree) };
        let Some(hash) = hash::of_name(&self.sb, path.version, name) else {
            return Ok(Search::NoTree);
        };
        let Some(mut leaf) = self.descend(directory, &mut path, Some(hash))? else {
            return Ok(Search::NoTree);
        };
        // Each block of entries is there once.
        for _ in 0..self.blocks_of(directory.metadata.size)? {
            let Some((block, bytes)) = self.tree_leaf(directory, leaf)? else { break };
            if let Some(found) = visit(block, bytes)? {
                return Ok(Search::Found(found));
            }
            // Names with one hash may be in several blocks.
            if path.advance().is_none_or(|next| next & !1 != hash) {
                return Ok(Search::Missing);
            }
            let Some(next) = self.descend(directory, &mut path, None)? else { break };
            leaf = next;
        }
        Ok(Search::NoTree)
    }

    /// The root of the hash tree of a directory, if it has one that could be used.
    pub fn tree(&self, directory: &Inode) -> Result<Option<Path>, Ext4Error> {
        if !directory.has_index() {
            return Ok(None);
        }
        let Some(root) = self.tree_node(directory, 0, ROOT)? else { return Ok(None) };
        let (version, levels) = (root.bytes[VERSION], root.bytes[LEVELS]);
        if !hash::is_known(&self.sb, version) {
            return Ok(None);
        }
        let mut nodes = Vec::new();
        // With one level more than it has.
        let room = nodes.try_reserve_exact(usize::from(levels) + 2);
        room.map_err(|_| Ext4Error::OutOfMemory)?;
        nodes.push(root);
        Ok(Some(Path { nodes, version, levels }))
    }

    /// Goes down to a block of entries: to that with a hash, or the first one. `None`: the tree
    /// contradicts itself.
    pub fn descend(
        &self,
        directory: &Inode,
        path: &mut Path,
        hash: Option<u32>,
    ) -> Result<Option<u64>, Ext4Error> {
        if let (Some(last), Some(hash)) = (path.nodes.last_mut(), hash) {
            last.seek(hash);
        }
        loop {
            let Some(block) = path.nodes.last().map(Node::block) else { return Ok(None) };
            if path.nodes.len() > usize::from(path.levels) {
                return Ok(Some(block));
            }
            let Some(mut node) = self.tree_node(directory, block, NODE)? else { return Ok(None) };
            if let Some(hash) = hash {
                node.seek(hash);
            }
            path.nodes.push(node);
        }
    }

    /// Whether all nodes of a directory's tree are such, and lead to blocks of the directory.
    pub fn has_whole_tree(&self, directory: &Inode) -> Result<bool, Ext4Error> {
        let Some(mut path) = self.tree(directory)? else { return Ok(false) };
        let blocks = self.blocks_of(directory.metadata.size)?;
        // Each block of entries is there once.
        for _ in 0..blocks {
            let leaf = self.descend(directory, &mut path, None)?;
            if leaf.is_none_or(|leaf| leaf == 0 || leaf >= blocks) {
                return Ok(false);
            }
            if path.advance().is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Levels that a tree may have below its root.
    pub fn most_levels(&self) -> u8 {
        if self.sb.large_directories { 2 } else { 1 }
    }

    /// Whether a block of a directory with a tree is a node below the root. So is an entry without
    /// a name as long as the block, but that has no counts; with checksums no entry is so long.
    pub fn is_node(&self, bytes: &[u8], has_checksum: bool) -> bool {
        le32(bytes, 0) == 0
            && self.record_length(bytes) == bytes.len()
            && (has_checksum || bytes[6] == 0 && has_counts(bytes, NODE, false))
    }

    /// A node of the tree, if it is one.
    pub fn tree_node(
        &self,
        directory: &Inode,
        at: u64,
        entries: usize,
    ) -> Result<Option<Node>, Ext4Error> {
        if at >= self.blocks_of(directory.metadata.size)? {
            return Ok(None);
        }
        let Some(place) = self.run(directory, at)?.first else { return Ok(None) };
        let bytes = self.block(place)?;
        let (size, has_checksum) = (bytes.len(), directory.seed.is_some());
        let is_right = if entries == ROOT {
            self.record_length(&bytes) == 12
                && (bytes[6], bytes[8]) == (1, b'.')
                && self.record_length(&bytes[12..]) == size - 12
                && (bytes[18], &bytes[20..22]) == (2, &b".."[..])
                && le32(&bytes, 24) == 0
                && bytes[LENGTH] == INFO_LENGTH
                && bytes[LEVELS] <= self.most_levels()
                && bytes[31] & 1 == 0
        } else {
            self.is_node(&bytes, has_checksum) && bytes[6] == 0
        };
        if !is_right || !has_counts(&bytes, entries, has_checksum) {
            return Ok(None);
        }
        let node = Node { place, bytes, entries, at: 0 };
        if let Some(seed) = directory.seed {
            let end = entries + node.limit() * ENTRY;
            if node.checksum(seed) != le32(&node.bytes, end + 4) {
                return Err(Ext4Error::Damaged("the checksum of a directory is wrong"));
            }
        }
        Ok(Some(node))
    }

    /// A block of entries, if it is one.
    pub fn tree_leaf(&self, directory: &Inode, at: u64) -> Result<Option<Leaf>, Ext4Error> {
        if at >= self.blocks_of(directory.metadata.size)? {
            return Ok(None);
        }
        let Some(block) = self.run(directory, at)?.first else { return Ok(None) };
        let bytes = self.block(block)?;
        Ok(self.has_entries(directory, at, &bytes)?.then_some((block, bytes)))
    }
}

#[cfg(test)]
#[path = "../tests/disks/mod.rs"]
pub mod disks;

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use uklock::Mutex;

    use super::*;

    const NAMES: usize = 4000;

    /// A folder with many names in one directory.
    static TREE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let many = folder.path().join("many");
        std::fs::create_dir(&many).unwrap();
        for n in 0..NAMES {
            // What has a sign, and names of all lengths.
            let name = format!("n\u{e4}me{}{n}", "\u{ff}x".repeat(n % 12));
            std::fs::write(many.join(name), "").unwrap();
        }
        folder
    });

    /// A disk with it, and with a hash tree for the names.
    fn disk(features: &str, settings: &[&str]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let options = ["-t", "ext4", "-b", "1024", "-N", "5000", "-O", features, "-d"];
        let options = [&options[..], &[TREE.path().to_str().unwrap()]].concat();
        let (bytes, _) = disks::debugfs(&disks::make(&options, "6M"), settings);
        std::fs::write(&image, bytes).unwrap();
        disks::tool("e2fsck").arg("-fyD").arg(&image).output().unwrap();
        std::fs::read(image).unwrap()
    }

    fn open(bytes: Vec<u8>) -> (Volume, Inode) {
        let volume = Volume::new(Box::new(bytes)).unwrap();
        let root = volume.inode(crate::inode::ROOT).unwrap();
        let number = volume.lookup(&root, b"many").unwrap().unwrap();
        let directory = volume.inode(number).unwrap();
        (volume, directory)
    }

    fn all(volume: &Volume, directory: &Inode) -> Vec<(Vec<u8>, u32)> {
        let mut names = Vec::new();
        volume
            .entries(directory, 0, &mut |entry| {
                names.push((entry.name.to_vec(), entry.inode));
                Ok(true)
            })
            .unwrap();
        names
    }

    /// What is found, and in how many blocks it was looked for.
    fn search(volume: &Volume, directory: &Inode, name: &[u8]) -> (Search<u32>, usize) {
        let mut blocks = 0;
        let visit = &mut |_, bytes: Box<[u8]>| {
            blocks += 1;
            volume.find_in(&bytes, name)
        };
        let found = volume.search_tree(directory, name, visit).unwrap();
        (found, blocks)
    }

    const PLAIN: &str = "^metadata_csum,^64bit";

    #[test]
    fn trees_have_what_a_search_from_the_beginning_finds() {
        if !disks::tools() {
            return;
        }
        for (features, settings) in [
            (PLAIN, &["ssv def_hash_version legacy", "ssv flags 1"]),
            (PLAIN, &["ssv def_hash_version legacy", "ssv flags 2"]),
            (PLAIN, &["ssv def_hash_version tea", "ssv flags 1"]),
            (PLAIN, &["ssv def_hash_version tea", "ssv flags 2"]),
            (PLAIN, &["ssv def_hash_version half_md4", "ssv flags 1"]),
            ("metadata_csum,64bit", &["ssv def_hash_version half_md4", "ssv flags 2"]),
            ("metadata_csum,large_dir", &["ssv hash_seed clear", "ssv flags 1"]),
        ] {
            let (volume, directory) = open(disk(features, settings));
            assert!(directory.has_index(), "{features} {settings:?}");
            let root = volume.tree_node(&directory, 0, ROOT).unwrap().unwrap();
            assert_eq!(root.bytes[30], 1, "a level between the root and the entries");
            let names = all(&volume, &directory);
            assert_eq!(names.len(), NAMES);
            let mut blocks = 0;
            for (name, inode) in &names {
                let (found, looked_at) = search(&volume, &directory, name);
                assert_eq!(found, Search::Found(*inode), "{features} {settings:?}");
                blocks += looked_at;
            }
            assert!(blocks < NAMES + NAMES / 10, "{blocks}");
            for n in 0..500 {
                let name = format!("nothing \u{fc} {n}");
                assert_eq!(search(&volume, &directory, name.as_bytes()).0, Search::Missing);
            }
            assert_eq!(search(&volume, &directory, b"..").0, Search::NoTree);
        }
    }

    #[test]
    fn trees_that_contradict_themselves_are_none() {
        if !disks::tools() {
            return;
        }
        let bytes = disk(PLAIN, &["ssv flags 1"]);
        let (volume, directory) = open(bytes.clone());
        let names = all(&volume, &directory);
        let places = [0, root_child(&volume, &directory)]
            .map(|at| volume.run(&directory, at).unwrap().first.unwrap() as usize * 1024);
        let (few, mut refused) = (&names[..3], 0);
        for (place, used) in places.into_iter().zip([60, 40]) {
            for (at, change) in (0..used).flat_map(|at| [1, 0x80].map(|change| (at, change))) {
                let mut bytes = bytes.clone();
                bytes[place + at] ^= change;
                let (volume, directory) = open(bytes);
                for (name, inode) in few {
                    let visit = &mut |_, bytes: Box<[u8]>| volume.find_in(&bytes, name);
                    if volume.search_tree(&directory, name, visit) == Ok(Search::NoTree) {
                        refused += 1;
                        let found = volume.lookup(&directory, name);
                        assert!(found == Ok(Some(*inode)) || found.is_err(), "{at}: {found:?}");
                    }
                }
            }
        }
        assert!(refused > 50, "{refused}");
        // Without a word on signs nothing is known.
        let (volume, directory) = open(disks::debugfs(&bytes, &["ssv flags 0"]).0);
        assert_eq!(search(&volume, &directory, &names[0].0).0, Search::NoTree);
        assert_eq!(volume.lookup(&directory, &names[0].0), Ok(Some(names[0].1)));
        // With checksums, damage is damage.
        let mut bytes = disk("metadata_csum", &["ssv flags 1"]);
        let (volume, directory) = open(bytes.clone());
        let root = volume.run(&directory, 0).unwrap().first.unwrap() as usize * 1024;
        bytes[root + 36] ^= 1;
        let (volume, directory) = open(bytes);
        assert!(matches!(volume.lookup(&directory, b"name"), Err(Ext4Error::Damaged(_))));
    }

    #[test]
    fn what_is_in_a_tree_that_contradicts_itself_is_listed() {
        if !disks::tools() {
            return;
        }
        let bytes = disk(PLAIN, &["ssv flags 1"]);
        let (volume, directory) = open(bytes.clone());
        let mut expected = all(&volume, &directory);
        expected.sort_unstable();
        let mut root = volume.tree_node(&directory, 0, ROOT).unwrap().unwrap();
        assert!(root.count() > 1);
        for at in 0..root.count() {
            root.at = at;
            let node = volume.run(&directory, root.block()).unwrap().first.unwrap() as usize * 1024;
            let mut bytes = bytes.clone();
            bytes[node + NODE + 2..node + NODE + 4].fill(0);
            let (volume, directory) = open(bytes);
            let (mut found, mut next) = (Vec::new(), Some(0));
            while let Some(from) = next.take() {
                let end = found.len() + 100;
                let listed = volume.list(&directory, from, &Mutex::default(), &mut |entry| {
                    found.push((entry.name.to_vec(), entry.inode));
                    next = Some(entry.next);
                    Ok(found.len() < end)
                });
                listed.unwrap();
            }
            found.sort_unstable();
            assert!(found == expected, "{at}");
        }
    }

    fn root_child(volume: &Volume, directory: &Inode) -> u64 {
        volume.tree_node(directory, 0, ROOT).unwrap().unwrap().block()
    }
}
