//! Inodes that are changed: made, given back, written.

use alloc::boxed::Box;

use ukfile::{Kind, Timestamp, fallible};
use vfs::New;

use crate::Ext4Error;
use crate::bytes::{crc32c, le16, le32, put16, put32, wide};
use crate::group::{Bitmap, DIRECTORIES, FREE_INODES, UNUSED_INODES, get, set};
use crate::inode::{self, EXTENTS, HUGE_FILE, Inode};
use crate::superblock;
use crate::volume::Volume;

/// Where the map of blocks is, or the target of a short symbolic link.
pub const BODY: core::ops::Range<usize> = 0x28..0x64;
const FLAGS: usize = 0x20;
const GENERATION: usize = 0x64;
/// Links that a file can have.
pub const MAX_LINKS: u32 = 65_000;

/// The bytes of an inode, to be changed and stored.
#[derive(Debug)]
pub struct Draft {
    pub number: u32,
    pub bytes: Box<[u8]>,
    /// What checksums of its blocks begin with.
    pub seed: Option<u32>,
}

impl Draft {
    pub fn flags(&self) -> u32 {
        le32(&self.bytes, FLAGS)
    }

    pub fn set_flags(&mut self, flags: u32) {
        put32(&mut self.bytes, FLAGS, flags);
    }

    pub fn has_extents(&self) -> bool {
        self.flags() & EXTENTS != 0
    }

    pub fn kind(&self) -> Option<Kind> {
        Kind::from_mode(le16(&self.bytes, 0).into())
    }

    pub fn size(&self) -> u64 {
        wide(le32(&self.bytes, 0x6c), le32(&self.bytes, 4))
    }

    pub fn set_size(&mut self, size: u64) {
        put32(&mut self.bytes, 4, size as u32);
        put32(&mut self.bytes, 0x6c, (size >> 32) as u32);
    }

    pub fn links(&self) -> u32 {
        le16(&self.bytes, 0x1a).into()
    }

    pub fn set_links(&mut self, links: u32) {
        put16(&mut self.bytes, 0x1a, links.min(u32::from(u16::MAX)) as u16);
    }

    pub fn set_permissions(&mut self, permissions: u16) {
        let mode = le16(&self.bytes, 0) & 0xf000 | permissions & 0o7777;
        put16(&mut self.bytes, 0, mode);
    }

    pub fn set_user(&mut self, user: u32) {
        put16(&mut self.bytes, 2, user as u16);
        put16(&mut self.bytes, 0x78, (user >> 16) as u16);
    }

    pub fn set_group(&mut self, group: u32) {
        put16(&mut self.bytes, 0x18, group as u16);
        put16(&mut self.bytes, 0x7a, (group >> 16) as u16);
    }

    /// The next one in the list of those without a name, or when it was deleted.
    pub fn deleted(&self) -> u32 {
        le32(&self.bytes, 0x14)
    }

    pub fn set_deleted(&mut self, value: u32) {
        put32(&mut self.bytes, 0x14, value);
    }

    /// Adds to the number of blocks that it has.
    pub fn count_blocks(&mut self, change: i64, block_size: u32) {
        let unit = if self.flags() & HUGE_FILE != 0 { 1 } else { i64::from(block_size / 512) };
        let blocks = wide(le16(&self.bytes, 0x74).into(), le32(&self.bytes, 0x1c));
        let blocks = blocks.saturating_add_signed(change.saturating_mul(unit));
        put32(&mut self.bytes, 0x1c, blocks as u32);
        put16(&mut self.bytes, 0x74, (blocks >> 32) as u16);
    }

    fn set_time(&mut self, at: usize, more: usize, time: Timestamp) {
        let has_more = inode::has(&self.bytes, more, 4);
        // 34 bits of seconds with the further field, else 32; what is beyond becomes the nearest.
        let last = if has_more { (3 << 32) + i64::from(i32::MAX) } else { i32::MAX.into() };
        let seconds = time.seconds.clamp(i32::MIN.into(), last);
        put32(&mut self.bytes, at, seconds as u32);
        if has_more {
            let epoch = ((seconds - i64::from(seconds as i32)) >> 32) as u32 & 3;
            put32(&mut self.bytes, more, time.nanoseconds << 2 | epoch);
        }
    }

    pub fn set_accessed(&mut self, time: Timestamp) {
        self.set_time(0x8, 0x8c, time);
    }

