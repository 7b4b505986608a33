//! Nodes.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ukerrno::Errno;
use ukfile::{Kind, Metadata, Scatter, Timestamp, fallible};
use ukmap::SortedMap;
use vfs::{Change, Entry, Location, Node, NodeRef, WriteAt};

use crate::tree::{Entries, device};
use crate::{Content, Directory, Family, Member, text_of};

/// Positions below stand for `.` and `..`.
const FIRST: u64 = 2;

/// A node of the tree, which stays, or an entry of a [`Directory`](crate::Directory), which does not.
pub struct ProcNode {
    inode: u64,
    name: Name,
    parent: Weak<Self>,
    what: What,
}

#[derive(Clone, Copy)]
enum Name {
    Word(&'static str),
    Number(u64),
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

/// The number of the next node of the tree.
static NEXT: AtomicU64 = AtomicU64::new(1);

// Who looks again is told the same number. Above that of a node of the tree, which takes 16 bits, come
// those of what it has.

/// The number of what a directory has under a number.
fn inode_of_entry(directory: u64, number: u64) -> u64 {
    directory | number.wrapping_add(1) << 32
}

/// The number of a file of one of a family.
fn inode_of_member(one: u64, index: usize) -> u64 {
    one | (index as u64 + 1) << 16
}

/// Digits of the largest number.
const DIGITS: usize = 20;

/// A number as it is printed, and in no other way.
fn digits(mut number: u64, to: &mut [u8; DIGITS]) -> &[u8] {
    let mut start = DIGITS;
    loop {
        start -= 1;
        to[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &to[start..];
        }
    }
}

fn number(name: &str) -> Result<u64, Errno> {
    let number: u64 = name.parse().map_err(|_| Errno::ENOENT)?;
    let printed = digits(number, &mut [0; DIGITS]) == name.as_bytes();
    if printed { Ok(number) } else { Err(Errno::ENOENT) }
}

impl ProcNode {
    fn of_tree(name: &'static str, parent: Option<&Arc<Self>>, what: What) -> Self {
        Self {
            inode: NEXT.fetch_add(1, Relaxed),
            name: Name::Word(name),
            parent: parent.map(Arc::downgrade).unwrap_or_default(),
            what,
        }
    }

    pub fn directory(name: &'static str, parent: Option<&Arc<Self>>) -> Self {
        Self::of_tree(name, parent, What::Directory(Entries::default()))
    }

    pub fn leaf(name: &'static str, parent: &Arc<Self>, content: Content) -> Self {
        Self::of_tree(name, Some(parent), What::Content(content))
    }

    /// What this directory has under a number: not of the tree, it goes when nobody uses it any more.
    fn entry(&self, number: u64, parent: Option<&Arc<Self>>, what: What) -> Result<NodeRef, Errno> {
        let parent = parent.map(Arc::downgrade).unwrap_or_default();
        let inode = inode_of_entry(self.inode, number);
        Ok(fallible::arc(Self { inode, name: Name::Number(number), parent, what })?)
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
        let Name::Word(name) = self.name else { return None };
        self.parent.upgrade()?.entries()?.lock().get(&name).cloned()
    }

    /// The entries of a directory of the tree.
    pub fn entries(&self) -> Option<&Entries> {
        match &self.what {
            What::Directory(entries) => Some(entries),
            _ => None,
        }
    }

    /// Lists nodes that are named by numbers.
    fn list_numbers(
        &self,
        from: u64,
        next: impl Fn(u64) -> Option<u64>,
        kind: Kind,
        visit: &mut dyn FnMut(&Entry<'_>) -> bool,
    ) {
        let mut at = from.saturating_sub(FIRST);
        while let Some(number) = next(at) {
            let mut name = [0; DIGITS];
            let entry = Entry {
                name: digits(number, &mut name),
                inode: inode_of_entry(self.inode, number),
                kind,
                next: FIRST + number + 1,
            };
            if !visit(&entry) {
                break;
            }
            at = number + 1;
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
            device: device(),
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
        match &self.what {
            What::Directory(entries) => {
                let all: &SortedMap<&str, Arc<Self>> = &entries.lock();
                Ok(all.get(&name).ok_or(Errno::ENOENT)?.clone())
            }
            What::Content(Content::Directory(directory)) => {
                let number = number(name)?;
                if directory.next(number) != Some(number) {
                    return Err(Errno::ENOENT);
                }
                self.entry(number, None, What::Link(*directory, number))
            }
            What::Content(Content::Family(family)) => {
                let number = number(name)?;
                if family.next(number) != Some(number) {
                    return Err(Errno::ENOENT);
                }
                let what = What::One(*family, number);
                self.entry(number, self.shared().as_ref(), what)
            }
            What::One(family, number) => {
                let mut members = family.members().iter().enumerate();
                let found = members.find(|(_, member)| member.name == name);
                let (index, member) = found.ok_or(Errno::ENOENT)?;
                Ok(fallible::arc(Self {
                    inode: inode_of_member(self.inode, index),
                    name: Name::Word(member.name),
                    parent: Weak::new(),
                    what: What::Member(member, *number),
                })?)
            }
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn parent(&self) -> Option<NodeRef> {
        self.parent.upgrade().map(|parent| parent as NodeRef)
    }

    fn name(&self) -> Result<Option<Box<[u8]>>, Errno> {
        match self.name {
            Name::Word("") => Ok(None),
            Name::Word(name) => fallible::copy(name.as_bytes()).map(Some),
            Name::Number(number) => fallible::copy(digits(number, &mut [0; DIGITS])).map(Some),
        }
    }

    fn list(&self, from: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<(), Errno> {
        match &self.what {
            What::Directory(entries) => {
                // Nothing is removed, and what is registered later may come in between.
                let mut index = from.saturating_sub(FIRST) as usize;
                let at = |index| {
                    let entries = entries.lock();
                    let entry = entries.iter().nth(index);
                    entry.map(|(name, node)| (*name, node.inode, node.kind()))
                };
                while let Some((name, inode, kind)) = at(index) {
                    index += 1;
                    let next = FIRST + index as u64;
                    if !visit(&Entry { name: name.as_bytes(), inode, kind, next }) {
                        break;
                    }
                }
                Ok(())
            }
            What::Content(Content::Directory(directory)) => {
                self.list_numbers(from, |from| directory.next(from), Kind::Symlink, visit);
                Ok(())
            }
            What::Content(Content::Family(family)) => {
                self.list_numbers(from, |from| family.next(from), Kind::Directory, visit);
                Ok(())
            }
            What::One(family, _) => {
                let skipped = from.saturating_sub(FIRST) as usize;
                for (index, member) in family.members().iter().enumerate().skip(skipped) {
                    let entry = Entry {
                        name: member.name.as_bytes(),
                        inode: inode_of_member(self.inode, index),
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
            What::Content(Content::Link(target)) => fallible::shared(&target()?),
            What::Link(directory, number) => fallible::shared(&directory.link(*number)?),
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
        Ok(Scatter::new(buffers).put(&text[start..]))
    }

    fn write(&self, at: WriteAt, buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(ukfile::total(buffers)).map_err(|_| Errno::ENOMEM)?;
        buffers.iter().for_each(|buffer| bytes.extend_from_slice(buffer));
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
