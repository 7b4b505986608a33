//! Blocks of a hash tree with names of one hash, which may be more than one block has.
//!
//! As somebody may have made any number of such names, memory is taken for some of them at a time:
//! the blocks are gone through again for those that come behind.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use ukfile::{Kind, fallible};

use crate::Ext4Error;
use crate::directory::{DAMAGED, DirectoryEntry};
use crate::index::Path;
use crate::order::{Listing, Visit};

/// Entries that are put in order at once, at most.
const MOST: usize = 256;
/// Blocks that are put in order together, at most. Who fills so many makes a million names of one
/// hash, and has each compared with all that are there.
const MOST_BLOCKS: usize = 1 << 16;
const TOO_MANY: Ext4Error =
    Ext4Error::Damaged("too many blocks of a directory have names with one hash");

/// A block of entries, and which hashes its names may have.
pub struct Part {
    pub at: u64,
    hashes: Range<u32>,
}

/// The first block of a chain, and the smallest hash that its names may have.
pub type First = (u64, u32);

/// An entry without its block.
struct Kept {
    position: u64,
    name: Box<[u8]>,
    inode: u32,
    kind: Option<Kind>,
}

impl Kept {
    fn key(&self) -> (u64, &[u8]) {
        (self.position, &self.name)
    }
}

/// Keeps the first ones, and one more to tell that there are others. Each name is there once.
fn shorten(kept: &mut Vec<Kept>) -> Result<(), Ext4Error> {
    kept.sort_unstable_by(|one, other| one.key().cmp(&other.key()));
    if kept.windows(2).any(|two| two[0].key() == two[1].key()) {
        return Err(DAMAGED);
    }
    kept.truncate(MOST + 1);
    Ok(())
}

impl Listing<'_> {
    /// The blocks that are put in order together from one on, and the first one behind them. There
    /// are not more than `left`.
    pub fn chain(
        &self,
        path: &mut Path,
        (mut at, mut low): First,
        left: &mut u64,
    ) -> Result<(Vec<Part>, Option<First>), Ext4Error> {
        let mut parts = Vec::new();
        loop {
            *left = left.checked_sub(1).ok_or(DAMAGED)?;
            if parts.len() == MOST_BLOCKS {
                return Err(TOO_MANY);
            }
            let next = path.advance();
            let part = Part { at, hashes: low..next.unwrap_or(u32::MAX) };
            fallible::push(&mut parts, part).map_err(|_| Ext4Error::OutOfMemory)?;
            let Some(hash) = next else { break };
            at = self.volume.descend(self.directory, path, None)?.ok_or(DAMAGED)?;
            // The lowest bit: the block before has names with the same hash.
            low = hash & !1;
            if low == hash {
                return Ok((in_order(parts)?, Some((at, low))));
            }
        }
        Ok((in_order(parts)?, None))
    }

    /// Visits the entries of a chain in order. Whether to go on.
    pub fn list_chain(&self, parts: &[Part], visit: Visit<'_>) -> Result<bool, Ext4Error> {
        let mut kept = self.first_of(parts, self.start.key())?;
        loop {
            let mut entries = Vec::new();
            entries.try_reserve_exact(kept.len()).map_err(|_| Ext4Error::OutOfMemory)?;
            entries.extend(kept.iter().map(|Kept { position, name, inode, kind }| {
                (*position, DirectoryEntry { name, inode: *inode, kind: *kind, next: 0 })
            }));
            if !self.give(&entries, MOST, visit)? {
                return Ok(false);
            }
            drop(entries);
            if kept.len() <= MOST {
                return Ok(true);
            }
            let last = kept.swap_remove(MOST - 1);
            drop(kept);
            kept = self.first_of(parts, last.key())?;
        }
    }

    /// The first entries behind one of them in the order.
    fn first_of(&self, parts: &[Part], start: (u64, &[u8])) -> Result<Vec<Kept>, Ext4Error> {
        let mut kept = Vec::new();
        for part in parts {
            let (_, bytes) = self.volume.tree_leaf(self.directory, part.at)?.ok_or(DAMAGED)?;
            self.volume.in_block(&bytes, 0, 0, &mut |entry| {
                let position = self.position(entry.name)?;
                if !part.hashes.contains(&((position >> 32 << 1) as u32)) {
                    return Err(DAMAGED);
                }
                if (position, entry.name) <= start {
                    return Ok(true);
                }
                if kept.len() == 2 * MOST {
                    shorten(&mut kept)?;
                }
                let name = fallible::copy(entry.name).map_err(|_| Ext4Error::OutOfMemory)?;
                let entry = Kept { position, name, inode: entry.inode, kind: entry.kind };
                fallible::push(&mut kept, entry).map_err(|_| Ext4Error::OutOfMemory)?;
                Ok(true)
            })?;
        }
        shorten(&mut kept)?;
        Ok(kept)
    }
}

