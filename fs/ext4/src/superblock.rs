//! The superblock.

use crate::Ext4Error;
use crate::bytes::{crc32c, le16, le32, put32, wide};

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
    FILE_TYPE | RECOVER | 0x40 | WIDE | 0x100 | 0x200 | 0x400 | CHECKSUM_SEED | LARGE_DIRECTORIES;
const LARGE_DIRECTORIES: u32 = 0x4000;
/// `s_feature_ro_compat`: blocks of files may be counted in blocks of the file system.
const HUGE_FILE: u32 = 0x8;
const LARGE_FILE: u32 = 0x2;
const METADATA_CHECKSUMS: u32 = 0x400;
const SPARSE: u32 = 0x1;
const GROUP_CHECKSUMS: u32 = 0x10;
const DIRECTORY_LINKS: u32 = 0x20;
/// Those with which it can be written: with `extra_isize`.
const WRITABLE: u32 =
    SPARSE | LARGE_FILE | HUGE_FILE | GROUP_CHECKSUMS | DIRECTORY_LINKS | 0x40 | METADATA_CHECKSUMS;
/// `s_feature_incompat` that needs something when it is written: `mmp`, `ea_inode`.
const ONLY_READ: u32 = 0x100 | 0x400;
const EXTENTS: u32 = 0x40;
/// `s_feature_compat`: there is a journal; backups of the superblock are elsewhere.
const JOURNAL: u32 = 0x4;
const SPARSE_2: u32 = 0x200;
/// Directories have hash trees.
const DIRECTORY_INDEX: u32 = 0x20;

/// Places in it that are changed.
pub const FREE_BLOCKS: (usize, usize) = (0xc, 0x158);
pub const FREE_INODES: usize = 0x10;
pub const FEATURES: usize = 0x60;
pub const LAST_ORPHAN: usize = 0xe8;
pub const CHECKSUM: usize = 0x3fc;

/// Says in its bytes whether the journal has to be read.
pub fn set_recover(bytes: &mut [u8; LENGTH], needed: bool, has_checksum: bool) {
    let features = le32(bytes, FEATURES) & !RECOVER;
    put32(bytes, FEATURES, if needed { features | RECOVER } else { features });
    if has_checksum {
        let crc = crc32c(!0, &bytes[..CHECKSUM]);
        put32(bytes, CHECKSUM, crc);
    }
}

