//! Inodes: what a file is.

use ukfile::{Kind, Metadata, Timestamp};

use crate::Ext4Error;
use crate::bytes::{crc32c, crc32c_without, le16, le32, wide};
use crate::superblock::Superblock;

/// The root directory.
pub const ROOT: u32 = 2;

/// Flags: the directory has a hash tree; blocks are counted in those of the file system; the map is
/// one of extents.
pub const INDEX: u32 = 0x1000;
pub const HUGE_FILE: u32 = 0x4_0000;
pub const EXTENTS: u32 = 0x8_0000;

/// Bytes of an inode that every version has.
pub const OLD: usize = 128;
/// Where its checksum is, whose upper half is behind the old part.
pub const CHECKSUM: usize = 0x7c;
pub const CHECKSUM_HIGH: usize = 0x82;

/// An inode.
#[derive(Clone, Debug)]
pub struct Inode {
    pub number: u32,
    /// What `stat` tells, but for the number of the file system.
    pub metadata: Metadata,
    pub flags: u32,
    /// The root of the map of blocks, or the target of a short symbolic link.
    pub body: [u8; 60],
    /// What checksums of its blocks begin with.
    pub seed: Option<u32>,
}

impl Inode {
    /// Reads it, and checks its checksum.
    pub fn parse(number: u32, bytes: &[u8], sb: &Superblock) -> Result<Self, Ext4Error> {
        check(number, bytes, sb)?;
        Self::view(number, bytes, sb)
    }

    /// What the bytes of an inode say.
    pub fn view(number: u32, bytes: &[u8], sb: &Superblock) -> Result<Self, Ext4Error> {
        let has = |at: usize, length: usize| has(bytes, at, length);
        let seed = seed(number, bytes, sb);
        let mode = u32::from(le16(bytes, 0));
        let kind = Kind::from_mode(mode).filter(|_| mode >> 12 != 0);
        let kind = kind.ok_or(Ext4Error::Damaged("an inode in use has no type"))?;
        let flags = le32(bytes, 0x20);
        // Two bits of seconds, which reach until 2446, and nanoseconds.
        let time = |at: usize, more: usize| {
            let more = if has(more, 4) { le32(bytes, more) } else { 0 };
            let seconds = i64::from(le32(bytes, at).cast_signed()) + (i64::from(more & 3) << 32);
            Timestamp { seconds, nanoseconds: (more >> 2).min(999_999_999) }
        };
        let blocks = wide(le16(bytes, 0x74).into(), le32(bytes, 0x1c));
        let unit = if sb.huge_files && flags & HUGE_FILE != 0 {
            u64::from(sb.block_size / 512)
        } else {
            1
        };
        let mut body = [0; 60];
        body.copy_from_slice(&bytes[0x28..0x64]);
        let metadata = Metadata {
            device: 0,
            inode: number.into(),
            kind,
            permissions: (mode & 0o7777) as u16,
            links: le16(bytes, 0x1a).into(),
            user: u32::from(le16(bytes, 0x78)) << 16 | u32::from(le16(bytes, 2)),
            group: u32::from(le16(bytes, 0x7a)) << 16 | u32::from(le16(bytes, 0x18)),
            special: special(kind, &body),
            size: wide(le32(bytes, 0x6c), le32(bytes, 4)),
            block_size: sb.block_size,
            blocks: blocks.saturating_mul(unit),
            accessed: time(0x8, 0x8c),
            modified: time(0x10, 0x88),
            changed: time(0xc, 0x84),
            created: has(0x90, 4).then(|| time(0x90, 0x94)),
        };
        if metadata.size > i64::MAX as u64 {
            return Err(Ext4Error::Damaged("a file is longer than files can be"));
        }
        Ok(Self { number, metadata, flags, body, seed })
    }

    /// Whether its blocks are found by extents.
    pub fn has_extents(&self) -> bool {
        self.flags & EXTENTS != 0
    }

    /// Whether this directory has a hash tree.
    pub fn has_index(&self) -> bool {
        self.flags & INDEX != 0
    }
}

/// What checksums of an inode and its blocks begin with.
pub fn seed(number: u32, bytes: &[u8], sb: &Superblock) -> Option<u32> {
    sb.checksum_seed.map(|seed| {
        let seed = crc32c(seed, &number.to_le_bytes());
        crc32c(seed, &bytes[0x64..0x68])
    })
}

/// Whether a field behind the old part is used.
pub fn has(bytes: &[u8], at: usize, length: usize) -> bool {
    let extra = if bytes.len() > OLD { usize::from(le16(bytes, OLD)) } else { 0 };
    at + length <= (OLD + extra).min(bytes.len())
}

/// The checksum of an inode; all 32 bits count only where there is room for them.
pub fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    let crc = crc32c_without(seed, &bytes[..OLD], CHECKSUM, 2);
    if has(bytes, CHECKSUM_HIGH, 2) {
        crc32c_without(crc, &bytes[OLD..], CHECKSUM_HIGH - OLD, 2)
    } else {
        crc32c(crc, &bytes[OLD..]) & 0xffff
    }
}

fn check(number: u32, bytes: &[u8], sb: &Superblock) -> Result<(), Ext4Error> {
    let Some(seed) = seed(number, bytes, sb) else { return Ok(()) };
    let low = u32::from(le16(bytes, CHECKSUM));
    let high = if has(bytes, CHECKSUM_HIGH, 2) { le16(bytes, CHECKSUM_HIGH) } else { 0 };
    if checksum(seed, bytes) != u32::from(high) << 16 | low {
        return Err(Ext4Error::Damaged("the checksum of an inode is wrong"));
    }
    Ok(())
}

/// The device that a file stands for: of 16 bits, or, when they are 0, of 32.
fn special(kind: Kind, body: &[u8; 60]) -> u64 {
    if !matches!(kind, Kind::CharacterDevice | Kind::BlockDevice) {
        return 0;
    }
    match (le32(body, 0), le32(body, 4)) {
        (0, new) => ukfile::device_number(new >> 8 & 0xfff, new & 0xff | new >> 12 & 0xf_ff00),
        (old, _) => ukfile::device_number(old >> 8 & 0xff, old & 0xff),
    }
}
