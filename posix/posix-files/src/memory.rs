//! Files in memory, and what may no more be done to them: `memfd_create`, seals.

use alloc::sync::Arc;
use core::any::Any;

use fdtab::TABLE;
use syscall_shim::{CStrPtr, MemoryFileFlags, syscall};
use ukerrno::Errno;
use ukfile::{Description, Kind, Metadata, OpenFlags, SyncKind, fallible};
use uklock::Mutex;
use vfs::{Allocate, Change, Location, Mount, MountFlags, New, Node, NodeRef, RangeLock, WriteAt};

use crate::process::context;

// Flags of `memfd_create` (`linux/memfd.h`).
const CLOSE_ON_EXEC: u32 = 1;
const ALLOW_SEALING: u32 = 2;
/// Bytes of a name at most.
const NAME_MAX: usize = 249;

// Seals (`linux/fcntl.h`).
const SEAL: u32 = 1;
const SHRINK: u32 = 2;
const GROW: u32 = 4;
const WRITE: u32 = 8;
const FUTURE_WRITE: u32 = 16;
const ALL: u32 = SEAL | SHRINK | GROW | WRITE | FUTURE_WRITE;
/// Either forbids to write.
const WRITES: u32 = WRITE | FUTURE_WRITE;

/// A regular file that can be sealed.
struct MemoryFile {
    node: NodeRef,
    /// Held while the file changes, so that a seal holds from when it is there.
    seals: Mutex<u32>,
}

/// Makes a file in memory without a name (memfd_create(2)). With `MFD_ALLOW_SEALING` it can be sealed
/// against writing, shrinking, growing and further seals; against writing also so that what is mapped
/// already can be changed.
#[syscall]
fn memfd_create(name: CStrPtr, #[trace(MemoryFileFlags)] flags: u32) -> Result<i32, Errno> {
    if flags & !(CLOSE_ON_EXEC | ALLOW_SEALING) != 0 || name.as_bytes().len() > NAME_MAX {
        return Err(Errno::EINVAL);
    }
    let who = context()?;
    // As the root file system: what fills memory is told so while there is some.
    let bytes = match posix_process::memory().total {
        0 => u64::MAX,
        total => total as u64 / 2,
    };
    let fs = ramfs::RamFs::new(ramfs::Limits { bytes, ..ramfs::Limits::default() })?;
    let mount = Mount::new(fs, b"memfd", MountFlags::empty())?;
    let new = New {
        kind: Kind::Regular,
        permissions: 0o777,
        user: who.credentials.user,
        group: who.credentials.group,
        special: 0,
        target: b"",
    };
    let node = mount.root().create_unnamed(&new, false)?;
    let seals = if flags & ALLOW_SEALING != 0 { 0 } else { SEAL };
    let node = fallible::arc(MemoryFile { node, seals: Mutex::new(seals) })?;
    let file: Arc<Description> = vfs::describe(Location { mount, node }, OpenFlags::READ_WRITE)?;
    TABLE.insert(file, flags & CLOSE_ON_EXEC != 0)
}

/// The file in memory that a description has open.
fn opened(file: &Description) -> Result<(&NodeRef, &MemoryFile), Errno> {
    let node = &vfs::location_of(file).ok_or(Errno::EINVAL)?.node;
    let any: &dyn Any = &**node;
    Ok((node, any.downcast_ref().ok_or(Errno::EINVAL)?))
}

/// The seals of a file (`F_GET_SEALS`).
///
/// # Errors
/// `EINVAL` when it cannot have any
pub fn seals(file: &Description) -> Result<u32, Errno> {
    opened(file).map(|(_, file)| *file.seals.lock())
}

/// Adds to the seals of a file (`F_ADD_SEALS`).
///
/// # Errors
/// `EPERM` when it is not open for writing, or is sealed against that; `EBUSY` when it is to be sealed
/// against writing and is mapped so that it can be written; `EINVAL` for what is no seal, and files
/// that cannot have any
pub fn add_seals(file: &Description, seals: u32) -> Result<(), Errno> {
    if !file.flags().writes() {
        return Err(Errno::EPERM);
    }
    if seals & !ALL != 0 {
        return Err(Errno::EINVAL);
    }
    let (node, file) = opened(file)?;
    let add = || {
        let mut now = file.seals.lock();
        if *now & SEAL != 0 {
            return Err(Errno::EPERM);
        }
        *now |= seals;
        Ok(())
    };
    if *file.seals.lock() & SEAL == 0 && seals & WRITE != 0 {
        vfs::unless_changed_as_memory(node, add)
    } else {
        add()
    }
}

impl MemoryFile {
    /// Changes the file unless one of the seals forbids it; `forbids` is told how long the file is.
    fn change_with<R>(
        &self,
        forbids: impl FnOnce(u64) -> u32,
        change: impl FnOnce(&NodeRef) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let seals = self.seals.lock();
        if *seals & ALL & !SEAL != 0 && *seals & forbids(self.node.metadata()?.size) != 0 {
            return Err(Errno::EPERM);
        }
        change(&self.node)
    }
}

impl Node for MemoryFile {
    fn kind(&self) -> Kind {
        Kind::Regular
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.node.metadata()
    }

    fn change(&self, change: &Change) -> Result<(), Errno> {
        self.node.change(change)
    }

    fn read(&self, offset: u64, buffers: &mut [&mut [u8]], touch: bool) -> Result<usize, Errno> {
        self.node.read(offset, buffers, touch)
    }

    fn write(&self, at: WriteAt, buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        let length = ukfile::total(buffers) as u64;
        let forbids = |size: u64| {
            let start = match at {
                WriteAt::Offset(offset) => offset,
                WriteAt::End => size,
            };
            match length {
                0 => 0,
                _ if start.saturating_add(length) > size => WRITES | GROW,
                _ => WRITES,
            }
        };
        self.change_with(forbids, |node| node.write(at, buffers))
    }

    fn visit(
        &self,
        offset: u64,
        length: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        self.node.visit(offset, length, sink)
    }

    fn note_read(&self) {
        self.node.note_read();
    }

    fn resize(&self, to: u64) -> Result<(), Errno> {
        let forbids = |size: u64| match to {
            _ if to < size => SHRINK,
            _ if to > size => GROW,
            _ => 0,
        };
        self.change_with(forbids, |node| node.resize(to))
    }

    fn allocate(&self, how: Allocate, offset: u64, length: u64) -> Result<(), Errno> {
        let forbids = |size: u64| {
            let grows = if offset.saturating_add(length) > size { GROW } else { 0 };
            match how {
                Allocate::Reserve { .. } => grows,
                Allocate::PunchHole => WRITES,
                Allocate::Zero { .. } => WRITES | grows,
                Allocate::Collapse => WRITES | SHRINK,
                Allocate::Insert => WRITES | GROW,
            }
        };
        self.change_with(forbids, |node| node.allocate(how, offset, length))
    }

    fn allow_changes_as_memory(&self) -> Result<(), Errno> {
        if *self.seals.lock() & WRITES != 0 { Err(Errno::EPERM) } else { Ok(()) }
    }

    fn write_changed_as_memory(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        // The file has it already, for all who look.
        self.node.write_changed_as_memory(offset, bytes)
    }

    fn find(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        self.node.find(offset, hole)
    }

    fn lock(&self, lock: &RangeLock) -> Result<(), Errno> {
        self.node.lock(lock)
    }

    fn blocking(&self, lock: &RangeLock) -> Result<Option<RangeLock>, Errno> {
        self.node.blocking(lock)
    }

    fn sync(&self, what: SyncKind) -> Result<(), Errno> {
        self.node.sync(what)
    }
}
