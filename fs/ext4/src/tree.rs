//! Names and the inodes that they mean, changed together.

use ukerrno::Errno;
use ukfile::{Kind, Timestamp};
use vfs::{Change, New};

use crate::Ext4Error;
use crate::draft::{Draft, MAX_LINKS};
use crate::extents::Extent;
use crate::volume::Volume;

/// Bytes of a target that fits into the inode.
const SHORT: usize = 60;

const STALE: Ext4Error = Ext4Error::Call(Errno::ESTALE);

/// A name that moves, or two that change places. All are numbers of inodes.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    pub from: (u32, &'a [u8]),
    pub node: u32,
    pub to: (u32, &'a [u8]),
    pub replaced: Option<u32>,
    pub exchange: bool,
}

impl Volume {
    /// Changes an inode.
    fn with<T>(
        &mut self,
        number: u32,
        change: impl FnOnce(&mut Self, &mut Draft) -> Result<T, Ext4Error>,
    ) -> Result<T, Ext4Error> {
        let mut draft = self.draft(number)?;
        let result = change(self, &mut draft)?;
        self.store(&mut draft)?;
        Ok(result)
    }

    fn kind_of(&self, number: u32) -> Result<Kind, Ext4Error> {
        self.draft(number)?.kind().ok_or(Ext4Error::Damaged("an inode in use has no type"))
    }

    /// A directory has one subdirectory more or less.
    fn count_subdirectory(&self, draft: &mut Draft, more: bool) -> Result<(), Ext4Error> {
        // 1: there are more than can be counted.
        let links = match (draft.links(), more) {
            (1, _) => 1,
            (links, false) => links.saturating_sub(1).max(2),
            (links, true) if links < MAX_LINKS => links + 1,
            _ if self.sb.uncounted_links => 1,
            _ => return Err(Ext4Error::Call(Errno::EMLINK)),
        };
        draft.set_links(links);
        Ok(())
    }

    /// Makes a node in a directory; returns its number.
    pub fn create(&mut self, directory: u32, name: &[u8], new: &New<'_>) -> Result<u32, Ext4Error> {
        self.operation(|volume| {
            let now = Timestamp::now();
            let mut above = volume.draft(directory)?;
            if above.links() == 0 {
                return Err(Ext4Error::Call(Errno::ENOENT));
            }
            if volume.lookup(&volume.view(&above)?, name)?.is_some() {
                return Err(Ext4Error::Call(Errno::EEXIST));
            }
            let mut draft = volume.allocate_inode(new, directory, now)?;
            draft.set_links(1);
            match new.kind {
                Kind::Directory => {
                    volume.count_subdirectory(&mut above, true)?;
                    draft.set_links(2);
                    volume.make_entries(&mut draft, directory)?;
                }
                Kind::Symlink => volume.put_target(&mut draft, new.target)?,
                _ => {}
            }
            volume.store(&mut draft)?;
            volume.insert_name(&mut above, name, draft.number, new.kind)?;
            above.note_write(now);
            volume.store(&mut above)?;
            Ok(draft.number)
        })
    }

    fn put_target(&mut self, draft: &mut Draft, target: &[u8]) -> Result<(), Ext4Error> {
        draft.set_size(target.len() as u64);
        if target.len() < SHORT {
            draft.set_flags(0);
            draft.body().fill(0);
            draft.body()[..target.len()].copy_from_slice(target);
            return Ok(());
        }
        if target.len() >= self.sb.block_size as usize {
            return Err(Ext4Error::Call(Errno::ENAMETOOLONG));
        }
        let goal = self.goal(draft, 0)?;
        let (first, _) = self.allocate_blocks(goal, 1)?;
        self.write_range(first, 0, target, true)?;
        self.insert_extent(draft, Extent { at: 0, blocks: 1, first, written: true })?;
        draft.count_blocks(1, self.sb.block_size);
        Ok(())
    }

    /// Makes a file without a name.
    pub fn create_unnamed(&mut self, near: u32, new: &New<'_>) -> Result<u32, Ext4Error> {
        self.operation(|volume| {
            let mut draft = volume.allocate_inode(new, near, Timestamp::now())?;
            volume.add_orphan(&mut draft)?;
            volume.store(&mut draft)?;
            Ok(draft.number)
        })
    }

    /// Gives an inode a further name, or its first one.
    pub fn link(
        &mut self,
        directory: u32,
        name: &[u8],
        node: u32,
        linkable: bool,
    ) -> Result<(), Ext4Error> {
        self.operation(|volume| {
            let now = Timestamp::now();
            let kind = volume.kind_of(node)?;
            let above = volume.draft(directory)?;
            if above.links() == 0 {
                return Err(Ext4Error::Call(Errno::ENOENT));
            }
            if volume.lookup(&volume.view(&above)?, name)?.is_some() {
                return Err(Ext4Error::Call(Errno::EEXIST));
            }
            volume.with(node, |volume, draft| {
                match draft.links() {
                    0 if !linkable => return Err(Ext4Error::Call(Errno::ENOENT)),
                    0 => volume.remove_orphan(draft)?,
                    MAX_LINKS.. => return Err(Ext4Error::Call(Errno::EMLINK)),
                    _ => {}
                }
                draft.set_links(draft.links() + 1);
                draft.set_changed(now);
                Ok(())
            })?;
            volume.with(directory, |volume, above| {
                above.note_write(now);
                volume.insert_name(above, name, node, kind)
            })
        })
    }

