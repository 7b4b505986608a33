//! The names in a directory.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashTable;
use ukerrno::Errno;

use crate::node::RamNode;

/// Positions below are those of `.` and `..`.
const FIRST_POSITION: u64 = 2;

struct Entry {
    /// Where it is in listings; later entries have larger ones.
    position: u64,
    hash: u64,
    name: Box<[u8]>,
    /// `None` when it was removed.
    node: Option<Arc<RamNode>>,
}

/// Names with their nodes: entries in the order of their positions, and a table by name.
pub struct Directory {
    entries: Vec<Entry>,
    by_name: HashTable<u32>,
    next_position: u64,
    /// Differs between file systems, so that nobody can choose names that collide.
    seed: u64,
    /// Entries that are directories.
    pub directories: u32,
    /// Whether it was removed, and nothing can be made in it any more.
    pub removed: bool,
}

/// The hash of what the table holds. One function, so that the table's code is in images once.
fn hash_of(entries: &[Entry]) -> impl Fn(&u32) -> u64 {
    move |&index| entries[index as usize].hash
}

impl Directory {
    pub fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            by_name: HashTable::new(),
            next_position: FIRST_POSITION,
            seed,
            directories: 0,
            removed: false,
        }
    }

    /// How many names it has.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        let hash = hash(name, self.seed);
        let same = |&index: &u32| {
            let entry = &self.entries[index as usize];
            entry.hash == hash && *entry.name == *name
        };
        self.by_name.find(hash, same).map(|&index| index as usize)
    }

    /// The node of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<RamNode>> {
        self.entries[self.find(name)?].node.as_ref()
    }

    /// Makes room for one more, so that inserting it cannot fail.
    pub fn reserve(&mut self) -> Result<(), Errno> {
        let Self { entries, by_name, .. } = self;
        if entries.len() >= u32::MAX as usize {
            return Err(Errno::ENOSPC);
        }
        entries.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        by_name.try_reserve(1, hash_of(entries)).map_err(|_| Errno::ENOMEM)
    }

    /// Adds a name that is not there. [`Directory::reserve`] has made room.
    pub fn insert(&mut self, name: Box<[u8]>, node: Arc<RamNode>) {
        let hash = hash(&name, self.seed);
        let index = self.entries.len() as u32;
        let position = self.next_position;
        self.next_position += 1;
        self.directories += u32::from(node.is_directory());
        self.entries.push(Entry { position, hash, name, node: Some(node) });
        self.by_name.insert_unique(hash, index, hash_of(&self.entries));
    }

    /// Gives a name to another node; its position stays.
    pub fn replace(&mut self, name: &[u8], node: Arc<RamNode>) -> Option<Arc<RamNode>> {
        let index = self.find(name)?;
        self.directories += u32::from(node.is_directory());
        let old = self.entries[index].node.replace(node)?;
        self.directories -= u32::from(old.is_directory());
        Some(old)
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &[u8]) -> Option<Arc<RamNode>> {
        let hash = hash(name, self.seed);
        let index = self.find(name)? as u32;
        if let Ok(found) = self.by_name.find_entry(hash, |&i| i == index) {
            found.remove();
        }
        let entry = &mut self.entries[index as usize];
        entry.name = Box::default();
        let node = entry.node.take()?;
        self.directories -= u32::from(node.is_directory());
        if self.entries.len() > 16 && self.by_name.len() < self.entries.len() / 2 {
            self.compact();
        }
        Some(node)
    }

    /// Drops the traces of removed entries.
    fn compact(&mut self) {
        self.entries.retain(|e| e.node.is_some());
        self.by_name.clear();
        let Self { entries, by_name, .. } = self;
        for (index, entry) in entries.iter().enumerate() {
            // It had room for all of them before.
            by_name.insert_unique(entry.hash, index as u32, hash_of(entries));
        }
    }

    /// The entries from position `from` on: position, name, node.
    pub fn from(&self, from: u64) -> impl Iterator<Item = (u64, &[u8], &Arc<RamNode>)> {
        let start = self.entries.partition_point(|e| e.position < from);
        self.entries[start..]
            .iter()
            .filter_map(|e| e.node.as_ref().map(|node| (e.position, &*e.name, node)))
    }

    /// Takes out all nodes.
    pub fn drain(&mut self) -> Vec<Arc<RamNode>> {
        self.by_name.clear();
        let entries = core::mem::take(&mut self.entries);
        entries.into_iter().filter_map(|e| e.node).collect()
    }
}

/// Mixes by multiplication to 128 bits, as "wyhash" does (Wang Yi), 8 bytes at a time; the last 8, or fewer of
/// a short name, may be some of those before.
fn hash(name: &[u8], seed: u64) -> u64 {
    let mut state = seed ^ name.len() as u64;
    let (words, _) = name.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), 0x9e37_79b9_7f4a_7c15);
    }
    let last = match (name.last_chunk::<8>(), name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(word), ..) => u64::from_le_bytes(*word),
        (_, Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    fold(state ^ last, 0xe703_7ed1_a0b4_28db ^ seed)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_have_different_hashes() {
        // One for each way to the last word; the table uses the upper 7 bits and the lower ones.
        let different = |count: usize, name: fn(usize) -> String| {
            let hashes = (0..count).map(|n| hash(name(n).as_bytes(), 1));
            let hashes = hashes.map(|h| h >> 57 << 20 | h & 0xf_ffff);
            hashes.collect::<std::collections::HashSet<u64>>().len()
        };
        let (long, middle, short) = (
            different(100_000, |n| format!("file{n:08}")),
            different(100_000, |n| format!("f{n:05}")),
            different(1000, |n| format!("{n:03}")),
        );
        assert!(long > 99_000 && middle > 99_000 && short > 990, "{long} {middle} {short}");
    }
}