    pub fn set_modified(&mut self, time: Timestamp) {
        self.set_time(0x10, 0x88, time);
    }

    pub fn set_changed(&mut self, time: Timestamp) {
        self.set_time(0xc, 0x84, time);
    }

    /// Its contents changed now.
    pub fn note_write(&mut self, now: Timestamp) {
        self.set_modified(now);
        self.set_changed(now);
    }

    pub fn body(&mut self) -> &mut [u8] {
        &mut self.bytes[BODY]
    }
}

impl Volume {
    /// An inode in use, to be changed.
    pub fn draft(&self, number: u32) -> Result<Draft, Ext4Error> {
        let bytes = self.inode_bytes(number)?;
        Inode::parse(number, &bytes, &self.sb)?;
        let seed = inode::seed(number, &bytes, &self.sb);
        Ok(Draft { number, bytes, seed })
    }

    /// What the draft says, for looking into the file.
    pub fn view(&self, draft: &Draft) -> Result<Inode, Ext4Error> {
        Inode::view(draft.number, &draft.bytes, &self.sb)
    }

    /// Writes the inode.
    pub fn store(&mut self, draft: &mut Draft) -> Result<(), Ext4Error> {
        if let Some(seed) = draft.seed {
            let crc = inode::checksum(seed, &draft.bytes);
            put16(&mut draft.bytes, inode::CHECKSUM, crc as u16);
            if inode::has(&draft.bytes, inode::CHECKSUM_HIGH, 2) {
                put16(&mut draft.bytes, inode::CHECKSUM_HIGH, (crc >> 16) as u16);
            }
        }
        let (block, from) = self.inode_at(draft.number)?;
        self.edit(block)?[from..from + draft.bytes.len()].copy_from_slice(&draft.bytes);
        Ok(())
    }

    /// [`store`](Self::store) when nothing but times was changed, if these were.
    pub fn store_times(&mut self, draft: &mut Draft) -> Result<(), Ext4Error> {
        if self.inode_bytes(draft.number)? == draft.bytes {
            return Ok(());
        }
        let essential = self.changes.essential;
        self.store(draft)?;
        self.changes.essential = essential;
        Ok(())
    }

    /// Makes an inode without a name or blocks, near that of its directory.
    pub fn allocate_inode(
        &mut self,
        new: &New<'_>,
        near: u32,
        now: Timestamp,
    ) -> Result<Draft, Ext4Error> {
        let groups = self.sb.groups();
        let start = near.saturating_sub(1) / self.sb.inodes_per_group;
        for step in 0..groups {
            let number = (start + step) % groups;
            if let Some(index) = self.allocate_inode_in(number, new.kind == Kind::Directory)? {
                let number = number * self.sb.inodes_per_group + index + 1;
                return self.new_draft(number, new, now);
            }
        }
        Err(Ext4Error::NoSpace)
    }

    fn allocate_inode_in(
        &mut self,
        number: u32,
        directory: bool,
    ) -> Result<Option<u32>, Ext4Error> {
        let mut group = self.group(number)?;
        if group.count(FREE_INODES) == 0 {
            return Ok(None);
        }
        let per = self.sb.inodes_per_group;
        let reserved = if number == 0 { self.sb.first_inode.saturating_sub(1) } else { 0 };
        let bitmap = self.bitmap(&group, Bitmap::Inodes)?;
        let Some(index) = (reserved..per).find(|index| !get(&bitmap, *index)) else {
            return Ok(None);
        };
        set(self.edit_bitmap(&mut group, Bitmap::Inodes)?, index, true);
        group.set_count(FREE_INODES, group.count(FREE_INODES) - 1);
        // Those at the end of the table that were never used need not be looked at.
        let unused = group.count(UNUSED_INODES).min(per - index - 1);
        group.set_count(UNUSED_INODES, unused);
        if directory {
            group.set_count(DIRECTORIES, group.count(DIRECTORIES).saturating_add(1));
        }
        self.store_group(&group)?;
        self.count_free_inodes(-1)?;
        Ok(Some(index))
    }

    fn count_free_inodes(&mut self, change: i32) -> Result<(), Ext4Error> {
        let bytes = self.edit_superblock()?;
        let free = le32(bytes, superblock::FREE_INODES).saturating_add_signed(change);
        put32(bytes, superblock::FREE_INODES, free);
        Ok(())
    }

