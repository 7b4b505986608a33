//! Moving names.

use alloc::boxed::Box;
use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::{Timestamp, fallible};
use uklock::RwLockWriteGuard;
use vfs::Rename;

use crate::directory::Directory;
use crate::node::RamNode;

/// The names of one directory or of two.
enum Locked<'a> {
    One(RwLockWriteGuard<'a, Directory>),
    Two { from: RwLockWriteGuard<'a, Directory>, to: RwLockWriteGuard<'a, Directory> },
}

impl Locked<'_> {
    fn from(&mut self) -> &mut Directory {
        match self {
            Self::One(names) | Self::Two { from: names, .. } => names,
        }
    }

    fn to(&mut self) -> &mut Directory {
        match self {
            Self::One(names) | Self::Two { to: names, .. } => names,
        }
    }
}

/// Whether `node` is `directory` or below it. The tree does not change meanwhile.
fn is_within(node: &RamNode, directory: &RamNode) -> bool {
    let mut above;
    let mut here = node;
    loop {
        if here.is(directory) {
            return true;
        }
        match here.parent() {
            Some(parent) => above = parent,
            None => return false,
        }
        here = &above;
    }
}

/// Locks two directories, the one above the other first, so that locks go downwards as
/// everywhere.
fn lock_both<'a>(from: &'a RamNode, to: &'a RamNode) -> Result<Locked<'a>, Errno> {
    if from.is(to) {
        return Ok(Locked::One(from.names()?.write()));
    }
    // Directories that are not above each other can be locked in any order that is the same for
    // all; as they only move under the topology lock, who removes one holds the one above it.
    let from_first = is_within(to, from) || (!is_within(from, to) && from.inode() < to.inode());
    if from_first {
        let from = from.names()?.write();
        Ok(Locked::Two { from, to: to.names()?.write() })
    } else {
        let to = to.names()?.write();
        Ok(Locked::Two { from: from.names()?.write(), to })
    }
}

impl RamNode {
    /// [`vfs::Node::rename`].
    pub fn move_name(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        let of_this = |node| Self::from(node).filter(|n| Arc::ptr_eq(&n.shared, &self.shared));
        let to = of_this(rename.directory).ok_or(Errno::EXDEV)?;
        let node = of_this(rename.node).ok_or(Errno::ESTALE)?.me()?;
        let replaced = match rename.replaced {
            None => None,
            Some(replaced) => Some(of_this(replaced).ok_or(Errno::ESTALE)?.me()?),
        };
        // Names that directories will know themselves by, and the entry: all that can fail.
        let node_name = node.place_name(rename.to)?;
        let replaced_name = match &replaced {
            Some(replaced) if rename.exchange => replaced.place_name(rename.from)?,
            _ => None,
        };
        let key = fallible::copy(rename.to)?;

        let _topology = self.shared.topology.lock();
        if node.is_directory() && is_within(to, &node) {
            return Err(Errno::EINVAL);
        }
        if let Some(replaced) = replaced.as_ref().filter(|r| r.is_directory())
            && is_within(self, replaced)
        {
            return Err(if rename.exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        let mut locked = lock_both(self, to)?;
        let is_still =
            |found: Option<&Arc<Self>>, expected: Option<&Arc<Self>>| match (found, expected) {
                (Some(found), Some(expected)) => found.is(expected),
                (None, None) => true,
                _ => false,
            };
        if !is_still(locked.from().get(rename.from), Some(&node))
            || !is_still(locked.to().get(rename.to), replaced.as_ref())
        {
            return Err(Errno::ESTALE);
        }
        if locked.to().removed {
            return Err(Errno::ENOENT);
        }
        let now = Timestamp::now();
        match &replaced {
            None => {
                locked.to().reserve()?;
                locked.from().remove(rename.from);
                locked.to().insert(key, node.clone());
            }
            Some(replaced) if rename.exchange => {
                locked.to().replace(rename.to, node.clone());
                locked.from().replace(rename.from, replaced.clone());
                replaced.move_to(self, replaced_name);
                replaced.attributes.lock().changed = now;
            }
            Some(replaced) => {
                if replaced.is_directory() {
                    replaced.become_removed()?;
                }
                locked.to().replace(rename.to, node.clone());
                locked.from().remove(rename.from);
                replaced.count_name(false, now)?;
            }
        }
        node.move_to(to, node_name);
        node.attributes.lock().changed = now;
        self.note_write(now);
        to.note_write(now);
        drop(locked);
        // A large file that lost its last name goes without locks held.
        drop(replaced);
        Ok(())
    }

    /// Notes where a directory has come to be.
    fn move_to(&self, parent: &Self, name: Option<Box<[u8]>>) {
        if let (Some(place), Ok(parent)) = (self.place(), parent.me()) {
            let mut place = place.lock();
            place.parent = Arc::downgrade(&parent);
            place.name = name;
        }
    }
}