    /// Whether a name means this inode.
    fn must_be(&self, (directory, name): (u32, &[u8]), node: Option<u32>) -> Result<(), Ext4Error> {
        if self.lookup(&self.inode(directory)?, name)? == node { Ok(()) } else { Err(STALE) }
    }

    /// Takes a name from an inode that is no directory. Whether it was the last one.
    pub fn unlink(&mut self, directory: u32, name: &[u8], node: u32) -> Result<bool, Ext4Error> {
        self.operation(|volume| {
            let now = Timestamp::now();
            volume.must_be((directory, name), Some(node))?;
            volume.with(directory, |volume, above| {
                above.note_write(now);
                volume.remove_name(above, name)
            })?;
            volume.lose_name(node, now)
        })
    }

    /// An inode has one name less; the last one of a directory is its only one. Whether it was the
    /// last.
    fn lose_name(&mut self, node: u32, now: Timestamp) -> Result<bool, Ext4Error> {
        self.with(node, |volume, draft| {
            let is_directory = draft.kind() == Some(Kind::Directory);
            let links = if is_directory { 0 } else { draft.links().saturating_sub(1) };
            draft.set_links(links);
            draft.set_changed(now);
            if links == 0 {
                volume.must_be_deletable(draft)?;
                volume.add_orphan(draft)?;
            }
            Ok(links == 0)
        })
    }

    /// Removes an empty directory.
    pub fn remove_directory(
        &mut self,
        directory: u32,
        name: &[u8],
        node: u32,
    ) -> Result<(), Ext4Error> {
        self.operation(|volume| {
            let now = Timestamp::now();
            volume.must_be((directory, name), Some(node))?;
            volume.must_be_empty(node)?;
            volume.with(directory, |volume, above| {
                above.note_write(now);
                volume.count_subdirectory(above, false)?;
                volume.remove_name(above, name)
            })?;
            volume.lose_name(node, now).map(drop)
        })
    }

    fn must_be_empty(&self, directory: u32) -> Result<(), Ext4Error> {
        self.entries(&self.inode(directory)?, 0, &mut |_| Err(Ext4Error::Call(Errno::ENOTEMPTY)))
    }

    /// Moves a name. Whether the inode that was replaced lost its last one.
    pub fn rename(&mut self, rename: &Move<'_>) -> Result<bool, Ext4Error> {
        self.operation(|volume| volume.move_name(rename, Timestamp::now()))
    }

    fn move_name(&mut self, rename: &Move<'_>, now: Timestamp) -> Result<bool, Ext4Error> {
        let Move { from, node, to, replaced, exchange } = *rename;
        self.must_be(from, Some(node))?;
        self.must_be(to, replaced)?;
        if self.draft(to.0)?.links() == 0 {
            return Err(Ext4Error::Call(Errno::ENOENT));
        }
        let kind = self.kind_of(node)?;
        let mut last = false;
        match replaced {
            None => self.with(to.0, |volume, above| volume.insert_name(above, to.1, node, kind))?,
            Some(replaced) => {
                let old = self.kind_of(replaced)?;
                if !exchange && old == Kind::Directory {
                    self.must_be_empty(replaced)?;
                }
                self.with(to.0, |volume, above| volume.change_name(above, to.1, node, kind))?;
                if exchange {
                    self.with(from.0, |volume, above| {
                        volume.change_name(above, from.1, replaced, old)
                    })?;
                    self.with(replaced, |_, draft| {
                        draft.set_changed(now);
                        Ok(())
                    })?;
                    self.change_parent(replaced, old, to.0, from.0)?;
                } else {
                    if old == Kind::Directory {
                        self.with(to.0, |volume, above| volume.count_subdirectory(above, false))?;
                    }
                    last = self.lose_name(replaced, now)?;
                }
            }
        }
        if !exchange {
            self.with(from.0, |volume, above| volume.remove_name(above, from.1))?;
        }
        self.change_parent(node, kind, from.0, to.0)?;
        self.with(node, |_, draft| {
            draft.set_changed(now);
            Ok(())
        })?;
        for directory in [from.0, to.0] {
            self.with(directory, |_, above| {
                above.note_write(now);
                Ok(())
            })?;
        }
        Ok(last)
    }

    /// A directory has come from one directory to another.
    fn change_parent(
        &mut self,
        node: u32,
        kind: Kind,
        from: u32,
        to: u32,
    ) -> Result<(), Ext4Error> {
        if kind != Kind::Directory || from == to {
            return Ok(());
        }
        self.with(node, |volume, draft| volume.change_name(draft, b"..", to, Kind::Directory))?;
        self.with(from, |volume, above| volume.count_subdirectory(above, false))?;
        self.with(to, |volume, above| volume.count_subdirectory(above, true))
    }

    /// Changes metadata.
    pub fn change(&mut self, number: u32, change: &Change) -> Result<(), Ext4Error> {
        self.operation(|volume| {
            let mut draft = volume.draft(number)?;
            if let Some(permissions) = change.permissions {
                draft.set_permissions(permissions);
            }
            if let Some(user) = change.user {
                draft.set_user(user);
            }
            if let Some(group) = change.group {
                draft.set_group(group);
            }
            if let Some(time) = change.accessed {
                draft.set_accessed(time);
            }
            if let Some(time) = change.modified {
                draft.set_modified(time);
            }
            draft.set_changed(Timestamp::now());
            volume.store(&mut draft)
        })
    }

    /// Notes that it was read.
    pub fn note_read(&mut self, number: u32) -> Result<(), Ext4Error> {
        self.operation(|volume| {
            let mut draft = volume.draft(number)?;
            draft.set_accessed(Timestamp::now());
            volume.store_times(&mut draft)
        })
    }
}