/// Blocks of a chain in the order of their numbers; each is there once.
fn in_order(mut parts: Vec<Part>) -> Result<Vec<Part>, Ext4Error> {
    parts.sort_unstable_by_key(|part| part.at);
    let is_twice = parts.windows(2).any(|two| two[0].at == two[1].at);
    if is_twice { Err(DAMAGED) } else { Ok(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{le32, put32};
    use crate::index::disks::{self, alike};
    use crate::index::{ENTRY, LEVELS, NODE, Node};
    use crate::order::tests::Many;

    /// A directory with names of one hash, with smaller and with larger ones.
    fn many() -> Many {
        let mut many = Many::new();
        (0..300).for_each(|n| many.add(&format!("name {n}")));
        (0..60).for_each(|n| many.add(&alike::name(n * 0x1234_5671)));
        many
    }

    fn root(many: &Many) -> Node {
        let directory = many.volume.inode(many.directory).unwrap();
        let mut path = many.volume.tree(&directory).unwrap().unwrap();
        assert_eq!((path.levels, path.nodes.len()), (0, 1));
        path.nodes.remove(0)
    }

    /// Changes hashes and blocks of the root's entries.
    fn change_root(many: &mut Many, change: impl Fn(&mut [(u32, u32)])) {
        let mut root = root(many);
        let place = |n| root.entries + n * ENTRY;
        let entry = |n| (root.hash(n), le32(&root.bytes, place(n) + 4));
        let mut entries: Vec<_> = (0..root.count()).map(entry).collect();
        change(&mut entries);
        for (n, (hash, block)) in entries.into_iter().enumerate() {
            let at = root.entries + n * ENTRY;
            if n > 0 {
                put32(&mut root.bytes, at, hash);
            }
            put32(&mut root.bytes, at + 4, block);
        }
        many.volume.operation(|volume| volume.replace(root.place, &root.bytes)).unwrap();
    }

    /// Entries of the root that lead to blocks with names of one hash, but the first.
    fn further(entries: &[(u32, u32)]) -> Vec<usize> {
        let further: Vec<_> = (1..entries.len()).filter(|n| entries[*n].0 & 1 != 0).collect();
        assert!(further.len() > 10);
        further
    }

    #[test]
    fn chains_have_each_block_once() {
        if !disks::tools() {
            return;
        }
        let mut many = many();
        let all = many.list(0, usize::MAX);
        assert_eq!(all.len(), 360);
        change_root(&mut many, |entries| {
            let further = further(entries);
            entries[further[3]].1 = entries[further[9]].1;
        });
        assert!(many.try_list(0, usize::MAX) == Err(DAMAGED));
        // Those behind it are as they were.
        assert!(many.list(all[299].1, usize::MAX) == all[300..]);
        // All blocks of the tree are one, and in one chain.
        let name = all[200].1;
        change_root(&mut many, |entries| {
            let one = entries[further(entries)[0]].1;
            entries.iter_mut().for_each(|(hash, block)| (*hash, *block) = (*hash | 1, one));
        });
        assert_eq!(many.try_list(0, 1), Err(DAMAGED));
        assert_eq!(many.try_list(name, 1), Err(DAMAGED));
    }

    #[test]
    fn chains_have_the_names_that_belong_there() {
        if !disks::tools() {
            return;
        }
        let mut many = many();
        let all = many.list(0, usize::MAX);
        // The block before says that it goes on: nothing else is wrong.
        let before = |entries: &[(u32, u32)]| {
            (2..entries.len()).find(|n| entries[n - 1].0 & 1 == 0 && entries[*n].0 & 1 == 0)
        };
        change_root(&mut many, |entries| entries[before(entries).unwrap()].0 |= 1);
        assert!(many.list(0, usize::MAX) == all);
        // It leads to names with smaller hashes, and the one before it to those with larger ones.
        change_root(&mut many, |entries| {
            let n = (1..entries.len()).find(|n| entries[*n].0 & 1 != 0).unwrap();
            let block = entries[n].1;
            entries[n].1 = entries[n - 1].1;
            entries[n - 1].1 = block;
        });
        assert!(many.try_list(0, usize::MAX) == Err(DAMAGED));
    }

    /// Makes a block a node with as many entries as it may have, all of which lead to one block.
    fn make_node(many: &mut Many, at: u32, to: u32) {
        let directory = many.volume.inode(many.directory).unwrap();
        let place = many.volume.run(&directory, at.into()).unwrap().first.unwrap();
        let mut node = Node { place, bytes: vec![0; 1024].into(), entries: NODE, at: 0 };
        many.volume.put_length(&mut node.bytes, 0, 1024);
        node.set_limit(false);
        node.set_first(to);
        node.set_count(1);
        while node.has_room() {
            node.insert(u32::MAX, to).unwrap();
        }
        many.volume.operation(|volume| volume.replace(place, &node.bytes)).unwrap();
    }

    #[test]
    fn chains_have_an_end() {
        if !disks::tools() {
            return;
        }
        let mut many = Many::on("^metadata_csum,large_dir", "100M");
        (0..60).for_each(|n| many.add(&alike::name(n * 0x1234_5671)));
        // From the root to one node, to another one, to one block of names: 80 000 times.
        let mut root = root(&many);
        let blocks = [0, 1, 2].map(|n| le32(&root.bytes, root.entries + n * ENTRY + 4));
        make_node(&mut many, blocks[0], blocks[1]);
        make_node(&mut many, blocks[1], blocks[2]);
        root.bytes[LEVELS] = 2;
        root.set_count(1);
        (0..4).for_each(|_| root.insert(u32::MAX, blocks[0]).unwrap());
        let number = many.directory;
        many.volume
            .operation(|volume| {
                volume.replace(root.place, &root.bytes)?;
                let mut draft = volume.draft(number)?;
                draft.set_size(81_000 << 10);
                volume.store(&mut draft)
            })
            .unwrap();
        assert!(many.try_list(0, 1) == Err(TOO_MANY));
    }

    /// Names in blocks that go on may all be gone, or only those with the same hash.
    #[test]
    fn chains_without_names_are_no_damage() {
        if !disks::tools() {
            return;
        }
        for keep in [0u64, 2, 7] {
            let mut many = many();
            for n in (0..60).filter(|n| keep == 0 || n % keep != 0) {
                many.remove(&alike::name(n * 0x1234_5671));
            }
            let left = 300 + if keep == 0 { 0 } else { 60usize.div_ceil(keep as usize) };
            assert_eq!(many.list(0, usize::MAX).len(), left, "{keep}");
            // One that is there twice is damage, whatever it has.
            change_root(&mut many, |entries| {
                let further = further(entries);
                entries[further[3]].1 = entries[further[9]].1;
            });
            assert!(many.try_list(0, usize::MAX) == Err(DAMAGED), "{keep}");
        }
    }
}
