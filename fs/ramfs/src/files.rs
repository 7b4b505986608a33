//! Nodes as the tree of files uses them.

use alloc::boxed::Box;
use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::{File, Kind, Metadata, OpenFlags, Timestamp, fallible};
use vfs::{Allocate, Change, Entry, New, Node, NodeRef, Rename, WriteAt};

use crate::node::{Body, RamNode};

impl Node for RamNode {
    #[inline]
    fn kind(&self) -> Kind {
        self.kind()
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(self.metadata())
    }

    fn change(&self, change: &Change) -> Result<(), Errno> {
        self.change(change);
        Ok(())
    }

    #[inline]
    fn lookup(&self, name: &[u8]) -> Result<NodeRef, Errno> {
        let names = self.names()?.read();
        match names.get(name) {
            Some(node) => Ok(node.clone()),
            None => Err(Errno::ENOENT),
        }
    }

    fn parent(&self) -> Option<NodeRef> {
        self.parent().map(|parent| parent as NodeRef)
    }

    fn name(&self) -> Result<Option<Box<[u8]>>, Errno> {
        let Some(place) = self.place() else { return Ok(None) };
        place.lock().name.as_deref().map(fallible::copy).transpose()
    }

    fn list(&self, from: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<(), Errno> {
        self.list(from, visit)
    }

    fn create(&self, name: &[u8], new: &New<'_>) -> Result<NodeRef, Errno> {
        self.adopt(name, || {
            let parent = if new.kind == Kind::Directory { Some(self.me()?) } else { None };
            Self::new(&self.shared, new, parent.as_ref())
        })
    }

    fn create_unnamed(&self, new: &New<'_>, linkable: bool) -> Result<NodeRef, Errno> {
        let node = Self::new(&self.shared, new, None)?;
        node.attributes.lock().linkable = linkable;
        Ok(node)
    }

    fn link(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        let node = Self::from(node).filter(|n| Arc::ptr_eq(&n.shared, &self.shared));
        let node = node.ok_or(Errno::EXDEV)?.me()?;
        self.adopt(name, || {
            let attributes = node.attributes.lock();
            if attributes.links == 0 && !attributes.linkable {
                return Err(Errno::ENOENT);
            }
            drop(attributes);
            Ok(node)
        })
        .map(drop)
    }

    fn unlink(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        let now = Timestamp::now();
        // Dropped after the lock: it may be a large file.
        let removed;
        {
            let mut names = self.names()?.write();
            let expected = Self::from(node).ok_or(Errno::ESTALE)?;
            if !names.get(name).is_some_and(|found| found.is(expected)) {
                return Err(Errno::ESTALE);
            }
            removed = names.remove(name);
            self.note_write(now);
        }
        match removed {
            Some(node) => node.count_name(false, now),
            None => Ok(()),
        }
    }

    fn remove_directory(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        let now = Timestamp::now();
        let mut names = self.names()?.write();
        let expected = Self::from(node).ok_or(Errno::ESTALE)?;
        let found = names.get(name).filter(|found| found.is(expected)).ok_or(Errno::ESTALE)?;
        found.become_removed()?;
        let removed = names.remove(name);
        self.note_write(now);
        drop(names);
        match removed {
            Some(node) => node.count_name(false, now),
            None => Ok(()),
        }
    }

    fn rename(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        self.move_name(rename)
    }

    fn read_link(&self) -> Result<Arc<[u8]>, Errno> {
        match &self.body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(&self, flags: OpenFlags) -> Result<Option<Arc<dyn File>>, Errno> {
        match &self.body {
            Body::Fifo(fifo) => fifo.open(flags).map(Some),
            Body::Special(number) => vfs::open_device(self.kind(), *number, flags).map(Some),
            _ => Ok(None),
        }
    }

    fn note_read(&self) {
        self.note_read();
    }

    fn note_transfer(&self, written: bool) {
        if written { self.note_write(Timestamp::now()) } else { self.note_read() }
    }

    fn read(&self, offset: u64, buffers: &mut [&mut [u8]], touch: bool) -> Result<usize, Errno> {
        let read = self.content()?.read().read(offset, buffers);
        if touch {
            self.note_read();
        }
        Ok(read)
    }

    fn write(&self, at: WriteAt, buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        let mut content = self.content()?.write();
        let offset = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => content.size(),
        };
        let written = content.write(offset, buffers)?;
        if written > 0 {
            self.note_write(Timestamp::now());
        }
        Ok((offset, written))
    }

    fn visit(
        &self,
        offset: u64,
        length: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        self.content()?.read().visit(offset, length, sink)
    }

    fn resize(&self, size: u64) -> Result<(), Errno> {
        let mut content = self.content()?.write();
        content.resize(size)?;
        self.note_write(Timestamp::now());
        Ok(())
    }

    fn allocate(&self, how: Allocate, offset: u64, length: u64) -> Result<(), Errno> {
        let mut content = self.content()?.write();
        content.allocate(how, offset, length)?;
        self.note_write(Timestamp::now());
        Ok(())
    }

    fn find(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        self.content()?.read().find(offset, hole)
    }
}

impl RamNode {
    /// Marks an empty directory as removed.
    pub fn become_removed(&self) -> Result<(), Errno> {
        let mut names = self.names()?.write();
        if names.len() > 0 {
            return Err(Errno::ENOTEMPTY);
        }
        names.removed = true;
        if let Some(place) = self.place() {
            place.lock().name = None;
        }
        Ok(())
    }

    /// A copy of a name, for a place that a directory gets.
    pub fn place_name(&self, name: &[u8]) -> Result<Option<Box<[u8]>>, Errno> {
        if self.is_directory() { fallible::copy(name).map(Some) } else { Ok(None) }
    }
}
