//! Which blocks of the disk a file has.

use ukfile::fallible;

use crate::Ext4Error;
use crate::bytes::{crc32c, le16, le32, wide};
use crate::inode::Inode;
use crate::volume::Volume;

/// Blocks of a file that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first on the disk; `None` for zeros.
    pub first: Option<u64>,
    /// How many, at least 1.
    pub blocks: u64,
}

pub const MAGIC: u16 = 0xf30a;
/// Bytes of the head of a node, and of each entry.
pub const ENTRY: usize = 12;
/// Levels below the root.
pub const MAX_DEPTH: u16 = 5;
/// Extents that are longer are not written yet, by how much they are longer.
pub const WRITTEN: u16 = 1 << 15;
/// Files have numbers of blocks of 32 bits.
const LAST: u64 = u32::MAX as u64;
/// Blocks that an inode without extents names itself.
const DIRECT: u64 = 12;

pub const DAMAGED: Ext4Error = Ext4Error::Damaged("a file's map of blocks contradicts itself");

impl Volume {
    /// The blocks of `inode` from its block `at` on that belong together.
    pub fn run(&self, inode: &Inode, at: u64) -> Result<Run, Ext4Error> {
        if at > LAST {
            return Err(DAMAGED);
        }
        let run = if inode.has_extents() {
            self.extent(inode, at as u32)?
        } else {
            self.indirect(inode, at)?
        };
        if let Some(first) = run.first {
            let end = first.checked_add(run.blocks).filter(|end| *end <= self.sb.blocks);
            if first == 0 || end.is_none() {
                return Err(DAMAGED);
            }
        }
        Ok(run)
    }

    /// Goes down the tree of extents.
    fn extent(&self, inode: &Inode, at: u32) -> Result<Run, Ext4Error> {
        let node = fallible::copy(&inode.body);
        let mut node = node.map_err(|_| Ext4Error::OutOfMemory)?;
        // Where the next extent begins at the earliest, as far as is known.
        let mut next = LAST + 1;
        let mut expected = None;
        loop {
            let (entries, depth) = (usize::from(le16(&node, 2)), le16(&node, 6));
            let right = match expected {
                None => depth <= MAX_DEPTH,
                Some(expected) => depth == expected,
            };
            if le16(&node, 0) != MAGIC || !right || (entries + 1) * ENTRY > node.len() {
                return Err(DAMAGED);
            }
            let entry = |index: usize| &node[(index + 1) * ENTRY..(index + 2) * ENTRY];
            // How many of them begin at the block or before it: they are in order.
            let (mut low, mut high) = (0, entries);
            while low < high {
                let middle = low.midpoint(high);
                if le32(entry(middle), 0) <= at { low = middle + 1 } else { high = middle }
            }
            if low < entries {
                next = next.min(le32(entry(low), 0).into());
            }
            let hole = Run { first: None, blocks: next.saturating_sub(at.into()).max(1) };
            let Some(index) = low.checked_sub(1) else { return Ok(hole) };
            let found = entry(index);
            if depth == 0 {
                let (skipped, length) = (at - le32(found, 0), le16(found, 4));
                let (length, is_written) =
                    if length > WRITTEN { (length - WRITTEN, false) } else { (length, true) };
                if skipped >= u32::from(length) {
                    return Ok(hole);
                }
                let first = wide(le16(found, 6).into(), le32(found, 8)) + u64::from(skipped);
                let blocks = u64::from(u32::from(length) - skipped);
                return Ok(Run { first: is_written.then_some(first), blocks });
            }
            let child = wide(le16(found, 8).into(), le32(found, 4));
            expected = Some(depth - 1);
            node = self.block(child)?;
            self.check_node(inode.seed, &node)?;
        }
    }

    /// The checksum is behind the last entry for which there is room.
    pub fn check_node(&self, seed: Option<u32>, node: &[u8]) -> Result<(), Ext4Error> {
        let Some(seed) = seed else { return Ok(()) };
        let end = (usize::from(le16(node, 4)) + 1) * ENTRY;
        if end + 4 > node.len() || crc32c(seed, &node[..end]) != le32(node, end) {
            return Err(Ext4Error::Damaged("the checksum of a map of blocks is wrong"));
        }
        Ok(())
    }

    /// Goes through tables of block numbers, up to three levels of them.
    fn indirect(&self, inode: &Inode, at: u64) -> Result<Run, Ext4Error> {
        if at < DIRECT {
            return Ok(in_table(&inode.body[..DIRECT as usize * 4], at as usize));
        }
        let per = u64::from(self.sb.block_size) / 4;
        let mut at = at - DIRECT;
        let mut blocks = per;
        let mut levels = 1;
        while at >= blocks {
            if levels == 3 {
                return Err(DAMAGED);
            }
            (at, blocks, levels) = (at - blocks, blocks * per, levels + 1);
        }
        let mut table_at = le32(&inode.body, (DIRECT as usize + levels - 1) * 4);
        loop {
            if table_at == 0 {
                return Ok(Run { first: None, blocks: blocks - at });
            }
            let table = self.block(table_at.into())?;
            blocks /= per;
            let index = (at / blocks) as usize;
            if blocks == 1 {
                return Ok(in_table(&table, index));
            }
            at %= blocks;
            table_at = le32(&table, index * 4);
        }
    }
}

/// The entries of a table from `index` on that belong together.
fn in_table(table: &[u8], index: usize) -> Run {
    let first = le32(table, index * 4);
    let step = u32::from(first != 0);
    let more = table[(index + 1) * 4..].chunks_exact(4);
    let same = more.zip(1u32..).take_while(|(entry, n)| {
        Some(le32(entry, 0)) == n.checked_mul(step).and_then(|n| first.checked_add(n))
    });
    let blocks = 1 + same.count() as u64;
    Run { first: (first != 0).then_some(first.into()), blocks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_a_table() {
        let table: Vec<u8> =
            [0u32, 0, 7, 8, 9, 11, u32::MAX, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
        let run = |index| {
            let Run { first, blocks } = in_table(&table, index);
            (first, blocks)
        };
        assert_eq!(run(0), (None, 2));
        assert_eq!(run(1), (None, 1));
        assert_eq!(run(2), (Some(7), 3));
        assert_eq!(run(5), (Some(11), 1));
        assert_eq!(run(6), (Some(u32::MAX.into()), 1));
        assert_eq!(run(7), (None, 1));
    }
}
