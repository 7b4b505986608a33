//! Nodes.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

use pipe::Fifo;
use ukerrno::Errno;
use ukfile::{Kind, Metadata, Timestamp, fallible};
use uklock::{Mutex, RwLock};
use vfs::{Change, Entry, New, NodeRef};

use crate::content::Content;
use crate::directory::Directory;
use crate::fs::Shared;

/// Bytes that an entry adds to the size of its directory, as on tmpfs.
const ENTRY_SIZE: u64 = 20;

/// What `stat` tells beside size and type.
pub struct Attributes {
    pub permissions: u16,
    pub user: u32,
    pub group: u32,
    pub links: u32,
    /// Made without a name, and may get one.
    pub linkable: bool,
    pub accessed: Timestamp,
    pub modified: Timestamp,
    pub changed: Timestamp,
}

/// Where a directory is.
pub struct Place {
    pub parent: Weak<RamNode>,
    /// `None` when it was removed, and for the root.
    pub name: Option<Box<[u8]>>,
}

pub enum Body {
    File(RwLock<Content>),
    Directory { names: RwLock<Directory>, place: Mutex<Place> },
    Symlink(Arc<[u8]>),
    Fifo(Fifo),
    Special(u64),
}

/// A file, directory, link, device …
///
/// Locks are taken from directories to what is in them; `attributes` and `place` last, with none
/// after them.
pub struct RamNode {
    pub shared: Arc<Shared>,
    pub body: Body,
    pub attributes: Mutex<Attributes>,
    kind: Kind,
    inode: u64,
    created: Timestamp,
    me: Weak<RamNode>,
}

impl RamNode {
    /// A node without a name; directories know `parent`.
    pub fn new(
        shared: &Arc<Shared>,
        new: &New<'_>,
        parent: Option<&Arc<RamNode>>,
    ) -> Result<Arc<Self>, Errno> {
        let body = match new.kind {
            Kind::Regular => Body::File(RwLock::new(Content::new(shared.clone()))),
            Kind::Directory => Body::Directory {
                names: RwLock::new(Directory::new(shared.seed)),
                place: Mutex::new(Place {
                    parent: parent.map(Arc::downgrade).unwrap_or_default(),
                    name: None,
                }),
            },
            Kind::Symlink => Body::Symlink(fallible::shared(new.target)?),
            Kind::Fifo => Body::Fifo(Fifo::default()),
            _ => Body::Special(new.special),
        };
        Self::with_body(shared, new, body)
    }

    pub fn with_body(shared: &Arc<Shared>, new: &New<'_>, body: Body) -> Result<Arc<Self>, Errno> {
        fallible::reserve(size_of::<Self>())?;
        let inode = shared.take_node()?;
        let now = Timestamp::now();
        Ok(Arc::new_cyclic(|me| Self {
            shared: shared.clone(),
            body,
            attributes: Mutex::new(Attributes {
                permissions: new.permissions,
                user: new.user,
                group: new.group,
                links: 0,
                linkable: false,
                accessed: now,
                modified: now,
                changed: now,
            }),
            kind: new.kind,
            inode,
            created: now,
            me: me.clone(),
        }))
    }

    /// The node behind a reference, when it is of this crate.
    pub fn from(node: &NodeRef) -> Option<&Self> {
        let any: &dyn Any = &**node;
        any.downcast_ref()
    }

    pub fn me(&self) -> Result<Arc<Self>, Errno> {
        self.me.upgrade().ok_or(Errno::ESTALE)
    }

