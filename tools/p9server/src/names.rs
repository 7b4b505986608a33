//! Requests that make, move and remove names.

use p9::Qid;
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags};
use vfs::{New, NodeRef, Rename};

use crate::answer::Server;
use crate::fids::{Fid, Open};
use crate::set_id;

/// `AT_REMOVEDIR`
const REMOVE_DIRECTORY: u32 = 0x200;
/// How often something is tried that others on the host overtake.
const TRIES: usize = 16;

fn make_in(
    directory: &NodeRef,
    name: &[u8],
    kind: Kind,
    mode: u32,
    target: &[u8],
) -> Result<NodeRef, Errno> {
    let permissions = (mode & 0o7777) as u16;
    if let Err(refused) = set_id::check(kind, permissions, 0) {
        // To what is there already they would not be given.
        return match directory.lookup(name) {
            Ok(_) => Err(Errno::EEXIST),
            Err(Errno::ENOENT) => Err(refused),
            Err(error) => Err(error),
        };
    }
    // Owners are whom the host makes them.
    directory.create(name, &New { kind, permissions, user: 0, group: 0, special: 0, target })
}

/// Tries again what was overtaken.
fn again<T>(mut operation: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 0..TRIES {
        match operation() {
            Err(Errno::ESTALE) => {}
            result => return result,
        }
    }
    Err(Errno::EBUSY)
}

impl Server {
    pub(crate) fn make(
        &mut self,
        directory: u32,
        name: &[u8],
        kind: Kind,
        mode: u32,
        target: &[u8],
    ) -> Result<Qid, Errno> {
        let directory = self.fids.node(directory)?;
        let node = make_in(&directory, name, kind, mode, target)?;
        self.qid(&node)
    }

    /// Makes and opens a regular file; opens one that is there unless it must be new.
    pub(crate) fn create(
        &mut self,
        fid: u32,
        name: &[u8],
        flags: OpenFlags,
        mode: u32,
    ) -> Result<Qid, Errno> {
        let Fid { node: directory, open: Open::No } = self.fids.get(fid)?.clone() else {
            return Err(Errno::EBUSY);
        };
        let open = Open::File { reads: flags.asks_to_read(), writes: flags.asks_to_write() };
        let node = match make_in(&directory, name, Kind::Regular, mode, b"") {
            Err(Errno::EEXIST) if !flags.contains(OpenFlags::EXCLUSIVE) => {
                let node = directory.lookup(name)?;
                if node.kind() == Kind::Directory {
                    return Err(Errno::EISDIR);
                }
                self.open_node(&node, flags)?;
                node
            }
            made => made?,
        };
        let qid = self.qid(&node)?;
        self.fids.set(fid, Fid { node, open });
        Ok(qid)
    }

    pub(crate) fn rename(&mut self, from: (u32, &[u8]), to: (u32, &[u8])) -> Result<(), Errno> {
        let (directory, new_directory) = (self.fids.node(from.0)?, self.fids.node(to.0)?);
        again(|| {
            let node = directory.lookup(from.1)?;
            let replaced = match new_directory.lookup(to.1) {
                Ok(node) => Some(node),
                Err(Errno::ENOENT) => None,
                Err(error) => return Err(error),
            };
            if replaced.as_ref().is_some_and(|replaced| vfs::same(replaced, &node)) {
                return Ok(());
            }
            directory.rename(&Rename {
                from: from.1,
                node: &node,
                directory: &new_directory,
                to: to.1,
                replaced: replaced.as_ref(),
                exchange: false,
            })
        })
    }

    pub(crate) fn unlink(&mut self, directory: u32, name: &[u8], flags: u32) -> Result<(), Errno> {
        let directory = self.fids.node(directory)?;
        again(|| {
            let node = directory.lookup(name)?;
            match flags {
                0 => directory.unlink(name, &node),
                REMOVE_DIRECTORY => directory.remove_directory(name, &node),
                _ => Err(Errno::EINVAL),
            }
        })
    }
}
