//! The journal (jbd2): what was committed, and perhaps not yet written to its place.

use alloc::vec::Vec;

use ukfile::fallible;

use crate::Ext4Error;
use crate::bytes::{be16, be32, crc32c, crc32c_without, wide};
use crate::inode::Inode;
use crate::volume::Volume;

pub const MAGIC: u32 = 0xc03b_3998;
/// Types of blocks.
pub const DESCRIPTOR: u32 = 1;
pub const COMMIT: u32 = 2;
const SUPERBLOCK_1: u32 = 3;
pub const SUPERBLOCK_2: u32 = 4;
pub const REVOKE: u32 = 5;
/// Bytes of the head that they have: magic number, type, number of the transaction.
pub const HEAD: usize = 12;
/// Features: `INCOMPAT_64BIT`, `_CSUM_V2`, `_CSUM_V3`, and all that are known, with `_REVOKE` and
/// `_ASYNC_COMMIT`.
pub const WIDE: u32 = 0x2;
const CHECKSUMS_2: u32 = 0x8;
pub const CHECKSUMS_3: u32 = 0x10;
pub const REVOKES: u32 = 0x1;
pub const KNOWN: u32 = REVOKES | WIDE | 0x4 | CHECKSUMS_2 | CHECKSUMS_3;
const FAST_COMMIT: u32 = 0x20;
/// Flags of the tag of a block: its first bytes were the magic number; no identification of the
/// file system follows; it is the last of its descriptor.
pub const ESCAPED: u32 = 1;
pub const SAME: u32 = 2;
pub const LAST: u32 = 8;

/// Where the newest content of a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub block: u64,
    escaped: bool,
}

impl Place {
    /// Puts the magic number back into what was read from byte `from` on.
    pub fn restore(self, from: u64, bytes: &mut [u8]) {
        if self.escaped {
            let magic = MAGIC.to_be_bytes();
            let skipped = usize::try_from(from).map_or(4, |from| from.min(4));
            bytes.iter_mut().zip(&magic[skipped..]).for_each(|(byte, new)| *byte = *new);
        }
    }
}

/// The blocks whose newest content is in the journal.
#[derive(Debug, Default)]
pub struct Journal {
    /// Of each block the last one that counts, by the numbers of the blocks.
    tags: Vec<Tag>,
    /// The number that no transaction in it has, if there are any.
    pub sequence: Option<u32>,
}

impl Journal {
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    pub fn place(&self, block: u64) -> Option<Place> {
        let at = self.tags.binary_search_by_key(&block, |tag| tag.block).ok()?;
        Some(self.tags[at].place)
    }

    /// Reads the journal of a file system that was not unmounted. What comes behind the last
    /// transaction that was committed does not count.
    pub fn read(volume: &Volume) -> Result<Self, Ext4Error> {
        if volume.sb.journal == 0 {
            return Err(Ext4Error::Unsupported(
                "its journal, which has to be replayed, is on another disk; run e2fsck on it",
            ));
        }
        let inode = volume.inode(volume.sb.journal)?;
        let Some(mut log) = Log::open(volume, &inode)? else { return Ok(Self::default()) };
        while log.transaction()? {}
        // One that was begun may be there with the next number.
        let sequence = Some(log.sequence.wrapping_add(1));
        Ok(Self { tags: log.newest(), sequence })
    }

    /// The number of one of the blocks, in their order.
    pub fn block(&self, index: usize) -> Option<u64> {
        self.tags.get(index).map(|tag| tag.block)
    }
}

/// A block that a transaction has.
#[derive(Clone, Copy, Debug)]
struct Tag {
    block: u64,
    sequence: u32,
    place: Place,
    /// Blocks that may still come behind it: less for later ones.
    left: u64,
}

/// The journal while it is read.
struct Log<'a> {
    volume: &'a Volume,
    inode: &'a Inode,
    features: u32,
    seed: Option<u32>,
    /// The blocks that go round.
    first: u64,
    end: u64,
    next: u64,
    /// How many may still be read: each once.
    left: u64,
    sequence: u32,
    tags: Vec<Tag>,
    /// Blocks, and the transaction up to whose end their content does not count.
    revoked: Vec<(u64, u32)>,
}

const DAMAGED: Ext4Error = Ext4Error::Damaged("its journal contradicts itself");

/// Bytes of the journal's superblock.
pub const SUPERBLOCK: usize = 1024;

