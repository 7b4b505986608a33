//! Opening, reading, writing, listing.

use p9::{DirectoryEntry, EntryWriter, Qid, READ_HEADER, Response, kind};
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags};
use vfs::{NodeRef, WriteAt};

use crate::Access;
use crate::answer::{Answer, Server};
use crate::fids::{Fid, Open};
use crate::set_id;

/// Files end here at last, as on Linux.
const MAX_OFFSET: u64 = i64::MAX as u64;

fn check_end(offset: u64, length: usize) -> Result<(), Errno> {
    match offset.checked_add(length as u64) {
        Some(0..=MAX_OFFSET) => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

impl Server {
    /// Opens what is there.
    pub(crate) fn open_node(&self, node: &NodeRef, flags: OpenFlags) -> Result<Open, Errno> {
        let truncates = flags.contains(OpenFlags::TRUNCATE);
        let writes = flags.asks_to_write();
        match node.kind() {
            Kind::Directory if writes || truncates => return Err(Errno::EISDIR),
            Kind::Directory => {
                node.open(OpenFlags::READ_ONLY)?;
                return Ok(Open::Directory);
            }
            _ if flags.contains(OpenFlags::DIRECTORY) => return Err(Errno::ENOTDIR),
            Kind::Regular => {}
            Kind::Symlink => return Err(Errno::ELOOP),
            // Those are the client's own.
            _ => return Err(Errno::EOPNOTSUPP),
        }
        if self.access == Access::ReadOnly && (writes || truncates) {
            return Err(Errno::EROFS);
        }
        node.open(flags & OpenFlags::ACCESS)?;
        if writes || truncates {
            set_id::take(node)?;
        }
        if truncates {
            node.resize(0)?;
        }
        Ok(Open::File { reads: flags.asks_to_read(), writes })
    }

    pub(crate) fn open(&mut self, fid: u32, flags: OpenFlags) -> Result<Qid, Errno> {
        let Fid { node, open: Open::No } = self.fids.get(fid)?.clone() else {
            return Err(Errno::EBUSY);
        };
        let open = self.open_node(&node, flags)?;
        let qid = self.qid(&node)?;
        self.fids.set(fid, Fid { node, open });
        Ok(qid)
    }

    /// Reads straight into the answer.
    pub(crate) fn read(
        &mut self,
        tag: u16,
        fid: u32,
        offset: u64,
        count: u32,
        reply: &mut [u8],
    ) -> Result<Answer<'static>, Errno> {
        let Fid { node, open } = self.fids.get(fid)?;
        match open {
            Open::File { reads: true, .. } => {}
            Open::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EBADF),
        }
        let (header, room) = reply.split_at_mut(READ_HEADER);
        let count = room.len().min(count as usize);
        check_end(offset, count)?;
        let read = node.read(offset, &mut [&mut room[..count]], true)?;
        header.copy_from_slice(&Response::data_header(tag, false, read as u32));
        Ok(Answer::Written(READ_HEADER + read))
    }

    pub(crate) fn write(&mut self, fid: u32, offset: u64, data: &[u8]) -> Result<u32, Errno> {
        let Fid { node, open } = self.fids.get(fid)?;
        match open {
            Open::File { writes: true, .. } => {}
            _ => return Err(Errno::EBADF),
        }
        check_end(offset, data.len())?;
        let (_, written) = node.write(WriteAt::Offset(offset), &[data])?;
        u32::try_from(written).map_err(|_| Errno::EIO)
    }

    /// Lists straight into the answer, as many entries as fit; `.` and `..` come first.
    pub(crate) fn list(
        &mut self,
        tag: u16,
        fid: u32,
        offset: u64,
        count: u32,
        reply: &mut [u8],
    ) -> Result<Answer<'static>, Errno> {
        let Fid { node, open: Open::Directory } = self.fids.get(fid)? else {
            return Err(Errno::EBADF);
        };
        let (header, room) = reply.split_at_mut(READ_HEADER);
        let count = room.len().min(count as usize);
        let mut entries = EntryWriter::new(&mut room[..count]);
        let mut left_out = false;
        let mut put = |qid: Qid, next: u64, kind: Kind, name: &[u8]| {
            let entry = DirectoryEntry { qid, next, kind: kind as u8, name };
            let taken = entries.push(&entry);
            left_out |= !taken;
            taken
        };
        let mut at = offset;
        if at == 0 && put(self.qid(node)?, 1, Kind::Directory, b".") {
            at = 1;
        }
        if at == 1 {
            let above = node.parent().unwrap_or_else(|| node.clone());
            if put(self.qid(&above)?, 2, Kind::Directory, b"..") {
                at = 2;
            }
        }
        if at >= 2 {
            node.list(at, &mut |entry| {
                // Right but for directories that something is mounted on: what is listed comes
                // without the number of its file system.
                let kind = match entry.kind {
                    Kind::Directory => kind::DIRECTORY,
                    Kind::Symlink => kind::SYMLINK,
                    _ => kind::FILE,
                };
                let qid = Qid { kind, version: 0, path: entry.inode };
                put(qid, entry.next, entry.kind, entry.name)
            })?;
        }
        // Nothing at all would say that there is no more.
        if left_out && entries.is_empty() {
            return Err(Errno::EINVAL);
        }
        let length = entries.len();
        header.copy_from_slice(&Response::data_header(tag, true, length as u32));
        Ok(Answer::Written(READ_HEADER + length))
    }
}