/// What the superblock tells.
#[derive(Clone, Debug)]
pub struct Superblock {
    /// Bytes of a block, a power of two from 1024 to 65536.
    pub block_size: u32,
    /// Blocks altogether; they are all on the disk.
    pub blocks: u64,
    pub reserved_blocks: u64,
    pub inodes: u32,
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
    /// Whether files may have 2 GiB and more.
    pub large_files: bool,
    /// What checksums of metadata begin with; `None` when there are none.
    pub checksum_seed: Option<u32>,
    /// Number of the inode of the journal; 0 when it is none.
    pub journal: u32,
    /// Why it can only be read.
    pub only_read: Option<&'static str>,
    /// The block that group 0 begins with.
    pub first_block: u32,
    pub blocks_per_group: u32,
    /// Whether only some groups have backups of the superblock.
    pub sparse: bool,
    /// Blocks behind the group descriptors that are kept for more of them.
    pub reserved_descriptors: u32,
    /// Whether groups have CRC-16 and flags.
    pub group_checksums: bool,
    /// Whether directories may have more subdirectories than can be counted.
    pub uncounted_links: bool,
    pub uuid: [u8; 16],
    /// The first inode that is for files.
    pub first_inode: u32,
    /// Bytes that new inodes have behind the old part.
    pub extra_inode: u16,
    /// What hashes of names begin with; zeros: with what is usual.
    pub hash_seed: [u32; 4],
    /// The function of the hashes in new trees; `None`: directories get none.
    pub new_trees: Option<u8>,
    /// Whether the bytes of names have a sign for them, if it says so.
    pub signed_hash: Option<bool>,
    /// Whether hash trees may have a third level.
    pub large_directories: bool,
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
        let compatible = if revised { le32(bytes, 0x5c) } else { 0 };
        let first_block = le32(bytes, 0x14);
        let blocks_per_group = le32(bytes, 0x20);
        let fits_bitmap =
            |count: u32| count > 0 && count.is_multiple_of(8) && count <= 8 * block_size;
        let groups =
            blocks.saturating_sub(first_block.into()).div_ceil(blocks_per_group.max(1).into());
        let only_read = if features & EXTENTS == 0 || compatible & JOURNAL == 0 {
            Some("it has no journal and extents; make one that has: mke2fs -t ext4")
        } else if read_only & !WRITABLE != 0
            || features & ONLY_READ != 0
            || compatible & SPARSE_2 != 0
        {
            Some("it has features that are only known for reading")
        } else if le16(bytes, 0x3a) & 2 != 0 {
            Some("errors were found on it; repair it with e2fsck -f")
        } else if !fits_bitmap(blocks_per_group)
            || !fits_bitmap(inodes_per_group)
            || first_block != u32::from(block_size == 1024)
            || groups.checked_mul(inodes_per_group.into()) != Some(le32(bytes, 0).into())
            || groups == 0
        {
            Some("the sizes of its groups are unusual")
        } else {
            None
        };
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[0x68..0x78]);
        let room = inode_size.saturating_sub(128).min(usize::from(u16::MAX)) as u16;
        Ok(Self {
            only_read,
            first_block,
            blocks_per_group,
            sparse: read_only & SPARSE != 0,
            reserved_descriptors: if compatible & 0x10 != 0 { le16(bytes, 0xce).into() } else { 0 },
            group_checksums: read_only & GROUP_CHECKSUMS != 0,
            uncounted_links: read_only & DIRECTORY_LINKS != 0,
            uuid,
            first_inode: if revised { le32(bytes, 0x54) } else { 11 },
            // Up to the time of creation, as Linux has it.
            extra_inode: room.min(32),
            block_size,
            blocks,
            reserved_blocks: count(0x8, 0x154),
            inodes: le32(bytes, 0),
            inodes_per_group,
            inode_size,
            descriptor_size,
            wide: is_wide,
            features,
            huge_files: read_only & HUGE_FILE != 0,
            large_files: read_only & LARGE_FILE != 0,
            checksum_seed,
            hash_seed: [0xec, 0xf0, 0xf4, 0xf8].map(|at| le32(bytes, at)),
            new_trees: (compatible & DIRECTORY_INDEX != 0).then_some(bytes[0xfc]),
            signed_hash: match le32(bytes, 0x160) & 3 {
                1 => Some(true),
                2 => Some(false),
                _ => None,
            },
            large_directories: features & LARGE_DIRECTORIES != 0,
            journal: if le32(bytes, 0x5c) & 0x4 != 0 { le32(bytes, 0xe0) } else { 0 },
        })
    }

    /// How many blocks and inodes are free, according to the bytes as they are now.
    pub fn free_of(&self, bytes: &[u8; LENGTH]) -> (u64, u32) {
        let (low, high) = FREE_BLOCKS;
        let high = if self.wide { le32(bytes, high) } else { 0 };
        (wide(high, le32(bytes, low)), le32(bytes, FREE_INODES))
    }

    /// How many groups of blocks there are.
    pub fn groups(&self) -> u32 {
        let blocks = self.blocks.saturating_sub(self.first_block.into());
        u32::try_from(blocks.div_ceil(self.blocks_per_group.max(1).into())).unwrap_or(u32::MAX)
    }

    /// The first block of a group, and how many it has.
    pub fn group(&self, number: u32) -> (u64, u32) {
        let per = u64::from(self.blocks_per_group);
        let first = u64::from(self.first_block) + u64::from(number) * per;
        (first, self.blocks.saturating_sub(first).min(per) as u32)
    }

    /// Whether a group has a copy of the superblock and of the group descriptors.
    pub fn has_backup(&self, group: u32) -> bool {
        let is_power = |base: u32| {
            let mut power = 1;
            while power < group {
                power = power.saturating_mul(base);
            }
            power == group
        };
        !self.sparse || group < 2 || [3, 5, 7].into_iter().any(is_power)
    }
}