/// Reads the superblock of the journal.
pub fn read_superblock(volume: &Volume, inode: &Inode, sb: &mut [u8]) -> Result<(), Ext4Error> {
    if volume.read(inode, 0, sb)? < SUPERBLOCK
        || be32(sb, 0) != MAGIC
        || be32(sb, 0xc) != volume.sb.block_size
    {
        return Err(DAMAGED);
    }
    let has_checksum =
        be32(sb, 4) == SUPERBLOCK_2 && be32(sb, 0x28) & (CHECKSUMS_2 | CHECKSUMS_3) != 0;
    if has_checksum && crc32c_without(!0, sb, 0xfc, 4) != be32(sb, 0xfc) {
        return Err(Ext4Error::Damaged("the checksum of its journal is wrong"));
    }
    Ok(())
}

/// Numbers of transactions go round.
fn is_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

impl<'a> Log<'a> {
    /// Reads the superblock of the journal. `None`: there is nothing in it.
    fn open(volume: &'a Volume, inode: &'a Inode) -> Result<Option<Self>, Ext4Error> {
        let mut sb = [0; SUPERBLOCK];
        read_superblock(volume, inode, &mut sb)?;
        let size = volume.sb.block_size;
        let features = match be32(&sb, 4) {
            SUPERBLOCK_1 => 0,
            SUPERBLOCK_2 => be32(&sb, 0x28),
            _ => return Err(DAMAGED),
        };
        if features & FAST_COMMIT != 0 {
            return Err(Ext4Error::Unsupported(
                "its journal, which has to be replayed, has fast commits; run e2fsck on it",
            ));
        }
        if features & !KNOWN != 0 {
            return Err(Ext4Error::Unsupported(
                "its journal, which has to be replayed, has unknown features; run e2fsck on it",
            ));
        }
        let has_checksums = features & (CHECKSUMS_2 | CHECKSUMS_3) != 0;
        let [end, first, next] = [0x10, 0x14, 0x1c].map(|at| u64::from(be32(&sb, at)));
        if next == 0 {
            return Ok(None);
        }
        let blocks = (inode.metadata.size / u64::from(size)).min(volume.sb.blocks);
        if first == 0 || !(first..end).contains(&next) || end > blocks {
            return Err(DAMAGED);
        }
        Ok(Some(Self {
            volume,
            inode,
            features,
            seed: has_checksums.then(|| crc32c(!0, &sb[0x30..0x40])),
            first,
            end,
            next,
            left: end - first,
            sequence: be32(&sb, 0x18),
            tags: Vec::new(),
            revoked: Vec::new(),
        }))
    }

