//! Names in directories.

use alloc::sync::Arc;

use p9::{Entries, Qid, READ_HEADER, Request, Response};
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags};
use vfs::{Entry, New, NodeRef, Rename};

use crate::node::RemoteNode;

/// Bytes of entries that are asked for at a time.
const ENTRIES: usize = 8 << 10;
/// `AT_REMOVEDIR`
const REMOVE_DIRECTORY: u32 = 0x200;

fn qid_of(response: &Response<'_>) -> Option<Qid> {
    match response {
        Response::Mkdir { qid } | Response::Symlink { qid } | Response::Mknod { qid } => Some(*qid),
        _ => None,
    }
}

/// Refuses what is no name: the tree above has taken them out already.
fn check_name(name: &[u8]) -> Result<(), Errno> {
    if matches!(name, b"" | b"." | b"..") || name.iter().any(|b| matches!(b, b'/' | 0)) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

impl RemoteNode {
    pub fn child(&self, name: &[u8]) -> Result<Arc<RemoteNode>, Errno> {
        if self.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        check_name(name)?;
        let (fid, qid) = self.fid().walk(Some(name))?;
        self.shared.node(fid, qid.ok_or(Errno::EIO)?, Some((&self.me()?, name)))
    }

    pub fn make(&self, name: &[u8], new: &New<'_>) -> Result<Arc<RemoteNode>, Errno> {
        check_name(name)?;
        let (fid, mode, group) = (self.fid(), u32::from(new.permissions), new.group);
        let directory = fid.number();
        let client = &self.shared.client;
        let request = match new.kind {
            Kind::Regular => {
                // Stands for the directory first, and for the file afterwards.
                let (opened, _) = fid.walk(None)?;
                let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
                let flags = flags.bits();
                let create = Request::Lcreate { fid: opened.number(), name, flags, mode, group };
                client.ask(&create, |response| {
                    matches!(response, Response::Lcreate { .. }).then_some(())
                })?;
                let node = self.child(name)?;
                node.keep(opened)?;
                return Ok(node);
            }
            Kind::Directory => Request::Mkdir { directory, name, mode, group },
            Kind::Symlink => Request::Symlink { directory, name, target: new.target, group },
            kind => Request::Mknod {
                directory,
                name,
                mode: kind.mode_bits() | mode,
                major: ukfile::major(new.special),
                minor: ukfile::minor(new.special),
                group,
            },
        };
        client.ask(&request, |response| qid_of(&response))?;
        self.child(name)
    }

    pub fn give_name(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        check_name(name)?;
        let (directory, file) = (self.fid(), self.from(node)?.fid());
        let request = Request::Link { directory: directory.number(), fid: file.number(), name };
        self.shared
            .client
            .ask(&request, |response| matches!(response, Response::Link {}).then_some(()))
    }

    pub fn remove(&self, name: &[u8], node: &NodeRef, directory: bool) -> Result<(), Errno> {
        check_name(name)?;
        let node = self.from(node)?;
        node.before_unlink();
        let flags = if directory { REMOVE_DIRECTORY } else { 0 };
        let request = Request::Unlinkat { directory: self.fid().number(), name, flags };
        self.shared
            .client
            .ask(&request, |response| matches!(response, Response::Unlinkat {}).then_some(()))?;
        if directory {
            node.place.lock().name = None;
        }
        Ok(())
    }

    pub fn move_name(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        if rename.exchange {
            // As Linux says of file systems that cannot.
            return Err(Errno::EINVAL);
        }
        check_name(rename.from)?;
        check_name(rename.to)?;
        let (to, node) = (self.from(rename.directory)?, self.from(rename.node)?);
        let replaced = rename.replaced.map(|r| self.from(r)).transpose()?;
        if let Some(replaced) = replaced {
            replaced.before_unlink();
        }
        let request = Request::Renameat {
            directory: self.fid().number(),
            name: rename.from,
            new_directory: to.fid().number(),
            new_name: rename.to,
        };
        self.shared
            .client
            .ask(&request, |response| matches!(response, Response::Renameat {}).then_some(()))?;
        if let Some(replaced) = replaced {
            replaced.place.lock().name = None;
        }
        node.set_place(Some((&to.me()?, rename.to)))?;
        Ok(())
    }

    pub fn entries(
        &self,
        from: u64,
        visit: &mut dyn FnMut(&Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        if self.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        let (reader, client) = (self.reader()?, &self.shared.client);
        let count = ENTRIES.min(client.max_data());
        let mut at = vfs::position_to(from);
        loop {
            let request =
                Request::Readdir { fid: reader.number(), offset: at, count: count as u32 };
            let more = client.call(&request, READ_HEADER + count, |response| {
                let Response::Readdir { data } = response else { return Err(Errno::EIO) };
                if data.0.is_empty() {
                    return Ok(false);
                }
                for entry in Entries::new(data.0) {
                    let entry = entry.map_err(|_| Errno::EIO)?;
                    at = entry.next;
                    if matches!(entry.name, b"." | b"..") {
                        continue;
                    }
                    check_name(entry.name).map_err(|_| Errno::EIO)?;
                    let kind = match Kind::from_mode(u32::from(entry.kind) << 12) {
                        Some(kind) if entry.kind != 0 => kind,
                        // The server's file system does not tell.
                        _ => match self.child(entry.name) {
                            Ok(node) => node.kind(),
                            Err(_) => continue,
                        },
                    };
                    let next = vfs::position_from(entry.next);
                    let inode = entry.qid.path;
                    if !visit(&Entry { name: entry.name, inode, kind, next }) {
                        return Ok(false);
                    }
                }
                Ok(true)
            })?;
            if !more {
                return Ok(());
            }
        }
    }
}
