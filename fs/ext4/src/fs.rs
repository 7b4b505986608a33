//! A disk as a file system.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;

use ukblkdev::Disk;
use ukerrno::Errno;
use ukfile::{Kind, fallible};
use uklock::{Mutex, RwLock, RwLockWriteGuard};
use ukmap::SortedMap;
use vfs::{FileSystem, FileSystemType, MountFlags, NodeRef, Statistics};

use crate::Ext4Error;
use crate::cache::Source;
use crate::claim::Claim;
use crate::committer::Committer;
use crate::inode::{Inode, ROOT};
use crate::node::{Ext4Node, Place};
use crate::transaction::COMMIT_AFTER;
use crate::volume::Volume;

/// `EXT4_SUPER_MAGIC` (statfs(2)).
const MAGIC: u64 = 0xef53;

/// Whether the image has what is needed for writing. Where this is false, nothing that changes a disk
/// is ever called, and none of it is in the image.
const WRITES: bool = cfg!(feature = "write");

/// What all nodes share.
pub struct Shared {
    /// Those who look share it, those who change something have it for themselves.
    pub volume: RwLock<Volume>,
    /// Number of the file system.
    pub device: u64,
    /// The disk, when it was mounted for reading and may be written to later.
    disk: Option<&'static Disk>,
    /// Nodes in use, by their numbers.
    nodes: Mutex<SortedMap<u32, Weak<Ext4Node>>>,
    /// Numbers of inodes that have neither names nor users, and are to be deleted.
    dead: Mutex<Vec<u32>>,
    committer: Committer,
}

impl Shared {
    /// The node of an inode, if it is in use.
    pub fn known(&self, number: u32) -> Option<Arc<Ext4Node>> {
        self.nodes.lock().get(&number).and_then(Weak::upgrade)
    }

    /// The node of an inode, which is the same while it is in use. `place` is where a directory is.
    pub fn adopt(
        self: &Arc<Self>,
        inode: &Inode,
        place: Option<(Arc<Ext4Node>, &[u8])>,
        linkable: bool,
    ) -> Result<Arc<Ext4Node>, Errno> {
        let place = match place.filter(|_| inode.metadata.kind == Kind::Directory) {
            None => Place::default(),
            Some((parent, name)) => {
                Place { parent: Some(parent), name: Some(fallible::copy(name)?) }
            }
        };
        let node = Ext4Node::new(self, inode, place, linkable)?;
        let mut nodes = self.nodes.lock();
        // Another may have been faster. What is not used is dropped without the lock, which the end
        // of a node takes.
        if let Some(known) = nodes.get(&inode.number).and_then(Weak::upgrade) {
            drop(nodes);
            node.disown();
            return Ok(known);
        }
        if nodes.try_insert(inode.number, Arc::downgrade(&node)).is_err() {
            drop(nodes);
            node.disown();
            return Err(Errno::ENOMEM);
        }
        Ok(node)
    }

    /// A node is gone.
    pub fn forget(&self, number: u32) {
        let mut nodes = self.nodes.lock();
        // Meanwhile another may have taken its place.
        if nodes.get(&number).is_some_and(|node| node.strong_count() == 0) {
            nodes.remove(&number);
        }
    }

    /// An inode without names has lost its last user. It is deleted now or, when somebody is at
    /// work, before the next change.
    pub fn bury(&self, number: u32) {
        // Without memory for the note it stays in the list on the disk until the next mount.
        let _ = fallible::push(&mut self.dead.lock(), number);
        if let Some(volume) = self.volume.try_write() {
            self.work(volume, |_| ());
        }
    }

    /// Deletes what is to be, does something, and tells the committer when something waits since.
    fn work<T>(
        &self,
        mut volume: RwLockWriteGuard<'_, Volume>,
        work: impl FnOnce(&mut Volume) -> T,
    ) -> T {
        let waited = volume.commit_at().is_some();
        self.delete_dead(&mut volume);
        let result = work(&mut volume);
        let waits = volume.commit_at().is_some();
        drop(volume);
        if waits && !waited {
            self.committer.wake();
        }
        result
    }

    fn delete_dead(&self, volume: &mut Volume) {
        while WRITES {
            let number = self.dead.lock().pop();
            let Some(number) = number else { break };
            // What cannot be deleted stays in the list on the disk; without memory, here too.
            if volume.delete(number) == Err(Ext4Error::OutOfMemory) {
                let _ = fallible::push(&mut self.dead.lock(), number);
                break;
            }
        }
    }

    /// Changes something.
    pub fn change<T>(
        &self,
        work: impl FnOnce(&mut Volume) -> Result<T, Ext4Error>,
    ) -> Result<T, Errno> {
        if !WRITES {
            return Err(Errno::EROFS);
        }
        let volume = self.volume.write();
        volume.must_be_writable()?;
        Ok(self.work(volume, work)?)
    }

