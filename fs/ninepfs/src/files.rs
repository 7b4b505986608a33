//! Nodes as the tree of files uses them.

use alloc::boxed::Box;
use alloc::sync::Arc;

use p9::{Lock, LockQuery, LockStatus, LockType, Request, Response, SetAttributes, set};
use ukerrno::Errno;
use ukfile::{File, Gather, Kind, Metadata, OpenFlags, Scatter, SyncKind, Timestamp, fallible};
use vfs::{Change, Entry, LockKind, New, Node, NodeRef, RangeLock, Rename, WriteAt};

use crate::node::RemoteNode;

/// Bytes of the answer that a link's target comes in.
const TARGET: usize = p9::HEADER + 2 + 4096;

const NOTHING: SetAttributes = SetAttributes {
    valid: 0,
    mode: 0,
    user: 0,
    group: 0,
    size: 0,
    accessed: 0,
    accessed_ns: 0,
    modified: 0,
    modified_ns: 0,
};

impl RemoteNode {
    fn set(&self, to: SetAttributes) -> Result<(), Errno> {
        let request = Request::Setattr { fid: self.fid().number(), to };
        self.shared
            .client
            .ask(&request, |response| matches!(response, Response::Setattr {}).then_some(()))
    }
}

/// Who has the locks: the image as a whole.
const PROCESS: u32 = 1;
const CLIENT: &[u8] = b"oxikraft";

fn kind_of(kind: LockKind) -> LockType {
    match kind {
        LockKind::None => LockType::Unlock,
        LockKind::Shared => LockType::Read,
        LockKind::Exclusive => LockType::Write,
    }
}

fn seconds(time: Timestamp) -> (u64, u64) {
    (time.seconds as u64, time.nanoseconds.into())
}

impl Node for RemoteNode {
    fn kind(&self) -> Kind {
        self.kind()
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.told()
    }