    fn new_draft(
        &mut self,
        number: u32,
        new: &New<'_>,
        now: Timestamp,
    ) -> Result<Draft, Ext4Error> {
        let (block, from) = self.inode_at(number)?;
        // What is there may never have been written; its number of uses must differ all the same.
        let old = le32(&self.block(block)?[from..], GENERATION);
        let bytes = fallible::zeroed(self.sb.inode_size).map_err(|_| Ext4Error::OutOfMemory)?;
        let mut draft = Draft { number, bytes, seed: None };
        let mode = new.kind.mode_bits() as u16 | new.permissions & 0o7777;
        put16(&mut draft.bytes, 0, mode);
        put32(&mut draft.bytes, GENERATION, old.wrapping_add(1) ^ ukplat::ticks() as u32);
        if draft.bytes.len() > inode::OLD {
            put16(&mut draft.bytes, inode::OLD, self.sb.extra_inode);
        }
        draft.set_user(new.user);
        draft.set_group(new.group);
        draft.set_accessed(now);
        draft.note_write(now);
        if inode::has(&draft.bytes, 0x90, 8) {
            draft.set_time(0x90, 0x94, now);
        }
        match new.kind {
            Kind::Regular | Kind::Directory | Kind::Symlink => {
                draft.set_flags(EXTENTS);
                crate::extents::make_root(draft.body());
            }
            Kind::CharacterDevice | Kind::BlockDevice => {
                let (major, minor) = (ukfile::major(new.special), ukfile::minor(new.special));
                if major < 256 && minor < 256 {
                    put32(draft.body(), 0, major << 8 | minor);
                } else {
                    put32(draft.body(), 4, minor & 0xff | major << 8 | (minor & !0xff) << 12);
                }
            }
            Kind::Fifo | Kind::Socket | Kind::Anonymous => {}
        }
        draft.seed = inode::seed(number, &draft.bytes, &self.sb);
        Ok(draft)
    }

    /// Gives an inode back that has no blocks any more.
    pub fn free_inode(&mut self, draft: &mut Draft, now: Timestamp) -> Result<(), Ext4Error> {
        self.free_attributes(draft)?;
        let per = self.sb.inodes_per_group;
        let (number, index) = ((draft.number - 1) / per, (draft.number - 1) % per);
        let mut group = self.group(number)?;
        let bitmap = self.edit_bitmap(&mut group, Bitmap::Inodes)?;
        if !get(bitmap, index) {
            return Err(Ext4Error::Damaged("an inode in use is free"));
        }
        set(bitmap, index, false);
        group.set_count(FREE_INODES, group.count(FREE_INODES).saturating_add(1).min(per));
        if draft.kind() == Some(Kind::Directory) {
            group.set_count(DIRECTORIES, group.count(DIRECTORIES).saturating_sub(1));
        }
        self.store_group(&group)?;
        self.count_free_inodes(1)?;
        draft.set_links(0);
        draft.set_size(0);
        draft.set_deleted(now.seconds.clamp(1, i64::from(u32::MAX)) as u32);
        // Without a type it is no inode in use.
        put16(&mut draft.bytes, 0, 0);
        self.store(draft)
    }

    /// Lets go of the block of extended attributes, which several inodes may share.
    fn free_attributes(&mut self, draft: &mut Draft) -> Result<(), Ext4Error> {
        let block = wide(le16(&draft.bytes, 0x76).into(), le32(&draft.bytes, 0x68));
        if block == 0 {
            return Ok(());
        }
        const MAGIC: u32 = 0xea02_0000;
        let bytes = self.block(block)?;
        let uses = le32(&bytes, 4);
        if le32(&bytes, 0) != MAGIC || uses == 0 {
            return Err(Ext4Error::Damaged("a block of attributes contradicts itself"));
        }
        put32(&mut draft.bytes, 0x68, 0);
        put16(&mut draft.bytes, 0x76, 0);
        if uses == 1 {
            return self.free_metadata(block);
        }
        let seed = self.sb.checksum_seed;
        let bytes = self.edit(block)?;
        put32(bytes, 4, uses - 1);
        if let Some(seed) = seed {
            let seed = crc32c(seed, &block.to_le_bytes());
            let crc = crate::bytes::crc32c_without(seed, bytes, 0x10, 4);
            put32(bytes, 0x10, crc);
        }
        Ok(())
    }
}