    /// Commits what was changed long ago. When the next is to be committed, on the monotonic clock.
    #[cfg(feature = "threads")]
    pub fn commit_old(&self) -> Option<u64> {
        let mut volume = self.volume.write();
        if volume.must_be_writable().is_err() {
            return None;
        }
        let now = ukplat::monotonic_ns();
        let at = volume.commit_at().filter(|at| *at <= now);
        // Whoever synchronises is told when that fails; without memory it is tried again.
        if at.is_some() && volume.commit().is_err() {
            return Some(now.saturating_add(volume.commit_after));
        }
        volume.commit_at()
    }

    /// From now on the disk is written to as well. It is looked at once more: somebody else may have
    /// written to it as long as this did not.
    fn make_writable(&self) -> Result<(), Errno> {
        let mut volume = self.volume.write();
        if volume.must_be_writable().is_ok() {
            return Ok(());
        }
        let disk = self.disk.filter(|_| WRITES && !volume.failed).ok_or(Errno::EROFS)?;
        let mut begun = false;
        let ready = Volume::new(Box::new(Claim::new(disk)?)).and_then(|mut new| {
            if new.sb.uuid != volume.sb.uuid {
                return Err(Ext4Error::Call(Errno::ESTALE));
            }
            begun = true;
            new.make_writable().map(|()| new)
        });
        if begun && ready.is_err() {
            // What was known of the journal is not so any more.
            match Volume::new(Box::new(disk)) {
                Ok(anew) => *volume = Volume { commit_after: volume.commit_after, ..anew },
                Err(_) => volume.failed = true,
            }
        }
        let ready = ready.inspect_err(|error| tell(disk, error))?;
        *volume = Volume { commit_after: volume.commit_after, ..ready };
        Ok(())
    }

    /// Makes what was changed survive a crash; with `only_data`, what is needed to read it.
    pub fn sync(&self, only_data: bool) -> Result<(), Errno> {
        let mut volume = self.volume.write();
        if !WRITES || volume.log.is_none() {
            return Ok(());
        }
        if volume.failed {
            return Err(Errno::EIO);
        }
        if only_data && !volume.changes.essential {
            return Ok(volume.flush()?);
        }
        Ok(volume.commit()?)
    }
}

/// A disk as a file system.
pub struct Ext4 {
    root: Arc<Ext4Node>,
    shared: Arc<Shared>,
}

impl Ext4 {
    /// Looks what is on a disk, for reading. Nothing is written to it.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn new(source: Box<dyn Source>) -> Result<Arc<Self>, Ext4Error> {
        Self::with(Volume::new(source)?, None)
    }

    /// Looks what is on a disk, for writing too: finishes what its journal has. When it can only be
    /// read, `told` gets the reason, and changes are `EROFS`.
    ///
    /// # Errors
    /// What is there cannot be read; its journal cannot be finished.
    pub fn writable(
        source: Box<dyn Source>,
        told: &mut dyn FnMut(&Ext4Error),
    ) -> Result<Arc<Self>, Ext4Error> {
        let mut volume = Volume::new(source)?;
        let result = if WRITES {
            volume.make_writable()
        } else {
            Err(Ext4Error::ReadOnly("the image has no code for writing; set ext4.write=true"))
        };
        match result {
            Err(why @ Ext4Error::ReadOnly(_)) => {
                volume.log = None;
                told(&why);
            }
            result => result?,
        }
        Self::with(volume, None)
    }

    fn with(volume: Volume, disk: Option<&'static Disk>) -> Result<Arc<Self>, Ext4Error> {
        // Anything that is wrong with the root is wrong with the disk.
        let root = volume.inode(ROOT)?;
        if root.metadata.kind != Kind::Directory {
            return Err(Ext4Error::Damaged("its root is no directory"));
        }
        let shared = Shared {
            volume: RwLock::new(volume),
            device: vfs::next_device(),
            disk,
            nodes: Mutex::default(),
            dead: Mutex::default(),
            committer: Committer::default(),
        };
        let no_memory = |_| Ext4Error::OutOfMemory;
        let shared = fallible::arc(shared).map_err(no_memory)?;
        let root = shared.adopt(&root, None, false).map_err(no_memory)?;
        fallible::arc(Self { root, shared }).map_err(no_memory)
    }
}

impl Drop for Shared {
    /// Unmounted, and the last file is closed: what nobody wrote until now is written.
    fn drop(&mut self) {
        if !WRITES {
            return;
        }
        let mut volume = self.volume.write();
        self.delete_dead(&mut volume);
        // A disk that fails was told of.
        if let Err(error @ Ext4Error::OutOfMemory) = volume.settle() {
            ukplat::eprintln!("ext4: what was written last is lost: {}", error);
        }
    }
}

