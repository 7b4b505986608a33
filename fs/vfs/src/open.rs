//! `open`.

use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::{Description, Kind, OpenFlags};

use crate::context::Context;
use crate::credentials::{EXECUTE, READ, WRITE};
use crate::mount::{Location, MountFlags};
use crate::node::{New, NodeRef};
use crate::open_node::{OpenNode, OpenSpecial, drop_set_id};
use crate::shared;
use crate::walk::{End, Follow, Name, Walk};

impl Context {
    /// Opens, and with [`OpenFlags::CREATE`] makes, a file. `permissions` are those of a new file,
    /// before the umask.
    ///
    /// # Errors
    /// As `openat(2)`.
    pub fn open(
        &self,
        at: Option<&Location>,
        path: &[u8],
        flags: OpenFlags,
        permissions: u16,
    ) -> Result<Arc<Description>, Errno> {
        let flags = check_flags(flags)?;
        // Somebody else may make or remove it in between.
        self.again(|| self.try_open(at, path, flags, permissions))
    }

    fn try_open(
        &self,
        at: Option<&Location>,
        path: &[u8],
        flags: OpenFlags,
        permissions: u16,
    ) -> Result<Arc<Description>, Errno> {
        let exclusive = flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        let no_follow = exclusive || flags.contains(OpenFlags::NO_FOLLOW);
        let follow = if no_follow { Follow::No } else { Follow::Yes };
        let mut walk = Walk::new(self, path)?;
        let create = flags.contains(OpenFlags::CREATE);
        walk.names_file = create;
        let end = walk.whole(at, follow)?;
        if flags.contains(OpenFlags::TEMPORARY) {
            return match end {
                End::Found(here) => self.open_temporary(&here.into_place(), flags, permissions),
                End::Missing { .. } => Err(Errno::ENOENT),
            };
        }
        match end {
            End::Missing { directory, name } if create => {
                self.open_new(&walk, &directory, &name, flags, permissions)
            }
            End::Missing { .. } => Err(Errno::ENOENT),
            End::Found(here) => {
                let location = here.into_place().into_owned();
                if create {
                    if exclusive {
                        return Err(Errno::EEXIST);
                    }
                    if location.node.kind() == Kind::Directory {
                        return Err(Errno::EISDIR);
                    }
                    if let Some(directory) = walk.directory {
                        self.check_sticky_open(directory.node(), &location.node)?;
                    }
                }
                self.open_found(location, flags)
            }
        }
    }

    /// In sticky directories that others may write, `O_CREAT` opens no FIFO or regular file of
    /// somebody else (Linux's `fs.protected_fifos` and `fs.protected_regular`, value 1).
    fn check_sticky_open(&self, directory: &NodeRef, found: &NodeRef) -> Result<(), Errno> {
        if self.credentials.is_root() || !matches!(found.kind(), Kind::Fifo | Kind::Regular) {
            return Ok(());
        }
        let (directory, file) = (directory.metadata()?, found.metadata()?);
        let open_to_all = directory.permissions & 0o1002 == 0o1002;
        let foreign = file.user != directory.user && file.user != self.credentials.user;
        if open_to_all && foreign { Err(Errno::EACCES) } else { Ok(()) }
    }

    fn open_new(
        &self,
        walk: &Walk<'_>,
        directory: &Location,
        name: &Name,
        flags: OpenFlags,
        permissions: u16,
    ) -> Result<Arc<Description>, Errno> {
        self.check_create(directory)?;
        let new = self.new_node(directory, Kind::Regular, permissions)?;
        let node = match directory.node.create(walk.bytes(name), &new) {
            Err(Errno::EEXIST) if !flags.contains(OpenFlags::EXCLUSIVE) => {
                return Err(Errno::ESTALE);
            }
            result => result?,
        };
        // What was just made is open to its maker whatever its permissions are.
        self.describe(Location { mount: directory.mount.clone(), node }, flags)
    }

    fn open_temporary(
        &self,
        directory: &Location,
        flags: OpenFlags,
        permissions: u16,
    ) -> Result<Arc<Description>, Errno> {
        if directory.node.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        self.check_create(directory)?;
        let new = self.new_node(directory, Kind::Regular, permissions)?;
        let linkable = !flags.contains(OpenFlags::EXCLUSIVE);
        let node = directory.node.create_unnamed(&new, linkable)?;
        self.describe(Location { mount: directory.mount.clone(), node }, flags)
    }

    fn open_found(&self, location: Location, flags: OpenFlags) -> Result<Arc<Description>, Errno> {
        let kind = location.node.kind();
        let path_only = flags.contains(OpenFlags::PATH);
        if flags.contains(OpenFlags::DIRECTORY) && kind != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        if path_only {
            return self.describe(location, flags);
        }
        match kind {
            Kind::Symlink => return Err(Errno::ELOOP),
            Kind::Directory if flags.asks_to_write() || flags.contains(OpenFlags::TRUNCATE) => {
                return Err(Errno::EISDIR);
            }
            Kind::CharacterDevice | Kind::BlockDevice
                if location.mount.flags().contains(MountFlags::NO_DEVICES) =>
            {
                return Err(Errno::EACCES);
            }
            _ => {}
        }
        self.check_open(&location, flags)?;
        if flags.contains(OpenFlags::TRUNCATE) && kind == Kind::Regular {
            check_writable(&location)?;
            self.resize(&location.node, 0)?;
        }
        self.describe(location, flags)
    }

