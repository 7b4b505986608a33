//! Names in directories.

use alloc::sync::Arc;

use p9::{Entries, Qid, READ_HEADER, Request, Response};
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags};
use vfs::{Ahead, Entry, New, NodeRef, Rename};

use crate::node::RemoteNode;

/// Bytes of entries that are asked for at a time.
const ENTRIES: usize = 8 << 10;
/// How often the server may be asked for entries without one that is taken.
const MOST_IN_VAIN: usize = 1000;
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
    let dots = matches!(name, b"" | b"." | b"..");
    // Programs have no room for longer ones.
    if dots || name.len() > vfs::MAX_NAME || name.iter().any(|b| matches!(b, b'/' | 0)) {
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
                let made = client.ask(&create, |response| match response {
                    Response::Lcreate { qid, .. } => Some(qid.path),
                    _ => None,
                })?;
                let node = self.child(name)?;
                // Else somebody has put another in its place meanwhile.
                if node.path == made {
                    node.keep(opened)?;
                }
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
        let flags = if directory { REMOVE_DIRECTORY } else { 0 };
        let request = Request::Unlinkat { directory: self.fid().number(), name, flags };
        let client = &self.shared.client;
        node.losing_name(|| {
            client.ask(&request, |response| matches!(response, Response::Unlinkat {}).then_some(()))
        })
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
        let request = Request::Renameat {
            directory: self.fid().number(),
            name: rename.from,
            new_directory: to.fid().number(),
            new_name: rename.to,
        };
        let client = &self.shared.client;
        let ask = || {
            client.ask(&request, |response| matches!(response, Response::Renameat {}).then_some(()))
        };
        to.changing_entries(|| match replaced {
            Some(replaced) => replaced.losing_name(ask),
            None => ask(),
        })?;
        node.me()?.set_place(Some((&to.me()?, rename.to)))?;
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
        let mut at = vfs::position_to(from);
        if let Some(ahead) = Ahead::take(&self.ahead, at)
            && let Some(left) = self.visit(ahead.bytes(), &mut at, visit)?.map(<[u8]>::len)
        {
            ahead.put_back(&self.ahead, at, left);
            return Ok(());
        }
        let (reader, client) = (self.reader()?, &self.shared.client);
        let count = ENTRIES.min(client.max_data());
        let mut in_vain = 0;
        while in_vain < MOST_IN_VAIN {
            in_vain += 1;
            let visit = &mut |entry: &Entry<'_>| {
                in_vain = 0;
                visit(entry)
            };
            let request =
                Request::Readdir { fid: reader.number(), offset: at, count: count as u32 };
            let more = client.call(&request, READ_HEADER + count, |response| {
                let Response::Readdir { data } = response else { return Err(Errno::EIO) };
                if data.0.is_empty() {
                    return Ok(false);
                }
                let left = self.visit(data.0, &mut at, visit)?;
                if let Some(left) = left {
                    Ahead::keep(&self.ahead, at, left);
                }
                Ok(left.is_none())
            })?;
            if !more {
                return Ok(());
            }
        }
        Err(Errno::EIO)
    }

    /// Visits entries as they came from the server; `at` moves on behind those that were taken. Returns
    /// those that are left when `visit` takes no more.
    fn visit<'a>(
        &self,
        data: &'a [u8],
        at: &mut u64,
        visit: &mut dyn FnMut(&Entry<'_>) -> bool,
    ) -> Result<Option<&'a [u8]>, Errno> {
        let mut entries = Entries::new(data);
        loop {
            let left = entries.rest();
            let Some(entry) = entries.next() else { return Ok(None) };
            let entry = entry.map_err(|_| Errno::EIO)?;
            let dots = matches!(entry.name, b"." | b"..");
            if !dots {
                check_name(entry.name).map_err(|_| Errno::EIO)?;
            }
            let kind = match Kind::from_mode(u32::from(entry.kind) << 12) {
                _ if dots => None,
                Some(kind) if entry.kind != 0 => Some(kind),
                // The server's file system does not tell. What is gone by now is no entry.
                _ => self.child(entry.name).ok().map(|node| node.kind()),
            };
            if let Some(kind) = kind {
                let next = vfs::position_from(entry.next);
                let inode = entry.qid.path;
                if !visit(&Entry { name: entry.name, inode, kind, next }) {
                    return Ok(Some(left));
                }
            }
            *at = entry.next;
        }
    }
}
