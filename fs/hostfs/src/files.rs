//! Nodes as the tree of files uses them.

use alloc::boxed::Box;
use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::{File, Gather, Kind, Metadata, OpenFlags, SyncKind, fallible};
use vfs::{
    Ahead, Allocate, Change, Entry, LockKind, New, Node, NodeRef, RangeLock, Rename, WriteAt,
};

use crate::node::HostNode;

/// Bytes of a path of the host at most.
const MAX_TARGET: usize = 4096;
/// Buffers that the host takes at a time.
const MAX_BUFFERS: usize = 16;
/// Bytes that are copied to be appended in one step.
const MOST_AT_ONCE: usize = 1 << 20;

impl HostNode {
    /// Does something that changes files, and notes it: what fails may have done a part of it.
    fn changing<T>(&self, change: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let result = change();
        self.shared.note_change();
        result
    }

    /// The same where entries of this directory change.
    fn changing_entries<T>(&self, change: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let result = self.changing(change);
        Ahead::forget(&self.ahead);
        result
    }

    fn set(&self, change: &Change) -> Result<(), Errno> {
        // A new owner takes set-id bits away, so permissions come after it.
        if change.user.is_some() || change.group.is_some() {
            self.fd.set_owner(change.user, change.group)?;
        }
        if let Some(permissions) = change.permissions {
            self.shared.links.set_permissions(&self.fd.name(), permissions)?;
        }
        if change.accessed.is_some() || change.modified.is_some() {
            self.shared.links.set_times(&self.fd.name(), change.accessed, change.modified)?;
        }
        Ok(())
    }

    fn write_all(&self, at: WriteAt, buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        let writer = self.writer()?;
        let _position = self.position.lock();
        if at == WriteAt::End && buffers.len() > MAX_BUFFERS {
            // In one step, as others may write behind the end at the same time. What is more than can be
            // copied is left to the next call.
            let mut all = fallible::zeroed(ukfile::total(buffers).min(MOST_AT_ONCE))?;
            Gather::new(buffers).copy_to(&mut all);
            return writer.append(&[&all]);
        }
        let mut chunks = buffers.chunks(MAX_BUFFERS);
        let first = chunks.next().unwrap_or_default();
        let (start, mut done) = match at {
            WriteAt::Offset(offset) => (offset, writer.write(offset, first)?),
            WriteAt::End => writer.append(first)?,
        };
        let mut wanted = ukfile::total(first);
        for some in chunks {
            if done < wanted {
                break;
            }
            wanted += ukfile::total(some);
            match writer.write(start + done as u64, some) {
                Ok(written) => done += written,
                Err(_) => break,
            }
        }
        Ok((start, done))
    }
}

impl Node for HostNode {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.shared.with_own_device(self.fd.metadata()?)
    }

    fn change(&self, change: &Change) -> Result<(), Errno> {
        self.changing(|| self.set(change))
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

    fn create_unnamed(&self, new: &New<'_>, linkable: bool) -> Result<NodeRef, Errno> {
        Ok(self.changing(|| self.make_unnamed(new, linkable))?)
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
        if self.kind != Kind::Symlink {
            return Err(Errno::EINVAL);
        }
        let mut target = fallible::zeroed(MAX_TARGET)?;
        let length = self.fd.read_link(&mut target)?;
        fallible::shared(&target[..length])
    }

    fn open(&self, flags: OpenFlags) -> Result<Option<Arc<dyn File>>, Errno> {
        match self.kind {
            Kind::Regular | Kind::Directory => self.prepare(flags).map(|()| None),
            Kind::Fifo => self.fifo.open(flags).map(Some),
            Kind::CharacterDevice | Kind::BlockDevice => {
                vfs::open_device(self.kind, self.fd.metadata()?.special, flags).map(Some)
            }
            Kind::Symlink | Kind::Socket | Kind::Anonymous => Ok(None),
        }
    }

    fn read(&self, offset: u64, buffers: &mut [&mut [u8]], _touch: bool) -> Result<usize, Errno> {
        let reader = self.reader()?;
        let mut done = 0;
        for some in buffers.chunks_mut(MAX_BUFFERS) {
            let wanted = ukfile::total_mut(some);
            match reader.read(offset + done as u64, some) {
                Ok(read) => {
                    done += read;
                    if read < wanted {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write(&self, at: WriteAt, buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        self.changing(|| self.write_all(at, buffers))
    }

    fn resize(&self, size: u64) -> Result<(), Errno> {
        self.changing(|| self.writer()?.resize(size))
    }

    fn allocate(&self, how: Allocate, offset: u64, length: u64) -> Result<(), Errno> {
        const KEEP_SIZE: usize = 1;
        let keep = |keep_size: bool| if keep_size { KEEP_SIZE } else { 0 };
        let mode = match how {
            Allocate::Reserve { keep_size } => keep(keep_size),
            Allocate::PunchHole => 2 | KEEP_SIZE,
            Allocate::Collapse => 8,
            Allocate::Zero { keep_size } => 16 | keep(keep_size),
            Allocate::Insert => 32,
        };
        self.changing(|| self.writer()?.allocate(mode, offset, length))
    }

    fn find(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        let reader = self.any_open()?;
        let _position = self.position.lock();
        reader.seek(offset, if hole { 4 } else { 3 })
    }

    fn lock(&self, lock: &RangeLock) -> Result<(), Errno> {
        match self.locker()?.lock(lock, false) {
            // Open for reading alone, a file can have no lock against others that read. They cannot
            // be written to either.
            Err(Errno::EBADF) if lock.kind == LockKind::Exclusive => Err(Errno::ENOLCK),
            locked => locked.map(drop),
        }
    }

    fn blocking(&self, lock: &RangeLock) -> Result<Option<RangeLock>, Errno> {
        self.locker()?.lock(lock, true)
    }

    fn sync(&self, what: SyncKind) -> Result<(), Errno> {
        match self.kind {
            Kind::Regular | Kind::Directory => self.any_open()?.sync(what == SyncKind::Data),
            _ => Err(Errno::EINVAL),
        }
    }
}