    /// Makes a file shorter or longer.
    pub(crate) fn resize(&self, node: &NodeRef, size: u64) -> Result<(), Errno> {
        shared::resize(node, size)?;
        if self.credentials.is_root() { Ok(()) } else { drop_set_id(node) }
    }

    fn check_open(&self, location: &Location, flags: OpenFlags) -> Result<(), Errno> {
        let mut wanted = if flags.asks_to_read() { READ } else { 0 };
        if flags.asks_to_write() || flags.contains(OpenFlags::TRUNCATE) {
            wanted |= WRITE;
            if matches!(location.node.kind(), Kind::Regular | Kind::Directory) {
                check_writable(location)?;
            }
        }
        if self.credentials.is_root() {
            return Ok(());
        }
        let metadata = location.node.metadata()?;
        self.credentials.check(&metadata, wanted)?;
        if flags.contains(OpenFlags::NO_ATIME) && !self.credentials.owns(&metadata) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// Makes the open file of a node.
    fn describe(&self, location: Location, flags: OpenFlags) -> Result<Arc<Description>, Errno> {
        let special = if flags.contains(OpenFlags::PATH) {
            None
        } else {
            match location.node.kind() {
                Kind::Symlink => None,
                Kind::Regular | Kind::Directory => location.node.open(flags)?,
                Kind::Socket => return Err(Errno::ENXIO),
                _ => Some(location.node.open(flags)?.ok_or(Errno::ENXIO)?),
            }
        };
        let node = OpenNode::new(location, flags, self.credentials.is_root())?;
        match special {
            None => Description::new(node, flags),
            Some(file) => Description::new(OpenSpecial::new(node, file), flags),
        }
    }

    /// The metadata of a new node in `directory`.
    pub(crate) fn new_node(
        &self,
        directory: &Location,
        kind: Kind,
        permissions: u16,
    ) -> Result<New<'static>, Errno> {
        let above = directory.node.metadata()?;
        let who = &self.credentials;
        let mut permissions = permissions & 0o7777 & !self.umask;
        let mut group = who.group;
        if above.permissions & SET_GROUP != 0 {
            group = above.group;
            if kind == Kind::Directory {
                permissions |= SET_GROUP;
            } else if permissions & (SET_GROUP | 0o10) == SET_GROUP | 0o10
                && !who.is_root()
                && !who.is_in(group)
            {
                permissions &= !SET_GROUP;
            }
        }
        Ok(New { kind, permissions, user: who.user, group, special: 0, target: b"" })
    }

    /// Checks that names can be made in, and taken from, `directory`.
    pub(crate) fn check_create(&self, directory: &Location) -> Result<(), Errno> {
        check_writable(directory)?;
        if self.credentials.is_root() {
            return Ok(());
        }
        self.credentials.check(&directory.node.metadata()?, WRITE | EXECUTE)
    }
}

/// The set-group-id bit.
pub(crate) const SET_GROUP: u16 = 0o2000;

pub(crate) fn check_writable(location: &Location) -> Result<(), Errno> {
    if location.mount.flags().contains(MountFlags::READ_ONLY) {
        return Err(Errno::EROFS);
    }
    Ok(())
}

/// Takes out what does not count, and refuses what makes no sense.
fn check_flags(flags: OpenFlags) -> Result<OpenFlags, Errno> {
    // As Linux's build_open_flags(): unknown flags do not count.
    let mut flags = OpenFlags::from_bits_truncate(flags.bits());
    if flags.contains(OpenFlags::PATH) {
        return Ok(flags
            & (OpenFlags::PATH
                | OpenFlags::DIRECTORY
                | OpenFlags::NO_FOLLOW
                | OpenFlags::CLOSE_ON_EXEC));
    }
    if flags.contains(OpenFlags::CREATE | OpenFlags::DIRECTORY) {
        return Err(Errno::EINVAL);
    }
    if flags.contains(OpenFlags::TEMPORARY) {
        if !flags.contains(OpenFlags::DIRECTORY) || !flags.asks_to_write() {
            return Err(Errno::EINVAL);
        }
        // The path leads to the directory; what is opened is none.
        flags.remove(OpenFlags::DIRECTORY);
    }
    Ok(flags | OpenFlags::LARGE_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_make_no_sense_are_refused() {
        let all = OpenFlags::TEMPORARY | OpenFlags::DIRECTORY;
        assert_eq!(check_flags(all), Err(Errno::EINVAL), "not for writing");
        assert_eq!(
            check_flags(OpenFlags::TEMPORARY | OpenFlags::READ_WRITE),
            Err(Errno::EINVAL),
            "older systems take it for O_DIRECTORY alone"
        );
        assert_eq!(check_flags(OpenFlags::CREATE | OpenFlags::DIRECTORY), Err(Errno::EINVAL));
        let path = check_flags(OpenFlags::PATH | OpenFlags::CREATE | OpenFlags::READ_WRITE);
        assert_eq!(path, Ok(OpenFlags::PATH));
    }
}
