//! Inodes without a name that are still open: a list on the disk, so that a crash does not keep
//! their blocks for ever.

use ukfile::{Kind, Timestamp};

use crate::Ext4Error;
use crate::bytes::{le32, put32};
use crate::draft::Draft;
use crate::superblock::LAST_ORPHAN;
use crate::volume::Volume;

const DAMAGED: Ext4Error = Ext4Error::Damaged("the list of deleted files contradicts itself");

impl Volume {
    fn first_orphan(&self) -> Result<u32, Ext4Error> {
        Ok(le32(&self.superblock_bytes()?, LAST_ORPHAN))
    }

    /// Puts an inode at the head of the list. Whoever has the draft stores it.
    pub fn add_orphan(&mut self, draft: &mut Draft) -> Result<(), Ext4Error> {
        draft.set_deleted(self.first_orphan()?);
        put32(self.edit_superblock()?, LAST_ORPHAN, draft.number);
        Ok(())
    }

    /// Takes an inode off the list. Whoever has the draft stores it.
    pub fn remove_orphan(&mut self, draft: &mut Draft) -> Result<(), Ext4Error> {
        let next = draft.deleted();
        draft.set_deleted(0);
        let mut here = self.first_orphan()?;
        if here == draft.number {
            put32(self.edit_superblock()?, LAST_ORPHAN, next);
            return Ok(());
        }
        for _ in 0..self.sb.inodes {
            if here == 0 {
                return Err(DAMAGED);
            }
            let mut before = self.draft(here)?;
            if before.deleted() == draft.number {
                before.set_deleted(next);
                return self.store(&mut before);
            }
            here = before.deleted();
        }
        Err(DAMAGED)
    }

    /// Deletes an inode that nobody uses any more.
    pub fn delete(&mut self, number: u32) -> Result<(), Ext4Error> {
        let draft = self.draft(number)?;
        self.must_be_deletable(&draft)?;
        if draft.has_extents() {
            while self.operation(|volume| volume.delete_step(number))? {}
        }
        let now = Timestamp::now();
        self.operation(|volume| {
            let mut draft = volume.draft(number)?;
            volume.remove_orphan(&mut draft)?;
            volume.free_inode(&mut draft, now)
        })
    }

    /// Tables of blocks cannot be given back here.
    pub fn must_be_deletable(&self, draft: &Draft) -> Result<(), Ext4Error> {
        let has_blocks = match draft.kind() {
            Some(Kind::Regular | Kind::Directory) => draft.size() > 0,
            Some(Kind::Symlink) => draft.size() >= 60,
            _ => false,
        };
        if has_blocks && !draft.has_extents() {
            return Err(Ext4Error::ReadOnly("files with indirect blocks cannot be deleted"));
        }
        Ok(())
    }

    /// Blocks of directories are in the journal, where they must not count any more.
    fn delete_step(&mut self, number: u32) -> Result<bool, Ext4Error> {
        let draft = self.draft(number)?;
        if draft.kind() != Some(Kind::Directory) {
            return self.cut_step(number, 0);
        }
        let (found, before) = self.extent_at(&draft, u32::MAX)?;
        let Some(last) = found.or(before) else { return Ok(false) };
        // A few at a time: each has a record.
        let kept = last.end() - u64::from(last.blocks.min(256));
        for block in kept..last.end() {
            self.forget_block(last.first + (block - u64::from(last.at)))?;
        }
        self.cut_step(number, kept)
    }

    /// Deletes what was open, without a name, when the machine ended.
    pub fn delete_orphans(&mut self) -> Result<(), Ext4Error> {
        for _ in 0..self.sb.inodes {
            let number = self.first_orphan()?;
            if number == 0 {
                return Ok(());
            }
            let draft = self.draft(number)?;
            if draft.links() == 0 {
                self.delete(number)?;
                continue;
            }
            // It was being cut when the machine ended: what is behind its end goes.
            let size = draft.size();
            let kept = size.div_ceil(self.sb.block_size.into());
            while draft.has_extents() && self.operation(|volume| volume.cut_step(number, kept))? {}
            self.operation(|volume| {
                let mut draft = volume.draft(number)?;
                volume.remove_orphan(&mut draft)?;
                volume.store(&mut draft)
            })?;
        }
        Err(DAMAGED)
    }
}
