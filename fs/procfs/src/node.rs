//! Nodes.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ukerrno::Errno;
use ukfile::{Kind, Metadata, Scatter, Timestamp};
use vfs::{Change, Entry, Location, Node, NodeRef, WriteAt};

use crate::tree::Entries;
use crate::{Content, Directory, Family, Member, text_of};

/// Positions below stand for `.` and `..`.
const FIRST: u64 = 2;

/// A node of the tree, which stays, or an entry of a [`Directory`](crate::Directory), which does not.
pub struct ProcNode {
    inode: u64,
    name: Box<str>,
    parent: Weak<Self>,
    what: What,
}

enum What {
    Directory(Entries),
    Content(Content),
    /// An entry of a directory that has links, by its number.
    Link(&'static dyn Directory, u64),
    /// One of a family, by its number.
    One(&'static dyn Family, u64),
    /// A file of one of a family.
    Member(&'static Member, u64),
}

static NEXT: AtomicU64 = AtomicU64::new(1);

impl ProcNode {
    fn new(name: &str, parent: Option<&Arc<Self>>, what: What) -> Arc<Self> {
        Arc::new(Self {
            inode: NEXT.fetch_add(1, Relaxed),
            name: name.into(),
            parent: parent.map(Arc::downgrade).unwrap_or_default(),
            what,
        })
    }

    pub fn directory(name: &str, parent: Option<&Arc<Self>>) -> Arc<Self> {
        Self::new(name, parent, What::Directory(Entries::default()))
    }

    pub fn leaf(name: &str, parent: &Arc<Self>, content: Content) -> Arc<Self> {
        Self::new(name, Some(parent), What::Content(content))
    }

    /// Whether it can be written to.
    fn is_setting(&self) -> bool {
        matches!(
            self.what,
            What::Content(Content::Setting(..)) | What::Member(Member { set: Some(_), .. }, _)
        )
    }

    /// A reference to this node of the tree.
    fn shared(&self) -> Option<Arc<Self>> {
        self.parent.upgrade()?.entries()?.lock().get(&*self.name).cloned()
    }

    /// The entries of a directory of the tree.
    pub fn entries(&self) -> Option<&Entries> {
        match &self.what {
            What::Directory(entries) => Some(entries),
            _ => None,
        }
    }
}

impl Node for ProcNode {
    fn kind(&self) -> Kind {
        match &self.what {
            What::Directory(_)
            | What::Content(Content::Directory(_) | Content::Family(_))
            | What::One(..) => Kind::Directory,
            What::Content(Content::Link(_)) | What::Link(..) => Kind::Symlink,
            What::Content(Content::Text(_) | Content::Setting(..)) | What::Member(..) => {
                Kind::Regular
            }
        }
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let now = Timestamp::now();
        let permissions = match self.kind() {
            Kind::Directory => 0o555,
            Kind::Symlink => 0o777,
            _ if self.is_setting() => 0o644,
            _ => 0o444,
        };
        Ok(Metadata {
            inode: self.inode,
            kind: self.kind(),
            permissions,
            links: if self.kind() == Kind::Directory { 2 } else { 1 },
            block_size: 1024,
            accessed: now,
            modified: now,
            ..Metadata::default()
        })
    }

    /// Truncating a setting before it is written is allowed, and changes nothing.
    fn resize(&self, _size: u64) -> Result<(), Errno> {
        if self.is_setting() { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn change(&self, _change: &Change) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn lookup(&self, name: &[u8]) -> Result<NodeRef, Errno> {
        let name = core::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        // As numbers are printed, and in no other way.
        let number = || {
            let number: u64 = name.parse().map_err(|_| Errno::ENOENT)?;
            if format!("{number}") == name { Ok(number) } else { Err(Errno::ENOENT) }
        };
        match &self.what {
            What::Directory(entries) => Ok(entries.lock().get(name).ok_or(Errno::ENOENT)?.clone()),
            What::Content(Content::Directory(directory)) => {
                let number = number()?;
                if directory.next(number) != Some(number) {
                    return Err(Errno::ENOENT);
                }
                Ok(Self::new(name, None, What::Link(*directory, number)))
            }
            What::Content(Content::Family(family)) => {
                let number = number()?;
                if family.next(number) != Some(number) {
                    return Err(Errno::ENOENT);
                }
                Ok(Self::new(name, self.shared().as_ref(), What::One(*family, number)))
            }
            What::One(family, number) => {
                let member = family.members().iter().find(|member| member.name == name);
                let what = What::Member(member.ok_or(Errno::ENOENT)?, *number);
                Ok(Self::new(name, None, what))
            }
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn parent(&self) -> Option<NodeRef> {
        self.parent.upgrade().map(|parent| parent as NodeRef)
    }

    fn name(&self) -> Result<Option<Box<[u8]>>, Errno> {
        let name = Some(self.name.as_bytes()).filter(|name| !name.is_empty());
        name.map(ukfile::fallible::copy).transpose()
    }

    fn list(&self, from: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<(), Errno> {
        match &self.what {
            What::Directory(entries) => {
                // Nothing is removed, and what is registered later may come in between.
                let all: Vec<Arc<Self>> = entries.lock().values().cloned().collect();
                let skipped = from.saturating_sub(FIRST) as usize;
                for (index, node) in all.iter().enumerate().skip(skipped) {
                    let entry = Entry {
                        name: node.name.as_bytes(),
                        inode: node.inode,
                        kind: node.kind(),
                        next: FIRST + index as u64 + 1,
                    };
                    if !visit(&entry) {
                        break;
                    }
                }
                Ok(())
            }
            What::Content(Content::Directory(directory)) => {
                let mut at = from.saturating_sub(FIRST);
                while let Some(number) = directory.next(at) {
                    let name = format!("{number}");
                    let entry = Entry {
                        name: name.as_bytes(),
                        inode: NEXT.fetch_add(1, Relaxed),
                        kind: Kind::Symlink,
                        next: FIRST + number + 1,
                    };
                    if !visit(&entry) {
                        break;
                    }
                    at = number + 1;
                }
                Ok(())
            }
            What::Content(Content::Family(family)) => {
                let mut at = from.saturating_sub(FIRST);
                while let Some(number) = family.next(at) {
                    let name = format!("{number}");
                    let entry = Entry {
                        name: name.as_bytes(),
                        inode: NEXT.fetch_add(1, Relaxed),
                        kind: Kind::Directory,
                        next: FIRST + number + 1,
                    };
                    if !visit(&entry) {
                        break;
                    }
                    at = number + 1;
                }
                Ok(())
            }
            What::One(family, _) => {
                let skipped = from.saturating_sub(FIRST) as usize;
                for (index, member) in family.members().iter().enumerate().skip(skipped) {
                    let entry = Entry {
                        name: member.name.as_bytes(),
                        inode: NEXT.fetch_add(1, Relaxed),
                        kind: Kind::Regular,
                        next: FIRST + index as u64 + 1,
                    };
                    if !visit(&entry) {
                        break;
                    }
                }
                Ok(())
            }
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn read_link(&self) -> Result<Arc<[u8]>, Errno> {
        match &self.what {
            What::Content(Content::Link(target)) => Ok(target().into()),
            What::Link(directory, number) => {
                directory.link(*number).map(Arc::from).ok_or(Errno::ENOENT)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn jump(&self, link: &Location) -> Result<Option<Location>, Errno> {
        match &self.what {
            What::Link(directory, number) => directory.jump(*number, &link.mount),
            _ => Ok(None),
        }
    }

    fn read(&self, offset: u64, buffers: &mut [&mut [u8]], _touch: bool) -> Result<usize, Errno> {
        let text = match &self.what {
            What::Content(Content::Text(write) | Content::Setting(write, _)) => text_of(*write),
            What::Member(member, number) => text_of(|out| (member.write)(*number, out)),
            _ => Err(Errno::EINVAL),
        }?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
        Ok(Scatter::new(buffers).put(&text.as_bytes()[start..]))
    }

    fn write(&self, at: WriteAt, buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        let bytes = buffers.concat();
        match &self.what {
            What::Content(Content::Setting(_, set)) => set(&bytes)?,
            What::Member(Member { set: Some(set), .. }, number) => set(*number, &bytes)?,
            _ => return Err(Errno::EIO),
        }
        let offset = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => 0,
        };
        Ok((offset, bytes.len()))
    }
}