    /// Where the next block is on the disk.
    fn take(&mut self) -> Result<Option<u64>, Ext4Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let run = self.volume.run(self.inode, self.next)?;
        self.left -= 1;
        self.next = if self.next + 1 == self.end { self.first } else { self.next + 1 };
        run.first.map(Some).ok_or(DAMAGED)
    }

    /// Reads one transaction; `false`: it was not committed, and nothing comes after it.
    fn transaction(&mut self) -> Result<bool, Ext4Error> {
        let (mut tags, mut revoked) = (Vec::new(), Vec::new());
        loop {
            let Some(at) = self.take()? else { return Ok(false) };
            let block = self.volume.block(at)?;
            if be32(&block, 0) != MAGIC || be32(&block, 8) != self.sequence {
                return Ok(false);
            }
            let kind = be32(&block, 4);
            let checksum_at = match kind {
                COMMIT => 0x10,
                _ => block.len() - 4,
            };
            if let Some(seed) = self.seed {
                // What was being written when the machine ended was not committed.
                if crc32c_without(seed, &block, checksum_at, 4) != be32(&block, checksum_at) {
                    return Ok(false);
                }
            }
            let end = if self.seed.is_some() { block.len() - 4 } else { block.len() };
            match kind {
                DESCRIPTOR => {
                    if !self.descriptor(&block[..end], &mut tags)? {
                        return Ok(false);
                    }
                }
                REVOKE => self.revocations(&block[..end], &mut revoked)?,
                COMMIT => break,
                _ => return Ok(false),
            }
        }
        for tag in &tags {
            self.check(tag)?;
        }
        self.tags.try_reserve(tags.len()).map_err(|_| Ext4Error::OutOfMemory)?;
        self.tags.extend(tags.into_iter().map(|(tag, _)| tag));
        self.revoked.try_reserve(revoked.len()).map_err(|_| Ext4Error::OutOfMemory)?;
        self.revoked.extend(revoked.into_iter().map(|block| (block, self.sequence)));
        self.sequence = self.sequence.wrapping_add(1);
        Ok(true)
    }

    /// The blocks that a descriptor names, which come behind it. `false`: the journal ends before.
    fn descriptor(&mut self, bytes: &[u8], tags: &mut Vec<(Tag, u32)>) -> Result<bool, Ext4Error> {
        let is_wide = self.features & WIDE != 0;
        let newest = self.features & CHECKSUMS_3 != 0;
        let middle = self.features & CHECKSUMS_2 != 0;
        let length = match (newest, is_wide) {
            (true, _) => 16,
            (false, true) => 12 + 2 * usize::from(middle),
            (false, false) => 8 + 2 * usize::from(middle),
        };
        let mut at = HEAD;
        loop {
            let tag = bytes.get(at..at + length).ok_or(DAMAGED)?;
            let (flags, high, checksum) = if newest {
                (be32(tag, 4), be32(tag, 8), be32(tag, 12))
            } else {
                let high = if is_wide { be32(tag, 8) } else { 0 };
                (be16(tag, 6).into(), high, be16(tag, 4).into())
            };
            let block = wide(if is_wide { high } else { 0 }, be32(tag, 0));
            let Some(place) = self.take()? else { return Ok(false) };
            let place = Place { block: place, escaped: flags & ESCAPED != 0 };
            let tag = Tag { block, sequence: self.sequence, place, left: self.left };
            fallible::push(tags, (tag, checksum)).map_err(|_| Ext4Error::OutOfMemory)?;
            if flags & LAST != 0 {
                return Ok(true);
            }
            at += length + if flags & SAME != 0 { 0 } else { 16 };
        }
    }

    /// The blocks whose earlier content does not count.
    fn revocations(&self, bytes: &[u8], blocks: &mut Vec<u64>) -> Result<(), Ext4Error> {
        let width = if self.features & WIDE != 0 { 8 } else { 4 };
        let used = be32(bytes, HEAD) as usize;
        let list = bytes.get(HEAD + 4..used).ok_or(DAMAGED)?;
        for entry in list.chunks_exact(width) {
            let block = if width == 8 {
                wide(be32(entry, 0), be32(entry, 4))
            } else {
                be32(entry, 0).into()
            };
            fallible::push(blocks, block).map_err(|_| Ext4Error::OutOfMemory)?;
        }
        Ok(())
    }

    /// The content of a block that was committed must be what was committed.
    fn check(&self, (tag, checksum): &(Tag, u32)) -> Result<(), Ext4Error> {
        let Some(seed) = self.seed else { return Ok(()) };
        let content = self.volume.block(tag.place.block)?;
        let crc = crc32c(crc32c(seed, &tag.sequence.to_be_bytes()), &content);
        let all = self.features & CHECKSUMS_3 != 0;
        if crc == *checksum || (!all && crc & 0xffff == *checksum) {
            return Ok(());
        }
        Err(Ext4Error::Damaged("the checksum of a block in its journal is wrong"))
    }

    /// Of each block the last content that counts.
    fn newest(mut self) -> Vec<Tag> {
        // Of each block the last revocation first; numbers of transactions go round.
        let last = self.sequence;
        self.revoked
            .sort_unstable_by_key(|(block, sequence)| (*block, last.wrapping_sub(*sequence)));
        let revoked = self.revoked;
        self.tags.retain(|tag| {
            let at = revoked.partition_point(|(block, _)| *block < tag.block);
            let last = revoked.get(at).filter(|(block, _)| *block == tag.block);
            last.is_none_or(|(_, last)| is_before(*last, tag.sequence))
        });
        self.tags.sort_unstable_by_key(|tag| (tag.block, tag.left));
        self.tags.dedup_by_key(|tag| tag.block);
        self.tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_magic_number_comes_back() {
        let place = Place { block: 1, escaped: true };
        let restored = |from, length| {
            let mut bytes = vec![0; length];
            place.restore(from, &mut bytes);
            bytes
        };
        assert_eq!(restored(0, 6), [0xc0, 0x3b, 0x39, 0x98, 0, 0]);
        assert_eq!(restored(2, 1), [0x39]);
        assert_eq!(restored(4, 3), [0; 3]);
        assert!(is_before(u32::MAX, 0) && !is_before(0, u32::MAX) && !is_before(3, 3));
    }
}