impl FileSystem for Ext4 {
    fn name(&self) -> &'static str {
        KIND.name
    }

    fn root(&self) -> NodeRef {
        self.root.clone()
    }

    fn statistics(&self) -> Result<Statistics, Errno> {
        let volume = self.shared.volume.read();
        let sb = &volume.sb;
        let (free_blocks, free_inodes) = sb.free_of(&volume.superblock_bytes()?);
        Ok(Statistics {
            magic: MAGIC,
            block_size: sb.block_size.into(),
            blocks: sb.blocks,
            free: free_blocks,
            available: free_blocks.saturating_sub(sb.reserved_blocks),
            nodes: sb.inodes.into(),
            free_nodes: free_inodes.into(),
            name_length: 255,
        })
    }

    fn sync(&self) -> Result<(), Errno> {
        let volume = self.shared.volume.write();
        if !WRITES || volume.log.is_none() {
            return Ok(());
        }
        if volume.failed {
            return Err(Errno::EIO);
        }
        Ok(self.shared.work(volume, Volume::settle)?)
    }

    fn remount(&self, flags: MountFlags) -> Result<(), Errno> {
        if flags.contains(MountFlags::READ_ONLY) {
            return self.sync();
        }
        self.shared.make_writable()?;
        self.shared.committer.start(&self.shared);
        Ok(())
    }
}

impl fmt::Debug for Ext4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.shared;
        f.debug_struct("Ext4").field("device", &shared.device).finish_non_exhaustive()
    }
}

/// The kind of file system, for [`vfs::register`]. The source is the name of a disk, `blk0` or
/// `/dev/blk0`; the option `commit=N` lets changes wait for at most N seconds, 5 otherwise.
pub static KIND: FileSystemType =
    FileSystemType { name: "ext4", aliases: &[], virtual_only: false, open };

/// An error number does not tell enough, here as on Linux.
fn tell(disk: &Disk, error: &Ext4Error) {
    ukplat::eprintln!("ext4 on {}: {}", disk.name(), error);
}

fn open(source: &[u8], options: &[u8], flags: MountFlags) -> Result<Arc<dyn FileSystem>, Errno> {
    let name = source.strip_prefix(b"/dev/").unwrap_or(source);
    let disk = core::str::from_utf8(name).ok().and_then(ukblkdev::disk);
    let disk = disk.ok_or(Errno::ENODEV)?;
    let tell = |error: &Ext4Error| tell(disk, error);
    let commit_after = match options {
        b"" => None,
        options => Some(commit_after(options).ok_or(Errno::EINVAL)?),
    };
    let opened = if flags.contains(MountFlags::READ_ONLY) {
        Volume::new(Box::new(disk)).and_then(|volume| Ext4::with(volume, Some(disk)))
    } else {
        Ext4::writable(Box::new(Claim::new(disk)?), &mut |why| tell(why))
    };
    match opened {
        Ok(fs) => {
            if let Some(time) = commit_after {
                fs.shared.volume.write().commit_after = time;
            }
            if fs.shared.volume.read().must_be_writable().is_ok() {
                fs.shared.committer.start(&fs.shared);
            }
            Ok(fs)
        }
        Err(error) => {
            tell(&error);
            Err(error.into())
        }
    }
}

/// The time that an option asks for, in nanoseconds.
fn commit_after(options: &[u8]) -> Option<u64> {
    let seconds = core::str::from_utf8(options.strip_prefix(b"commit=")?).ok()?;
    match seconds.parse::<u32>().ok()? {
        0 => Some(COMMIT_AFTER),
        seconds => Some(u64::from(seconds) * 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::Ordering::Relaxed;

    use ukfile::{OpenFlags, SyncKind};
    use vfs::{Context, Location, Mount};

    use super::*;
    use crate::index::disks;
    use crate::insert::tests::Disk;

    /// The thread sleeps until it is told that there is something again, whatever that is.
    #[test]
    fn the_committer_learns_of_all_that_begins_to_wait() {
        if !disks::tools() {
            return;
        }
        let disk = Disk(Arc::new(Mutex::new(disks::make(&["-t", "ext4", "-b", "1024"], "4M"))));
        let fs = Ext4::writable(Box::new(disk), &mut |why| panic!("{why}")).unwrap();
        let mount = Mount::new(fs.clone(), b"blk0", MountFlags::empty()).unwrap();
        let files = Context::new(Location::root_of(mount));
        let woken = || fs.shared.committer.woken.load(Relaxed);
        let waits = || fs.shared.volume.read().commit_at().is_some();
        let open = |path| files.open(None, path, OpenFlags::READ_WRITE | OpenFlags::CREATE, 0o600);
        let settle = || fs.root().sync(SyncKind::All).unwrap();

        let file = open(b"/file").unwrap();
        assert_eq!((woken(), waits()), (1, true));
        open(b"/other").unwrap();
        assert_eq!(woken(), 1, "once for all");
        files.unlink(None, b"/file").unwrap();
        settle();
        assert!(!waits());
        // Deleted now.
        drop(file);
        assert_eq!((woken(), waits()), (2, true));
        settle();
        // Deleted with the next change.
        let file = open(b"/file").unwrap();
        files.unlink(None, b"/file").unwrap();
        settle();
        let before = woken();
        let reading = fs.shared.volume.read();
        drop(file);
        drop(reading);
        assert!(!waits());
        open(b"/third").unwrap();
        assert_eq!((woken(), waits()), (before + 1, true));
    }
}