    fn change(&self, change: &Change) -> Result<(), Errno> {
        let mut to = NOTHING;
        if let Some(user) = change.user {
            (to.valid, to.user) = (to.valid | set::USER, user);
        }
        if let Some(group) = change.group {
            (to.valid, to.group) = (to.valid | set::GROUP, group);
        }
        // A new owner takes set-id bits away, so permissions come after it.
        if to.valid != 0 && change.permissions.is_some() {
            self.set(to)?;
            to = NOTHING;
        }
        if let Some(permissions) = change.permissions {
            let mode = self.kind().mode_bits() | u32::from(permissions);
            (to.valid, to.mode) = (to.valid | set::MODE, mode);
        }
        if let Some(time) = change.accessed {
            to.valid |= set::ACCESSED | set::ACCESSED_TO;
            (to.accessed, to.accessed_ns) = seconds(time);
        }
        if let Some(time) = change.modified {
            to.valid |= set::MODIFIED | set::MODIFIED_TO;
            (to.modified, to.modified_ns) = seconds(time);
        }
        self.set(to)?;
        // Of what cannot be opened nobody can ask the server to write it.
        if matches!(self.kind(), Kind::Regular | Kind::Directory) {
            self.shared.written.note(self);
        }
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<NodeRef, Errno> {
        Ok(self.child(name)?)
    }

    fn parent(&self) -> Option<NodeRef> {
        self.place.lock().parent.clone().map(|parent| parent as NodeRef)
    }

    fn name(&self) -> Result<Option<Box<[u8]>>, Errno> {
        self.place.lock().name.as_deref().map(fallible::copy).transpose()
    }

    fn list(&self, from: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<(), Errno> {
        self.entries(from, visit)
    }

    fn create(&self, name: &[u8], new: &New<'_>) -> Result<NodeRef, Errno> {
        Ok(self.changing_entries(|| self.make(name, new))?)
    }

    fn link(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        self.changing_entries(|| self.give_name(name, node))
    }

    fn unlink(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        self.changing_entries(|| self.remove(name, node, false))
    }

    fn remove_directory(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        self.changing_entries(|| self.remove(name, node, true))
    }

    fn rename(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        self.changing_entries(|| self.move_name(rename))
    }

    fn read_link(&self) -> Result<Arc<[u8]>, Errno> {
        if self.kind() != Kind::Symlink {
            return Err(Errno::EINVAL);
        }
        let request = Request::Readlink { fid: self.fid().number() };
        self.shared.client.call(&request, TARGET, |response| match response {
            Response::Readlink { target } => fallible::shared(target),
            _ => Err(Errno::EIO),
        })
    }

    fn open(&self, flags: OpenFlags) -> Result<Option<Arc<dyn File>>, Errno> {
        match self.kind() {
            Kind::Regular | Kind::Directory => self.prepare(flags).map(|()| None),
            Kind::Fifo => self.fifo.open(flags).map(Some),
            Kind::CharacterDevice | Kind::BlockDevice => {
                vfs::open_device(self.kind(), self.told()?.special, flags).map(Some)
            }
            Kind::Symlink | Kind::Socket | Kind::Anonymous => Ok(None),
        }
    }

    fn read(&self, offset: u64, buffers: &mut [&mut [u8]], _touch: bool) -> Result<usize, Errno> {
        let (reader, wanted) = (self.reader()?, ukfile::total_mut(buffers));
        let mut target = Scatter::new(buffers);
        let mut done = 0;
        while done < wanted {
            match reader.read(offset + done as u64, wanted - done, |data| target.put(data)) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write(&self, at: WriteAt, buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        let writer = self.writer()?;
        let _writing = self.writing.lock();
        let start = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => self.told()?.size,
        };
        let mut source = Gather::new(buffers);
        let (wanted, most) = (source.left(), self.shared.client.max_data());
        let mut done = 0;
        while done < wanted {
            let count = (wanted - done).min(most);
            match writer.write(start + done as u64, count, |data| source.append_to(data, count)) {
                Ok(written) => {
                    done += written;
                    if written < count {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        self.note(|known| known.size = known.size.max(start + done as u64));
        self.shared.written.note(self);
        Ok((start, done))
    }

    fn resize(&self, size: u64) -> Result<(), Errno> {
        // Whether it may be written to is told by opening it.
        self.writer()?;
        self.set(SetAttributes { valid: set::SIZE, size, ..NOTHING })?;
        self.note(|known| known.size = size);
        self.shared.written.note(self);
        Ok(())
    }

    fn lock(&self, lock: &RangeLock) -> Result<(), Errno> {
        let told = Lock {
            kind: kind_of(lock.kind),
            flags: 0,
            start: lock.first,
            length: lock.length(),
            process: PROCESS,
            client: CLIENT,
        };
        let request = Request::Lock { fid: self.lockable()?.number(), lock: told };
        let asked = self.shared.client.ask(&request, |response| match response {
            Response::Lock { status } => Some(status),
            _ => None,
        });
        match asked {
            Ok(LockStatus::Success) => Ok(()),
            Ok(LockStatus::Blocked | LockStatus::Grace) => Err(Errno::EAGAIN),
            Ok(LockStatus::Error) => Err(Errno::ENOLCK),
            // A server without locks: there are those of the image.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn blocking(&self, lock: &RangeLock) -> Result<Option<RangeLock>, Errno> {
        let (kind, length) = (kind_of(lock.kind), lock.length());
        let query = LockQuery { kind, start: lock.first, length, process: PROCESS, client: CLIENT };
        let request = Request::Getlock { fid: self.lockable()?.number(), lock: query };
        let told = self.shared.client.ask(&request, |response| match response {
            Response::Getlock { lock } => Some((lock.kind, lock.start, lock.length)),
            _ => None,
        });
        match told {
            Ok((LockType::Unlock, ..)) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(None),
            Ok((kind, start, length)) => {
                let exclusive = kind == LockType::Write;
                let kind = if exclusive { LockKind::Exclusive } else { LockKind::Shared };
                RangeLock::with_length(kind, start, length).map(Some).ok_or(Errno::EIO)
            }
            Err(error) => Err(error),
        }
    }

    fn sync(&self, what: SyncKind) -> Result<(), Errno> {
        self.shared.written.write(self, || {
            let fid = match self.any_open() {
                Some(fid) => fid,
                // Permissions may allow to write alone.
                None => match self.reader() {
                    Err(Errno::EACCES) if self.kind() == Kind::Regular => self.writer()?,
                    reader => reader?,
                },
            };
            let data_only = u32::from(what == SyncKind::Data);
            let request = Request::Fsync { fid: fid.number(), data_only };
            self.shared
                .client
                .ask(&request, |response| matches!(response, Response::Fsync {}).then_some(()))
        })
    }
}
