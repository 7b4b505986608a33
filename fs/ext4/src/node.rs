//! Nodes as the tree of files uses them.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};

use pipe::Fifo;
use ukerrno::Errno;
use ukfile::{File, Kind, Metadata, OpenFlags, SyncKind, Timestamp, fallible};
use uklock::Mutex;
use vfs::{Allocate, Change, Entry, New, Node, NodeRef, Rename, WriteAt};

use crate::Ext4Error;
use crate::alike::Alike;
use crate::fs::Shared;
use crate::inode::Inode;
use crate::tree::Move;

/// Bytes of a target that is in the inode.
const SHORT: u64 = 60;
/// Bytes that a path has at most, with the 0 at its end.
const PATH_MAX: u64 = 4096;

/// Where a directory is.
pub type Place = vfs::Place<Ext4Node>;

/// A file, directory, link …
pub struct Ext4Node {
    shared: Arc<Shared>,
    number: u32,
    kind: Kind,
    /// The device that it stands for.
    special: u64,
    /// Not for what is no directory: that may have several names.
    place: Mutex<Place>,
    /// It has no name any more, and is deleted with its last user.
    removed: AtomicBool,
    /// It was made without a name, and may get one: its first.
    linkable: AtomicBool,
    fifo: Fifo,
    /// What positions in the listing of this directory mean.
    alike: Mutex<Alike>,
    me: Weak<Self>,
}

impl Ext4Node {
    pub fn new(
        shared: &Arc<Shared>,
        inode: &Inode,
        place: Place,
        linkable: bool,
    ) -> Result<Arc<Self>, Errno> {
        fallible::reserve(size_of::<Self>())?;
        Ok(Arc::new_cyclic(|me| Self {
            shared: shared.clone(),
            number: inode.number,
            kind: inode.metadata.kind,
            special: inode.metadata.special,
            place: Mutex::new(place),
            removed: AtomicBool::new(inode.metadata.links == 0),
            linkable: AtomicBool::new(linkable),
            fifo: Fifo::default(),
            alike: Mutex::default(),
            me: me.clone(),
        }))
    }

    fn must_be(&self, kind: Kind, otherwise: Errno) -> Result<(), Errno> {
        if self.kind == kind { Ok(()) } else { Err(otherwise) }
    }

    fn must_be_file(&self) -> Result<(), Errno> {
        match self.kind {
            Kind::Regular => Ok(()),
            Kind::Directory => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }

    fn me(&self) -> Result<Arc<Self>, Errno> {
        self.me.upgrade().ok_or(Errno::ESTALE)
    }

    /// The node behind a reference, when it is of this file system.
    fn of_this<'a>(&self, node: &'a NodeRef) -> Option<&'a Self> {
        let any: &dyn Any = &**node;
        any.downcast_ref().filter(|node: &&Self| Arc::ptr_eq(&node.shared, &self.shared))
    }

    /// This reference is none to the node of the inode.
    pub fn disown(&self) {
        self.removed.store(false, Ordering::Release);
    }

    fn lose_last_name(&self) {
        self.removed.store(true, Ordering::Release);
        self.place.lock().name = None;
    }

    /// Whether this is `directory` or below it. Nothing moves meanwhile.
    fn is_within(&self, directory: &Self) -> bool {
        let Ok(mut here) = self.me() else { return false };
        loop {
            if here.is(directory) {
                return true;
            }
            let above = here.place.lock().parent.clone();
            match above {
                Some(above) => here = above,
                None => return false,
            }
        }
    }

    /// Notes that it was read: once after each change.
    fn note_read(&self) {
        let number = self.number;
        let needed = {
            let volume = self.shared.volume.read();
            volume.must_be_writable().is_ok()
                && volume.inode(number).is_ok_and(|inode| {
                    let Metadata { accessed, modified, changed, .. } = inode.metadata;
                    accessed <= modified || accessed <= changed
                })
        };
        if needed {
            // Who reads does not learn that it could not be noted.
            let _ = self.shared.change(|volume| volume.note_read(number));
        }
    }

    /// Does what a rename asks for, and notes where directories have come to be.
    fn move_name(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        let to = self.of_this(rename.directory).ok_or(Errno::EXDEV)?;
        let node = self.of_this(rename.node).ok_or(Errno::ESTALE)?;
        let replaced = rename.replaced.map(|node| self.of_this(node).ok_or(Errno::ESTALE));
        let replaced = replaced.transpose()?;
        let (mut from_place, mut to_place) = (
            Place { parent: Some(self.me()?), name: Some(fallible::copy(rename.from)?) },
            Place { parent: Some(to.me()?), name: Some(fallible::copy(rename.to)?) },
        );
        let result = self.shared.change(|volume| {
            if node.kind == Kind::Directory && to.is_within(node) {
                return Err(Ext4Error::Call(Errno::EINVAL));
            }
            if let Some(replaced) = replaced.filter(|node| node.kind == Kind::Directory)
                && self.is_within(replaced)
            {
                let error = if rename.exchange { Errno::EINVAL } else { Errno::ENOTEMPTY };
                return Err(Ext4Error::Call(error));
            }
            let last = volume.rename(&Move {
                from: (self.number, rename.from),
                node: node.number,
                to: (to.number, rename.to),
                replaced: replaced.map(|node| node.number),
                exchange: rename.exchange,
            })?;
            if let Some(replaced) = replaced {
                if last {
                    replaced.lose_last_name();
                }
                if rename.exchange && replaced.kind == Kind::Directory {
                    core::mem::swap(&mut *replaced.place.lock(), &mut from_place);
                }
            }
            if node.kind == Kind::Directory {
                core::mem::swap(&mut *node.place.lock(), &mut to_place);
            }
            Ok(())
        });
        // What they were before goes without locks held.
        drop((from_place, to_place));
        result
    }
}

