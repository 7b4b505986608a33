//! The superblock.

use crate::Ext4Error;
use crate::bytes::{crc32c, le16, le32, wide};

/// Where it is, and how long.
pub const AT: u64 = 1024;
pub const LENGTH: usize = 1024;

const MAGIC: u16 = 0xef53;
/// `s_feature_incompat`: the type of a file is in the entries of directories.
pub const FILE_TYPE: u32 = 0x2;
/// The journal has to be replayed.
pub const RECOVER: u32 = 0x4;
const WIDE: u32 = 0x80;
const CHECKSUM_SEED: u32 = 0x2000;
/// What can be read: with `extents`, `mmp`, `flex_bg`, `ea_inode`, `large_dir`, which need nothing
/// when nothing is written.
const KNOWN: u32 =
    FILE_TYPE | RECOVER | 0x40 | WIDE | 0x100 | 0x200 | 0x400 | CHECKSUM_SEED | 0x4000;
/// `s_feature_ro_compat`: blocks of files may be counted in blocks of the file system.
const HUGE_FILE: u32 = 0x8;
const METADATA_CHECKSUMS: u32 = 0x400;

/// What the superblock tells.
#[derive(Clone, Debug)]
pub struct Superblock {
    /// Bytes of a block, a power of two from 1024 to 65536.
    pub block_size: u32,
    /// Blocks altogether; they are all on the disk.
    pub blocks: u64,
    pub free_blocks: u64,
    pub reserved_blocks: u64,
    pub inodes: u32,
    pub free_inodes: u32,
    /// At least 1.
    pub inodes_per_group: u32,
    /// At least 128.
    pub inode_size: usize,
    /// Bytes of a group descriptor, at least 32.
    pub descriptor_size: usize,
    pub wide: bool,
    /// Bits of `s_feature_incompat`.
    pub features: u32,
    pub huge_files: bool,
    /// What checksums of metadata begin with; `None` when there are none.
    pub checksum_seed: Option<u32>,
    /// Number of the inode of the journal; 0 when it is none.
    pub journal: u32,
}

impl Superblock {
    /// Reads it. `disk` is how many bytes there are.
    pub fn parse(bytes: &[u8; LENGTH], disk: u64) -> Result<Self, Ext4Error> {
        let damaged = Err(Ext4Error::Damaged("its superblock contradicts itself"));
        if le16(bytes, 0x38) != MAGIC {
            return Err(Ext4Error::Other);
        }
        // Revision 0 has no features, and inodes of one size.
        let revised = le32(bytes, 0x4c) > 0;
        let [features, read_only] =
            [0x60, 0x64].map(|at| if revised { le32(bytes, at) } else { 0 });
        if features & !KNOWN != 0 {
            return Err(Ext4Error::Features(features & !KNOWN));
        }
        let mut checksum_seed = None;
        if read_only & METADATA_CHECKSUMS != 0 {
            // 1 is CRC-32C, and the only one there is.
            if bytes[0x175] != 1 {
                return Err(Ext4Error::Unsupported("its checksums are of an unknown type"));
            }
            if crc32c(!0, &bytes[..0x3fc]) != le32(bytes, 0x3fc) {
                return Err(Ext4Error::Damaged("the checksum of its superblock is wrong"));
            }
            let own = features & CHECKSUM_SEED != 0;
            let uuid = &bytes[0x68..0x78];
            checksum_seed = Some(if own { le32(bytes, 0x270) } else { crc32c(!0, uuid) });
        }
        let shift = le32(bytes, 0x18);
        if shift > 6 {
            return damaged;
        }
        let block_size = 1024 << shift;
        let is_wide = features & WIDE != 0;
        let count = |low, high| wide(if is_wide { le32(bytes, high) } else { 0 }, le32(bytes, low));
        let blocks = count(0x4, 0x150);
        match blocks.checked_mul(u64::from(block_size)) {
            Some(length) if length <= disk => {}
            _ => return Err(Ext4Error::Damaged("it is longer than the disk")),
        }
        let inode_size = if revised { le16(bytes, 0x58).into() } else { 128 };
        let descriptor_size = if is_wide { le16(bytes, 0xfe).into() } else { 32 };
        let fits = |size: usize, least: usize| {
            size.is_power_of_two() && (least..=block_size as usize).contains(&size)
        };
        let inodes_per_group = le32(bytes, 0x28);
        if !fits(inode_size, 128)
            || !fits(descriptor_size, if is_wide { 64 } else { 32 })
            || inodes_per_group == 0
        {
            return damaged;
        }
        Ok(Self {
            block_size,
            blocks,
            free_blocks: count(0xc, 0x158),
            reserved_blocks: count(0x8, 0x154),
            inodes: le32(bytes, 0),
            free_inodes: le32(bytes, 0x10),
            inodes_per_group,
            inode_size,
            descriptor_size,
            wide: is_wide,
            features,
            huge_files: read_only & HUGE_FILE != 0,
            checksum_seed,
            journal: if le32(bytes, 0x5c) & 0x4 != 0 { le32(bytes, 0xe0) } else { 0 },
        })
    }
}