    pub fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn inode(&self) -> u64 {
        self.inode
    }

    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    pub fn names(&self) -> Result<&RwLock<Directory>, Errno> {
        match &self.body {
            Body::Directory { names, .. } => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub fn place(&self) -> Option<&Mutex<Place>> {
        match &self.body {
            Body::Directory { place, .. } => Some(place),
            _ => None,
        }
    }

    pub fn content(&self) -> Result<&RwLock<Content>, Errno> {
        match &self.body {
            Body::File(content) => Ok(content),
            Body::Directory { .. } => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The directory in which this directory is.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.place()?.lock().parent.upgrade()
    }

    pub fn metadata(&self) -> Metadata {
        let (size, blocks, directories) = match &self.body {
            Body::File(content) => {
                let content = content.read();
                (content.size(), content.blocks(), 0)
            }
            Body::Directory { names, .. } => {
                let names = names.read();
                ((names.len() as u64 + 2) * ENTRY_SIZE, 0, names.directories)
            }
            Body::Symlink(target) => (target.len() as u64, 0, 0),
            Body::Fifo(_) | Body::Special(_) => (0, 0, 0),
        };
        let attributes = self.attributes.lock();
        Metadata {
            device: self.shared.device,
            inode: self.inode,
            kind: self.kind,
            permissions: attributes.permissions,
            links: attributes.links + directories,
            user: attributes.user,
            group: attributes.group,
            special: if let Body::Special(number) = self.body { number } else { 0 },
            size,
            block_size: 4096,
            blocks,
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
            created: Some(self.created),
        }
    }

    pub fn change(&self, change: &Change) {
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        let Attributes { permissions, user, group, accessed, modified, .. } = &mut *attributes;
        *permissions = change.permissions.unwrap_or(*permissions);
        *user = change.user.unwrap_or(*user);
        *group = change.group.unwrap_or(*group);
        *accessed = change.accessed.unwrap_or(*accessed);
        *modified = change.modified.unwrap_or(*modified);
        attributes.changed = now;
    }

    /// Notes that it was read: once after each change.
    pub fn note_read(&self) {
        let mut attributes = self.attributes.lock();
        if attributes.accessed <= attributes.modified || attributes.accessed <= attributes.changed {
            attributes.accessed = Timestamp::now();
        }
    }

    /// Notes that its contents changed.
    pub fn note_write(&self, now: Timestamp) {
        let mut attributes = self.attributes.lock();
        attributes.modified = now;
        attributes.changed = now;
    }

    /// Changes the number of its names by one. Directories have two, their name and their `.`, or
    /// none.
    pub fn count_name(&self, more: bool, now: Timestamp) -> Result<(), Errno> {
        let step = if self.is_directory() { 2 } else { 1 };
        let mut attributes = self.attributes.lock();
        attributes.links = if more {
            // Once it had a name, it is as any other when it has none any more.
            attributes.linkable = false;
            attributes.links.checked_add(step).ok_or(Errno::EMLINK)?
        } else {
            attributes.links.saturating_sub(step)
        };
        attributes.changed = now;
        Ok(())
    }

    /// Puts a new node into this directory.
    pub fn adopt(
        &self,
        name: &[u8],
        make: impl FnOnce() -> Result<Arc<Self>, Errno>,
    ) -> Result<NodeRef, Errno> {
        let mut names = self.names()?.write();
        if names.removed {
            return Err(Errno::ENOENT);
        }
        if names.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        let key = fallible::copy(name)?;
        names.reserve()?;
        let node = make()?;
        if let Some(place) = node.place() {
            place.lock().name = Some(fallible::copy(name)?);
        }
        let now = Timestamp::now();
        node.count_name(true, now)?;
        names.insert(key, node.clone());
        self.note_write(now);
        Ok(node)
    }

    /// [`vfs::Node::create`] of a regular file with contents that stay where they are.
    pub fn create_static(
        &self,
        name: &[u8],
        new: &New<'_>,
        bytes: &'static [u8],
    ) -> Result<NodeRef, Errno> {
        self.adopt(name, || {
            let content = Content::of_static(self.shared.clone(), bytes);
            Self::with_body(&self.shared, new, Body::File(RwLock::new(content)))
        })
    }

    pub fn list(&self, from: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<(), Errno> {
        let names = self.names()?.read();
        if names.removed {
            return Err(Errno::ENOENT);
        }
        for (position, name, node) in names.from(from) {
            let entry = Entry { name, inode: node.inode, kind: node.kind, next: position + 1 };
            if !visit(&entry) {
                break;
            }
        }
        Ok(())
    }

    /// Takes all nodes out of this directory, for taking the tree apart.
    pub fn take_children(&self) -> Vec<Arc<Self>> {
        self.names().map(|names| names.write().drain()).unwrap_or_default()
    }
}

impl Drop for RamNode {
    fn drop(&mut self) {
        self.shared.give_node();
    }
}
