//! Nodes as the tree of files uses them.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};

use pipe::Fifo;
use ukerrno::Errno;
use ukfile::{File, Kind, Metadata, OpenFlags, fallible};
use vfs::{Allocate, Change, Entry, New, Node, NodeRef, Rename, WriteAt};

use crate::Ext4Error;
use crate::fs::Shared;
use crate::inode::Inode;

/// Bytes of a target that is in the inode.
const SHORT: u64 = 60;
/// Bytes that a path has at most, with the 0 at its end.
const PATH_MAX: u64 = 4096;

/// Where a directory is.
pub struct Place {
    pub parent: Arc<Ext4Node>,
    pub name: Box<[u8]>,
}

/// A file, directory, link …
pub struct Ext4Node {
    shared: Arc<Shared>,
    inode: Inode,
    /// `None` for the root, and for what is no directory: that may have several names.
    place: Option<Place>,
    fifo: Fifo,
    me: Weak<Self>,
}

impl Ext4Node {
    pub fn new(
        shared: &Arc<Shared>,
        inode: Inode,
        place: Option<Place>,
    ) -> Result<Arc<Self>, Errno> {
        fallible::reserve(size_of::<Self>())?;
        Ok(Arc::new_cyclic(|me| Self {
            shared: shared.clone(),
            inode,
            place,
            fifo: Fifo::default(),
            me: me.clone(),
        }))
    }

    fn must_be(&self, kind: Kind, otherwise: Errno) -> Result<(), Errno> {
        if self.kind() == kind { Ok(()) } else { Err(otherwise) }
    }
}

impl Drop for Ext4Node {
    fn drop(&mut self) {
        self.shared.forget(self.inode.number);
    }
}

impl Node for Ext4Node {
    fn kind(&self) -> Kind {
        self.inode.metadata.kind
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata { device: self.shared.device, ..self.inode.metadata })
    }

    fn lookup(&self, name: &[u8]) -> Result<NodeRef, Errno> {
        self.must_be(Kind::Directory, Errno::ENOTDIR)?;
        let found = self.shared.volume.lookup(&self.inode, name)?;
        let place =
            Place { parent: self.me.upgrade().ok_or(Errno::EIO)?, name: fallible::copy(name)? };
        Ok(self.shared.node(found.ok_or(Errno::ENOENT)?, Some(place))?)
    }

    fn parent(&self) -> Option<NodeRef> {
        self.place.as_ref().map(|place| place.parent.clone() as NodeRef)
    }

    fn name(&self) -> Result<Option<Box<[u8]>>, Errno> {
        self.place.as_ref().map(|place| fallible::copy(&place.name)).transpose()
    }

    fn list(&self, from: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<(), Errno> {
        self.must_be(Kind::Directory, Errno::ENOTDIR)?;
        let volume = &self.shared.volume;
        // Positions are bytes of the directory: none of a later entry is smaller than 12.
        let from = if from <= 2 { 0 } else { from };
        Ok(volume.entries(&self.inode, from, &mut |entry| {
            let kind = match entry.kind {
                Some(kind) => kind,
                None => volume.inode(entry.inode)?.metadata.kind,
            };
            let inode = entry.inode.into();
            Ok(visit(&Entry { name: entry.name, inode, kind, next: entry.next }))
        })?)
    }

    fn read_link(&self) -> Result<Arc<[u8]>, Errno> {
        self.must_be(Kind::Symlink, Errno::EINVAL)?;
        let size = self.inode.metadata.size;
        if size == 0 || size >= PATH_MAX {
            return Err(Ext4Error::Damaged("the target of a link is too long, or empty").into());
        }
        let mut target = fallible::zeroed(size as usize)?;
        if size < SHORT && !self.inode.has_extents() {
            target.copy_from_slice(&self.inode.body[..size as usize]);
        } else {
            self.shared.volume.read(&self.inode, 0, &mut target)?;
        }
        fallible::shared(&target)
    }

    fn open(&self, flags: OpenFlags) -> Result<Option<Arc<dyn File>>, Errno> {
        match self.kind() {
            Kind::Regular | Kind::Directory if flags.asks_to_write() => Err(Errno::EROFS),
            Kind::Fifo => self.fifo.open(flags).map(Some),
            kind @ (Kind::CharacterDevice | Kind::BlockDevice) => {
                vfs::open_device(kind, self.inode.metadata.special, flags).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn read(&self, offset: u64, buffers: &mut [&mut [u8]], _touch: bool) -> Result<usize, Errno> {
        self.must_be(Kind::Regular, Errno::EINVAL)?;
        let mut done = 0;
        for buffer in buffers {
            match self.shared.volume.read(&self.inode, offset + done as u64, buffer) {
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
        Ok(done)
    }

    fn find(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        self.must_be(Kind::Regular, Errno::EINVAL)?;
        self.shared.volume.find(&self.inode, offset, hole)?.ok_or(Errno::ENXIO)
    }

    // Nothing can be changed.

    fn change(&self, _change: &Change) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn create(&self, _name: &[u8], _new: &New<'_>) -> Result<NodeRef, Errno> {
        Err(Errno::EROFS)
    }

    fn create_unnamed(&self, _new: &New<'_>, _linkable: bool) -> Result<NodeRef, Errno> {
        Err(Errno::EROFS)
    }

    fn link(&self, _name: &[u8], _node: &NodeRef) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn unlink(&self, _name: &[u8], _node: &NodeRef) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn remove_directory(&self, _name: &[u8], _node: &NodeRef) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn rename(&self, _rename: &Rename<'_>) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn write(&self, _at: WriteAt, _buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        Err(Errno::EROFS)
    }

    fn resize(&self, _size: u64) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn allocate(&self, _how: Allocate, _offset: u64, _length: u64) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
}
