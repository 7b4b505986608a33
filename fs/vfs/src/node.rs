//! What a file system implements.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;

use crate::lock::RangeLock;
use crate::mount::{Location, MountFlags};
use ukerrno::Errno;
use ukfile::{File, Kind, Metadata, OpenFlags, SyncKind, Timestamp};

/// A node, shared.
pub type NodeRef = Arc<dyn Node>;

/// Whether two references lead to the same node.
pub fn same(a: &NodeRef, b: &NodeRef) -> bool {
    core::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}

/// What a new node is to be.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Type.
    pub kind: Kind,
    /// Permissions, without those of the umask.
    pub permissions: u16,
    /// Owner.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Number of the device that a device file stands for.
    pub special: u64,
    /// Where a symbolic link leads to.
    pub target: &'a [u8],
}

/// What to change of a node's metadata; [`None`] leaves it as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// Permissions, 12 bits.
    pub permissions: Option<u16>,
    /// Owner.
    pub user: Option<u32>,
    /// Group.
    pub group: Option<u32>,
    /// When it was last read.
    pub accessed: Option<Timestamp>,
    /// When its contents last changed.
    pub modified: Option<Timestamp>,
}

/// An entry of a directory.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Number of the node.
    pub inode: u64,
    /// Type of the node.
    pub kind: Kind,
    /// The position after this entry, for going on there later.
    pub next: u64,
}

/// Marks positions that would be taken for those before `.`, `..`, and the first entry.
const SMALL: u64 = 1 << 61;

/// The position ([`Entry::next`]) for one of another system, which has its own for `.` and `..`.
pub const fn position_from(theirs: u64) -> u64 {
    if theirs <= 2 { theirs | SMALL } else { theirs }
}

/// The inverse of [`position_from`]. All up to 2 are the start, where `.` and `..` come too.
pub const fn position_to(ours: u64) -> u64 {
    match ours {
        0..=2 => 0,
        _ if ours & !3 == SMALL => ours & !SMALL,
        _ => ours,
    }
}

/// A move of a name; see [`Node::rename`].
#[derive(Clone, Copy)]
pub struct Rename<'a> {
    /// The name now.
    pub from: &'a [u8],
    /// The node that has it.
    pub node: &'a NodeRef,
    /// The directory that is to have it.
    pub directory: &'a NodeRef,
    /// The name there.
    pub to: &'a [u8],
    /// The node that has the name there now.
    pub replaced: Option<&'a NodeRef>,
    /// The two nodes change places.
    pub exchange: bool,
}

/// Where to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAt {
    /// At this byte.
    Offset(u64),
    /// At the end, wherever that is by then.
    End,
}

/// How `fallocate` changes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocate {
    /// Storage for the range, so that writing to it cannot fail for want of it.
    Reserve {
        /// Whether the file stays as long as it is.
        keep_size: bool,
    },
    /// A hole: the range reads as zeros and takes no storage.
    PunchHole,
    /// The range reads as zeros.
    Zero {
        /// Whether the file stays as long as it is.
        keep_size: bool,
    },
    /// The range goes, and what is behind it moves there.
    Collapse,
    /// Zeros come in between.
    Insert,
}

/// A file, directory, link … of a file system.
///
/// Callers have checked names, permissions, and types; what a node decides is what must happen in
/// one step. Operations on several nodes are told the nodes that the caller found under the names:
/// where a name has come to mean another node meanwhile, the answer is `ESTALE`, and the caller
/// looks again. As long as a node is referenced, looking it up gives the same reference.
///
/// The defaults are those of a node that cannot do it.
pub trait Node: Any + Send + Sync {
    /// Type; never changes.
    fn kind(&self) -> Kind;

    /// What `stat` tells.
    ///
    /// # Errors
    /// As `stat(2)`.
    fn metadata(&self) -> Result<Metadata, Errno>;

    /// Changes metadata, and notes the time of it.
    ///
    /// # Errors
    /// As `chmod(2)`, `chown(2)`, `utimensat(2)`.
    fn change(&self, _change: &Change) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// The node that `name` means in this directory, which is neither `.` nor `..`.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`
    fn lookup(&self, _name: &[u8]) -> Result<NodeRef, Errno> {
        Err(Errno::ENOTDIR)
    }

    /// The directory in which this directory is, also after it was removed; `None` for the root.
    fn parent(&self) -> Option<NodeRef> {
        None
    }