impl Drop for Ext4Node {
    fn drop(&mut self) {
        self.shared.forget(self.number);
        if self.removed.load(Ordering::Acquire) {
            self.shared.bury(self.number);
        }
        self.place.get_mut().let_go(|node| node.place.get_mut());
    }
}

impl Node for Ext4Node {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let inode = self.shared.volume.read().inode(self.number)?;
        Ok(Metadata { device: self.shared.device, ..inode.metadata })
    }

    fn lookup(&self, name: &[u8]) -> Result<NodeRef, Errno> {
        self.must_be(Kind::Directory, Errno::ENOTDIR)?;
        // Held until the node is known, so that its number is nobody else's by then.
        let volume = self.shared.volume.read();
        let found = volume.lookup(&volume.inode(self.number)?, name)?.ok_or(Errno::ENOENT)?;
        if let Some(node) = self.shared.known(found) {
            return Ok(node);
        }
        let inode = volume.inode(found)?;
        Ok(self.shared.adopt(&inode, Some((self.me()?, name)), false)?)
    }

    fn parent(&self) -> Option<NodeRef> {
        self.place.lock().parent.clone().map(|parent| parent as NodeRef)
    }

    fn name(&self) -> Result<Option<Box<[u8]>>, Errno> {
        self.place.lock().name.as_ref().map(|name| fallible::copy(name)).transpose()
    }

    fn list(&self, from: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<(), Errno> {
        self.must_be(Kind::Directory, Errno::ENOTDIR)?;
        let volume = self.shared.volume.read();
        let inode = volume.inode(self.number)?;
        if inode.metadata.links == 0 {
            return Err(Errno::ENOENT);
        }
        // Those of `.` and `..`, which are not among these, are smaller than all others.
        let from = if from <= 2 { 0 } else { from };
        volume.list(&inode, from, &self.alike, &mut |entry| {
            let kind = match entry.kind {
                Some(kind) => kind,
                None => volume.inode(entry.inode)?.metadata.kind,
            };
            let inode = entry.inode.into();
            Ok(visit(&Entry { name: entry.name, inode, kind, next: entry.next }))
        })?;
        Ok(())
    }

    fn read_link(&self) -> Result<Arc<[u8]>, Errno> {
        self.must_be(Kind::Symlink, Errno::EINVAL)?;
        let volume = self.shared.volume.read();
        let inode = volume.inode(self.number)?;
        let size = inode.metadata.size;
        if size == 0 || size >= PATH_MAX {
            let damaged = Ext4Error::Damaged("the target of a link is too long, or empty");
            return Err(damaged.into());
        }
        let mut target = fallible::zeroed(size as usize)?;
        if size < SHORT && !inode.has_extents() {
            target.copy_from_slice(&inode.body[..size as usize]);
        } else {
            volume.read(&inode, 0, &mut target)?;
        }
        fallible::shared(&target)
    }

    fn open(&self, flags: OpenFlags) -> Result<Option<Arc<dyn File>>, Errno> {
        match self.kind {
            Kind::Regular | Kind::Directory if flags.asks_to_write() => {
                self.shared.volume.read().must_be_writable()?;
                Ok(None)
            }
            Kind::Fifo => self.fifo.open(flags).map(Some),
            kind @ (Kind::CharacterDevice | Kind::BlockDevice) => {
                vfs::open_device(kind, self.special, flags).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn note_read(&self) {
        self.note_read();
    }

    fn note_transfer(&self, written: bool) {
        if !written {
            return self.note_read();
        }
        let now = Some(Timestamp::now());
        let _ = self.change(&Change { modified: now, ..Change::default() });
    }

    fn read(&self, offset: u64, buffers: &mut [&mut [u8]], touch: bool) -> Result<usize, Errno> {
        self.must_be_file()?;
        let mut done = 0;
        {
            let volume = self.shared.volume.read();
            let inode = volume.inode(self.number)?;
            for buffer in buffers {
                match volume.read(&inode, offset + done as u64, buffer) {
                    Ok(read) => {
                        done += read;
                        if read < buffer.len() {
                            break;
                        }
                    }
                    Err(error) if done == 0 => return Err(error.into()),
                    Err(_) => break,
                }
            }
        }
        if touch {
            self.note_read();
        }
        Ok(done)
    }

    fn find(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        self.must_be_file()?;
        let volume = self.shared.volume.read();
        let inode = volume.inode(self.number)?;
        volume.find(&inode, offset, hole)?.ok_or(Errno::ENXIO)
    }

    fn change(&self, change: &Change) -> Result<(), Errno> {
        self.shared.change(|volume| volume.change(self.number, change))
    }

    fn create(&self, name: &[u8], new: &New<'_>) -> Result<NodeRef, Errno> {
        self.must_be(Kind::Directory, Errno::ENOTDIR)?;
        let me = self.me()?;
        let made = self.shared.change(|volume| {
            let number = volume.create(self.number, name, new)?;
            let inode = volume.inode(number)?;
            Ok(self.shared.adopt(&inode, Some((me, name)), false))
        })?;
        Ok(made?)
    }

    fn create_unnamed(&self, new: &New<'_>, linkable: bool) -> Result<NodeRef, Errno> {
        let made = self.shared.change(|volume| {
            let number = volume.create_unnamed(self.number, new)?;
            let inode = volume.inode(number)?;
            Ok(self.shared.adopt(&inode, None, linkable))
        })?;
        Ok(made?)
    }

    fn link(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        self.must_be(Kind::Directory, Errno::ENOTDIR)?;
        let node = self.of_this(node).ok_or(Errno::EXDEV)?;
        self.shared.change(|volume| {
            let linkable = node.linkable.load(Ordering::Relaxed);
            volume.link(self.number, name, node.number, linkable)?;
            node.linkable.store(false, Ordering::Relaxed);
            node.removed.store(false, Ordering::Release);
            Ok(())
        })
    }

    fn unlink(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        let node = self.of_this(node).ok_or(Errno::ESTALE)?;
        self.shared.change(|volume| {
            if volume.unlink(self.number, name, node.number)? {
                node.lose_last_name();
            }
            Ok(())
        })
    }

    fn remove_directory(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        let node = self.of_this(node).ok_or(Errno::ESTALE)?;
        self.shared.change(|volume| {
            volume.remove_directory(self.number, name, node.number)?;
            node.lose_last_name();
            Ok(())
        })
    }

    fn rename(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        self.move_name(rename)
    }

    fn write(&self, at: WriteAt, buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        self.must_be_file()?;
        let now = Timestamp::now();
        self.shared.change(|volume| {
            let offset = match at {
                WriteAt::Offset(offset) => offset,
                WriteAt::End => volume.inode(self.number)?.metadata.size,
            };
            let mut done = 0;
            for buffer in buffers.iter().filter(|buffer| !buffer.is_empty()) {
                match volume.write_file(self.number, offset + done as u64, buffer, now) {
                    Ok(written) => {
                        done += written;
                        if written < buffer.len() {
                            break;
                        }
                    }
                    Err(error) if done == 0 => return Err(error),
                    Err(_) => break,
                }
            }
            Ok((offset, done))
        })
    }

    fn resize(&self, size: u64) -> Result<(), Errno> {
        self.must_be_file()?;
        let now = Timestamp::now();
        self.shared.change(|volume| volume.resize_file(self.number, size, now))
    }

    fn allocate(&self, how: Allocate, offset: u64, length: u64) -> Result<(), Errno> {
        self.must_be_file()?;
        let now = Timestamp::now();
        self.shared.change(|volume| volume.allocate_file(self.number, how, offset, length, now))
    }

    fn sync(&self, what: SyncKind) -> Result<(), Errno> {
        self.shared.sync(what == SyncKind::Data)
    }
}
