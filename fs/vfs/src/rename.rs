//! `rename`.

use alloc::sync::Arc;

use bitflags::bitflags;
use ukerrno::Errno;
use ukfile::Kind;

use crate::context::Context;
use crate::credentials::WRITE;
use crate::modify::check_not_mounted;
use crate::mount::Location;
use crate::node::{NodeRef, Rename, same};
use crate::open::check_writable;
use crate::walk::{Last, Walk};

bitflags! {
    /// Flags of `renameat2`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct RenameFlags: u32 {
        /// Nothing may be replaced.
        const NO_REPLACE = 1;
        /// The two change places.
        const EXCHANGE = 2;
    }
}

impl Context {
    /// `renameat2`.
    ///
    /// # Errors
    /// As `renameat2(2)`.
    pub fn rename(
        &self,
        old: (Option<&Location>, &[u8]),
        new: (Option<&Location>, &[u8]),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        if flags.contains(RenameFlags::NO_REPLACE | RenameFlags::EXCHANGE)
            || RenameFlags::from_bits(flags.bits()).is_none()
        {
            return Err(Errno::EINVAL);
        }
        self.again(|| self.try_rename(old, new, flags))
    }

    // The order of the checks is that of Linux's do_renameat2() and vfs_rename().
    fn try_rename(
        &self,
        old: (Option<&Location>, &[u8]),
        new: (Option<&Location>, &[u8]),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let exchange = flags.contains(RenameFlags::EXCHANGE);
        let no_replace = flags.contains(RenameFlags::NO_REPLACE);
        let mut old_walk = Walk::new(self, old.1)?;
        let (from, last) = old_walk.parent(old.0)?;
        let mut new_walk = Walk::new(self, new.1)?;
        let (to, new_last) = new_walk.parent(new.0)?;
        if !Arc::ptr_eq(&from.mount, &to.mount) {
            return Err(Errno::EXDEV);
        }
        let Last::Name(old_name) = last else { return Err(Errno::EBUSY) };
        let Last::Name(new_name) = new_last else {
            return Err(if no_replace { Errno::EEXIST } else { Errno::EBUSY });
        };
        check_writable(&from)?;
        let node = from.child(old_walk.bytes(&old_name))?;
        let replaced = match to.child(new_walk.bytes(&new_name)) {
            Ok(node) => Some(node),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        match &replaced {
            Some(_) if no_replace => return Err(Errno::EEXIST),
            None if exchange => return Err(Errno::ENOENT),
            _ => {}
        }
        let is_directory = node.kind() == Kind::Directory;
        let replaces_directory = replaced.as_ref().is_some_and(|n| n.kind() == Kind::Directory);
        if exchange && new_name.slash && !replaces_directory {
            return Err(Errno::ENOTDIR);
        }
        if !is_directory && (old_name.slash || (!exchange && new_name.slash)) {
            return Err(Errno::ENOTDIR);
        }
        if is_directory && is_within(&to.node, &node) {
            return Err(Errno::EINVAL);
        }
        if let Some(replaced) = &replaced
            && replaces_directory
            && is_within(&from.node, replaced)
        {
            return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        if replaced.as_ref().is_some_and(|replaced| same(replaced, &node)) {
            return Ok(());
        }
        self.check_remove(&from, &node)?;
        match &replaced {
            None => self.check_create(&to)?,
            Some(replaced) => {
                self.check_remove(&to, replaced)?;
                match (is_directory, replaces_directory) {
                    _ if exchange => {}
                    (true, false) => return Err(Errno::ENOTDIR),
                    (false, true) => return Err(Errno::EISDIR),
                    _ => {}
                }
            }
        }
        if !same(&from.node, &to.node) {
            // The `..` of a directory that gets another parent changes.
            self.check_movable(&node)?;
            if exchange && let Some(replaced) = &replaced {
                self.check_movable(replaced)?;
            }
        }
        check_not_mounted(&from, &node)?;
        if let Some(replaced) = &replaced {
            check_not_mounted(&to, replaced)?;
        }
        from.node.rename(&Rename {
            from: old_walk.bytes(&old_name),
            node: &node,
            directory: &to.node,
            to: new_walk.bytes(&new_name),
            replaced: replaced.as_ref(),
            exchange,
        })
    }

    fn check_movable(&self, node: &NodeRef) -> Result<(), Errno> {
        if node.kind() != Kind::Directory || self.credentials.is_root() {
            return Ok(());
        }
        self.credentials.check(&node.metadata()?, WRITE)
    }
}

/// Whether `node` is `directory` or below it.
fn is_within(node: &NodeRef, directory: &NodeRef) -> bool {
    let mut here = node.clone();
    loop {
        if same(&here, directory) {
            return true;
        }
        match here.parent() {
            Some(parent) => here = parent,
            None => return false,
        }
    }
}