    /// The name of this directory; `None` for the root, and after it was removed.
    ///
    /// # Errors
    /// `ENOMEM`
    fn name(&self) -> Result<Option<Box<[u8]>>, Errno> {
        Ok(None)
    }

    /// Visits the entries of this directory from position `from` on, in an order that stays the
    /// same, until `visit` returns false; without `.` and `..`. Positions are at least 2. What
    /// was there all the time since position 2 is visited exactly once.
    ///
    /// # Errors
    /// As `getdents64(2)`.
    fn list(&self, _from: u64, _visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }

    /// Makes a node in this directory.
    ///
    /// # Errors
    /// `EEXIST`, `ENOENT` when the directory was removed, `ENOSPC`, `ENOMEM`
    fn create(&self, _name: &[u8], _new: &New<'_>) -> Result<NodeRef, Errno> {
        Err(Errno::EPERM)
    }

    /// Makes a regular file without a name in the file system of this directory (`O_TMPFILE`).
    /// [`Node::link`] may give it one when it is `linkable`.
    ///
    /// # Errors
    /// As [`Node::create`].
    fn create_unnamed(&self, _new: &New<'_>, _linkable: bool) -> Result<NodeRef, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives `node`, of the same file system and no directory, a further name here. A node that
    /// has lost its last name gets none again (`ENOENT`), unless it was made without.
    ///
    /// # Errors
    /// As [`Node::create`]; `EMLINK`
    fn link(&self, _name: &[u8], _node: &NodeRef) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Takes the name `name` from `node`, which is no directory.
    ///
    /// # Errors
    /// `ESTALE`
    fn unlink(&self, _name: &[u8], _node: &NodeRef) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Removes the empty directory `node`, which is here under `name`.
    ///
    /// # Errors
    /// `ENOTEMPTY`, `ESTALE`
    fn remove_directory(&self, _name: &[u8], _node: &NodeRef) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Moves a name of this directory.
    ///
    /// # Errors
    /// `ESTALE`; `ENOTEMPTY`; `EINVAL` when a directory would come to be below itself; `ENOENT`
    /// when the directory of the new name was removed.
    fn rename(&self, _rename: &Rename<'_>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Where this symbolic link leads to.
    ///
    /// # Errors
    /// `EINVAL`
    fn read_link(&self) -> Result<Arc<[u8]>, Errno> {
        Err(Errno::EINVAL)
    }

    /// Where following this symbolic link leads to when that is no path, as that of an open file is
    /// (`/proc/self/fd`). `link` is the link itself.
    ///
    /// # Errors
    /// `ENOENT` when it leads nowhere any more; `ENOMEM`
    fn jump(&self, _link: &Location) -> Result<Option<Location>, Errno> {
        Ok(None)
    }

    /// Opens the node: of a device or a named pipe gives the file that does what is to be done.
    /// Regular files and directories have none; a file system that has to open them elsewhere does
    /// so now, and they stay open as long as they are referenced, with a name or without.
    ///
    /// # Errors
    /// As `open(2)`.
    fn open(&self, _flags: OpenFlags) -> Result<Option<Arc<dyn File>>, Errno> {
        Ok(None)
    }

    /// Notes that it was listed, visited, or followed as a link, which by themselves do not: whether it
    /// counts as an access, those know who ask. File systems of others have it noted there.
    fn note_read(&self) {}

    /// The pipe that this node stands for was read from, or written to.
    fn note_transfer(&self, written: bool) {
        let now = Some(Timestamp::now());
        // Those who may not change the times leave them.
        let _ = self.change(&match written {
            true => Change { modified: now, ..Change::default() },
            false => Change { accessed: now, ..Change::default() },
        });
    }

    /// Reads from `offset` on into all of `buffers`, one after the other; less at the end. `touch`
    /// says whether it counts as an access.
    ///
    /// # Errors
    /// As `read(2)`.
    fn read(&self, _offset: u64, _buffers: &mut [&mut [u8]], _touch: bool) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes all of `buffers`, one after the other, in one step as seen by others; returns where
    /// they began and how much it was.
    ///
    /// # Errors
    /// As `write(2)`.
    fn write(&self, _at: WriteAt, _buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        Err(Errno::EINVAL)
    }

    /// Calls `sink` with pieces of the file from `offset` on, without copying them where that can
    /// be, until it takes less than it is given or `length` bytes are through. Returns how many. It is
    /// [noted](Self::note_read) by the caller.
    ///
    /// # Errors
    /// As `read(2)`, and those of `sink` unless it has taken something before.
    fn visit(
        &self,
        offset: u64,
        length: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        visit_by_copy(self, offset, length, sink)
    }

    /// Makes the file `size` bytes long.
    ///
    /// # Errors
    /// As `truncate(2)`.
    fn resize(&self, _size: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// `fallocate`.
    ///
    /// # Errors
    /// As `fallocate(2)`.
    fn allocate(&self, _how: Allocate, _offset: u64, _length: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Whether programs may change the file as memory, from now on; what they change there is written
    /// later.
    ///
    /// # Errors
    /// `EPERM`
    fn allow_changes_as_memory(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Writes what programs have changed as memory since they were allowed to; returns how much.
    ///
    /// # Errors
    /// As `write(2)`.
    fn write_changed_as_memory(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        self.write(WriteAt::Offset(offset), &[bytes]).map(|(_, written)| written)
    }

    /// The first byte from `offset` on, below the end, that is in a hole, or in none. The end is
    /// in a hole.
    ///
    /// # Errors
    /// `ENXIO`
    fn find(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        // A file system without holes.
        let size = self.metadata()?.size;
        if offset >= size {
            return Err(Errno::ENXIO);
        }
        Ok(if hole { size } else { offset })
    }

    /// Sets what users of the file outside of this image may do with these bytes; never waits. The
    /// image is one user: its own are kept apart by the caller.
    ///
    /// # Errors
    /// `EAGAIN` when somebody's lock is in the way; `ENOLCK`
    fn lock(&self, _lock: &RangeLock) -> Result<(), Errno> {
        Ok(())
    }

    /// Somebody's lock outside of this image that is in the way of `lock`.
    ///
    /// # Errors
    /// `ENOLCK`
    fn blocking(&self, _lock: &RangeLock) -> Result<Option<RangeLock>, Errno> {
        Ok(None)
    }

    /// Waits until what was written cannot be lost by the end of the image.
    ///
    /// # Errors
    /// As `fsync(2)`.
    fn sync(&self, _what: SyncKind) -> Result<(), Errno> {
        Ok(())
    }
}

/// [`Node::visit`] through a buffer.
fn visit_by_copy<N: Node + ?Sized>(
    node: &N,
    offset: u64,
    length: usize,
    sink: &mut dyn FnMut(&[u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut buffer = ukfile::fallible::zeroed(length.min(1 << 16))?;
    let mut done = 0;
    while done < length {
        let wanted = buffer.len().min(length - done);
        let read = node.read(offset + done as u64, &mut [&mut buffer[..wanted]], false)?;
        if read == 0 {
            break;
        }
        match sink(&buffer[..read]) {
            Ok(taken) => {
                done += taken;
                if taken < read {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// What `statfs` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Number of the kind of file system, `TMPFS_MAGIC` …
    pub magic: u64,
    /// Bytes of a block.
    pub block_size: u64,
    /// Blocks altogether.
    pub blocks: u64,
    /// Blocks that are free.
    pub free: u64,
    /// Blocks that are free for everybody.
    pub available: u64,
    /// Nodes altogether.
    pub nodes: u64,
    /// Nodes that are free.
    pub free_nodes: u64,
    /// Bytes of a name at most.
    pub name_length: u64,
}

/// A file system.
pub trait FileSystem: Send + Sync {
    /// Name of the kind of file system, as `mount` takes it.
    fn name(&self) -> &'static str;

    /// The directory that holds all others.
    fn root(&self) -> NodeRef;

    /// What `statfs` tells.
    ///
    /// # Errors
    /// As `statfs(2)`.
    fn statistics(&self) -> Result<Statistics, Errno>;

    /// Waits until what was written cannot be lost.
    ///
    /// # Errors
    /// As `syncfs(2)`.
    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Gets ready for other properties of its mount: that it can be written now, or not any more.
    ///
    /// # Errors
    /// As `mount(2)` with `MS_REMOUNT`: `EROFS` when it cannot be written.
    fn remount(&self, _flags: MountFlags) -> Result<(), Errno> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_there_and_back() {
        for theirs in [0, 1, 2, 3, 1000, SMALL - 1, SMALL + 9, i64::MAX as u64] {
            let ours = position_from(theirs);
            assert!(ours > 2);
            assert_eq!(position_to(ours), theirs);
        }
        assert_eq!(position_to(2), 0);
    }
}
