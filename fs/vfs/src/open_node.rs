//! Nodes as open files.

use alloc::sync::Arc;
use core::fmt;

use ukerrno::Errno;
use ukfile::{
    Control, Description, Events, File, Kind, Metadata, OpenFlags, Seek, SyncKind, Watchers,
};

use crate::mount::{Location, MountFlags};
use crate::node::{Allocate, Change, Entry, NodeRef, WriteAt};
use crate::shared;

/// Where files end at last, as on Linux.
const MAX_OFFSET: u64 = i64::MAX as u64;

/// What is read or written must end below the largest offset, whether it is there or not.
fn check_end(at: u64, length: usize) -> Result<(), Errno> {
    match at.checked_add(length as u64) {
        Some(0..=MAX_OFFSET) => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// An open regular file or directory.
pub struct OpenNode {
    location: Location,
    kind: Kind,
    /// Whether its mount has it noted when it is read.
    touch: bool,
    keeps_set_id: bool,
    synchronous: bool,
    /// Whether its mount counts it as one that is written to.
    writes: bool,
}

impl OpenNode {
    /// `EROFS`
    pub(crate) fn new(location: Location, flags: OpenFlags, root: bool) -> Result<Self, Errno> {
        let kind = location.node.kind();
        let writes = flags.writes() && kind == Kind::Regular;
        if writes {
            location.mount.add_writer()?;
        }
        let mount = location.mount.flags();
        let quiet = if kind == Kind::Directory {
            mount.intersects(MountFlags::NO_ATIME | MountFlags::NO_DIRECTORY_ATIME)
        } else {
            mount.contains(MountFlags::NO_ATIME)
        };
        Ok(Self {
            touch: !quiet,
            keeps_set_id: root,
            synchronous: mount.contains(MountFlags::SYNCHRONOUS),
            writes,
            kind,
            location,
        })
    }

    /// Where it is, or was when it was opened.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Whether reading with these flags, which may have changed since it was opened, is noted.
    #[inline]
    fn touches(&self, flags: OpenFlags) -> bool {
        self.touch && !flags.contains(OpenFlags::NO_ATIME)
    }

    /// Visits the entries of the directory from `position` on, `.` and `..` first, until `visit`
    /// returns false. `next` of an entry is the position to go on from.
    ///
    /// # Errors
    /// As `getdents64(2)`.
    pub fn list(
        &self,
        mut position: u64,
        visit: &mut dyn FnMut(&Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        let node = &self.location.node;
        if self.kind != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        if position == 0 {
            let inode = node.metadata()?.inode;
            if !visit(&Entry { name: b".", inode, kind: Kind::Directory, next: 1 }) {
                return Ok(());
            }
            position = 1;
        }
        if position == 1 {
            let inode = match self.location.up() {
                Some(up) => up.node.metadata()?.inode,
                None => node.metadata()?.inode,
            };
            if !visit(&Entry { name: b"..", inode, kind: Kind::Directory, next: 2 }) {
                return Ok(());
            }
            position = 2;
        }
        node.list(position, visit)
    }

    /// Calls `sink` with pieces of the file; see [`Node::visit`](crate::Node::visit). `flags` are those
    /// of the description.
    ///
    /// # Errors
    /// As `read(2)`, and those of `sink` unless it has taken something before.
    pub fn visit(
        &self,
        (offset, length): (u64, usize),
        flags: OpenFlags,
        sink: &mut dyn FnMut(&[u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let node = &self.location.node;
        shared::write_back(node)?;
        let visited = node.visit(offset, length, sink)?;
        if self.touches(flags) {
            node.note_read();
        }
        Ok(visited)
    }

    fn write_at(&self, at: WriteAt, buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        let node = &self.location.node;
        let (start, written) = if shared::any() {
            shared::write_to(node, at, buffers)?
        } else {
            node.write(at, buffers)?
        };
        if written > 0 {
            self.drop_set_id()?;
        }
        Ok((start, written))
    }

    fn drop_set_id(&self) -> Result<(), Errno> {
        if self.keeps_set_id { Ok(()) } else { drop_set_id(&self.location.node) }
    }
}

/// What users who are not privileged have changed gives nobody the rights of its owner.
pub(crate) fn drop_set_id(node: &NodeRef) -> Result<(), Errno> {
    let permissions = node.metadata()?.permissions;
    let mut kept = permissions & !0o4000;
    if permissions & 0o10 != 0 {
        kept &= !0o2000;
    }
    if kept != permissions {
        node.change(&Change { permissions: Some(kept), ..Change::default() })?;
    }
    Ok(())
}

impl File for OpenNode {
    #[inline]
    fn read(
        &self,
        at: &mut u64,
        buffers: &mut [&mut [u8]],
        flags: OpenFlags,
    ) -> Result<usize, Errno> {
        let node = &self.location.node;
        check_end(*at, ukfile::total_mut(buffers))?;
        if self.kind == Kind::Directory {
            return Err(Errno::EISDIR);
        }
        let read = if shared::any() {
            shared::read(node, *at, buffers, self.touches(flags))?
        } else {
            node.read(*at, buffers, self.touches(flags))?
        };
        *at += read as u64;
        Ok(read)
    }

    fn write(&self, at: &mut u64, buffers: &[&[u8]], flags: OpenFlags) -> Result<usize, Errno> {
        check_end(*at, ukfile::total(buffers))?;
        let append = flags.contains(OpenFlags::APPEND);
        let to = if append { WriteAt::End } else { WriteAt::Offset(*at) };
        let (start, written) = self.write_at(to, buffers)?;
        if written > 0 {
            *at = start + written as u64;
        }
        if self.synchronous || flags.contains(OpenFlags::DATA_SYNC) {
            let full = self.synchronous || flags.contains(OpenFlags::SYNC);
            self.location.node.sync(if full { SyncKind::All } else { SyncKind::Data })?;
        }
        Ok(written)
    }

    #[inline]
    fn has_position(&self) -> bool {
        true
    }

    fn seek(&self, at: u64, to: Seek) -> Result<u64, Errno> {
        let node = &self.location.node;
        let directory = self.kind == Kind::Directory;
        let from = |base: u64, by: i64| {
            base.checked_add_signed(by).filter(|&to| to <= MAX_OFFSET).ok_or(Errno::EINVAL)
        };
        match to {
            Seek::Start(to) => u64::try_from(to).map_err(|_| Errno::EINVAL),
            Seek::Current(by) => from(at, by),
            Seek::End(by) if !directory => from(node.metadata()?.size, by),
            Seek::Data(from) | Seek::Hole(from) if !directory => {
                let from = u64::try_from(from).map_err(|_| Errno::ENXIO)?;
                shared::write_back(node)?;
                node.find(from, matches!(to, Seek::Hole(_)))
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.location.node.metadata()
    }

    fn sync(&self, what: SyncKind) -> Result<(), Errno> {
        shared::write_back(&self.location.node)?;
        self.location.node.sync(what)
    }

    fn control(&self, request: Control<'_>) -> Result<usize, Errno> {
        match request {
            Control::Available(bytes) if self.kind == Kind::Regular => {
                // Without the position; `posix` calls go through the description, which has it.
                *bytes = i32::try_from(self.metadata()?.size).unwrap_or(i32::MAX);
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }
}

impl Drop for OpenNode {
    fn drop(&mut self) {
        if self.writes {
            self.location.mount.remove_writer();
        }
    }
}

impl fmt::Debug for OpenNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenNode").field("location", &self.location).finish_non_exhaustive()
    }
}

/// An open device or named pipe: what its node opened, and the node for `fstat`.
pub struct OpenSpecial {
    node: OpenNode,
    file: Arc<dyn File>,
}

impl OpenSpecial {
    pub(crate) fn new(node: OpenNode, file: Arc<dyn File>) -> Self {
        Self { node, file }
    }

    /// Where its node is.
    pub fn location(&self) -> &Location {
        self.node.location()
    }

    /// Named pipes have times; devices do not notice.
    fn note(&self, bytes: usize, written: bool) {
        if bytes > 0 && self.node.kind == Kind::Fifo {
            self.node.location.node.note_transfer(written);
        }
    }

    /// What its node opened.
    pub fn file(&self) -> &dyn File {
        &*self.file
    }
}

impl File for OpenSpecial {
    fn read(
        &self,
        at: &mut u64,
        buffers: &mut [&mut [u8]],
        flags: OpenFlags,
    ) -> Result<usize, Errno> {
        let read = self.file.read(at, buffers, flags)?;
        if self.node.touches(flags) {
            self.note(read, false);
        }
        Ok(read)
    }
    fn write(&self, at: &mut u64, buffers: &[&[u8]], flags: OpenFlags) -> Result<usize, Errno> {
        let written = self.file.write(at, buffers, flags)?;
        self.note(written, true);
        Ok(written)
    }
    fn has_position(&self) -> bool {
        self.file.has_position()
    }
    fn seek(&self, at: u64, to: Seek) -> Result<u64, Errno> {
        self.file.seek(at, to)
    }
    fn metadata(&self) -> Result<Metadata, Errno> {
        self.node.metadata()
    }
    fn ready(&self) -> Events {
        self.file.ready()
    }
    fn watchers(&self) -> Option<&Watchers> {
        self.file.watchers()
    }
    fn is_timed(&self) -> bool {
        self.file.is_timed()
    }
    fn ready_at(&self) -> Option<u64> {
        self.file.ready_at()
    }
    fn control(&self, request: Control<'_>) -> Result<usize, Errno> {
        self.file.control(request)
    }
    fn sync(&self, what: SyncKind) -> Result<(), Errno> {
        self.file.sync(what)
    }
    fn flush(&self) -> Result<(), Errno> {
        self.file.flush()
    }
}

/// Where an open file is in the tree; `None` for pipes, sockets and others that are not.
pub fn location_of(file: &Description) -> Option<&Location> {
    file.downcast::<OpenNode>()
        .map(OpenNode::location)
        .or_else(|| file.downcast::<OpenSpecial>().map(OpenSpecial::location))
}

/// Opens what is at `location`, a regular file or a directory, without looking at permissions.
///
/// # Errors
/// `ENOMEM`; `EROFS`
pub fn describe(location: Location, flags: OpenFlags) -> Result<Arc<Description>, Errno> {
    Description::new(OpenNode::new(location, flags, true)?, flags)
}

/// `ftruncate`.
///
/// # Errors
/// As `ftruncate(2)`.
pub fn resize_open(file: &Description, size: i64) -> Result<(), Errno> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    match file.downcast::<OpenNode>() {
        Some(node) if file.flags().writes() => {
            shared::resize(&node.location.node, size)?;
            node.drop_set_id()
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `fallocate`.
///
/// # Errors
/// As `fallocate(2)`.
pub fn allocate_open(
    file: &Description,
    how: Allocate,
    offset: i64,
    length: i64,
) -> Result<(), Errno> {
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    let (Ok(offset), Ok(length @ 1..)) = (u64::try_from(offset), u64::try_from(length)) else {
        return Err(Errno::EINVAL);
    };
    if !file.flags().writes() {
        return Err(Errno::EBADF);
    }
    let node = match (file.file().metadata()?.kind, file.downcast::<OpenNode>()) {
        (Kind::Regular, Some(node)) => node,
        (Kind::Fifo, _) => return Err(Errno::ESPIPE),
        (Kind::Directory, _) => return Err(Errno::EISDIR),
        _ => return Err(Errno::ENODEV),
    };
    if offset + length > MAX_OFFSET {
        return Err(Errno::EFBIG);
    }
    shared::allocate(&node.location.node, how, offset, length)?;
    node.drop_set_id()
}

/// `getdents64`: visits entries from the position on until `visit` returns false; the position
/// moves on by those for which it returned true.
///
/// # Errors
/// As `getdents64(2)`.
pub fn list_open(
    file: &Description,
    visit: &mut dyn FnMut(&Entry<'_>) -> bool,
) -> Result<(), Errno> {
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    let node = file.downcast::<OpenNode>().ok_or(Errno::ENOTDIR)?;
    file.with_position(|position| {
        let mut next = *position;
        node.list(*position, &mut |entry| {
            let taken = visit(entry);
            if taken {
                next = entry.next;
            }
            taken
        })?;
        *position = next;
        if node.touches(file.flags()) {
            node.location.node.note_read();
        }
        Ok(())
    })
}
