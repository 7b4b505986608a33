//! A directory of the host as a file system.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{AcqRel, Release};

use ukerrno::Errno;
use ukfile::{Metadata, fallible};
use uklock::Mutex;
use ukmap::SortedMap;
use vfs::{FileSystem, FileSystemType, NodeRef, Statistics};

use crate::node::{HostNode, Key};
use crate::sys::{Fd, O_DIRECTORY, O_PATH};

/// What all nodes share.
pub struct Shared {
    /// `/proc/self/fd`: through its links, descriptors that are open for their path alone are
    /// opened, changed, and get names.
    pub links: Fd,
    /// Nodes in use.
    nodes: Mutex<SortedMap<Key, Weak<HostNode>>>,
    /// Numbers of file systems: the host's, and ours.
    devices: Mutex<Vec<(u64, u64)>>,
    /// Whether anything was changed since the host was last asked to write all of it. Its `syncfs`
    /// is about the whole file system, and takes as long as that has something to write.
    changed: AtomicBool,
    /// Held while the host writes: who finds nothing changed waits for what others have asked for.
    syncing: Mutex<()>,
    /// Locks need no files that are open for writing.
    pub reads_only: bool,
}

impl Shared {
    /// Something was changed, or may have been. Called behind the change: before, a `sync` could
    /// come between, and the next one would not know of it.
    pub fn note_change(&self) {
        self.changed.store(true, Release);
    }

    /// The node of a file, which is the same while it is in use; made of `fd` when there is none.
    pub fn node(
        self: &Arc<Self>,
        fd: Fd,
        place: Option<(&Arc<HostNode>, &[u8])>,
    ) -> Result<Arc<HostNode>, Errno> {
        let metadata = fd.metadata()?;
        let key = (metadata.device, metadata.inode);
        // Dropped without the lock, which the end of a node takes.
        let known;
        let mut nodes = self.nodes.lock();
        known = nodes.get(&key).and_then(Weak::upgrade);
        let node = match &known {
            // Else the number was given to another file, and the old one is gone.
            Some(node) if node.kind == metadata.kind => node.clone(),
            _ => {
                // Before: a node that is made must be known.
                nodes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                let node = HostNode::new(self, fd, key, metadata.kind)?;
                nodes.insert(key, Arc::downgrade(&node));
                node
            }
        };
        // Dropped without the lock, which the end of a node takes.
        drop(nodes);
        drop(known);
        // The host may have moved the directory.
        node.set_place(place)?;
        Ok(node)
    }

    /// A node is gone.
    pub fn forget(&self, key: Key) {
        let mut nodes = self.nodes.lock();
        // Meanwhile another may have taken its place.
        if nodes.get(&key).is_some_and(|node| node.strong_count() == 0) {
            nodes.remove(&key);
        }
    }

    /// Metadata with a number of the file system that no other of the image has.
    pub fn with_own_device(&self, metadata: Metadata) -> Result<Metadata, Errno> {
        let mut devices = self.devices.lock();
        let known = devices.iter().find(|(host, _)| *host == metadata.device).map(|(_, own)| *own);
        let device = match known {
            Some(device) => device,
            None => {
                let own = vfs::next_device();
                fallible::push(&mut devices, (metadata.device, own))?;
                own
            }
        };
        Ok(Metadata { device, ..metadata })
    }
}

/// A directory of the host as a file system.
pub struct HostFs {
    root: Arc<HostNode>,
}

impl HostFs {
    /// The directory `path` of the host and what is below.
    ///
    /// # Errors
    /// As `open(2)`, also for `/proc/self/fd`, which must be there.
    pub fn new(path: &[u8]) -> Result<Arc<Self>, Errno> {
        Self::with(path, false)
    }

    /// The same for who only reads: no file is opened for writing, and nobody gets a lock against
    /// others that read.
    ///
    /// # Errors
    /// As [`HostFs::new`].
    pub fn for_reading(path: &[u8]) -> Result<Arc<Self>, Errno> {
        Self::with(path, true)
    }

    fn with(path: &[u8], reads_only: bool) -> Result<Arc<Self>, Errno> {
        let path = crate::node::with_zero(path)?;
        let root = Fd::open(crate::node::as_c(&path)?, O_PATH | O_DIRECTORY)?;
        let shared = fallible::arc(Shared {
            links: Fd::open(c"/proc/self/fd", O_PATH | O_DIRECTORY)?,
            nodes: Mutex::default(),
            devices: Mutex::new(Vec::new()),
            changed: AtomicBool::new(false),
            syncing: Mutex::new(()),
            reads_only,
        })?;
        let root = shared.node(root, None)?;
        fallible::arc(Self { root })
    }
}

impl FileSystem for HostFs {
    fn name(&self) -> &'static str {
        KIND.name
    }

    fn root(&self) -> NodeRef {
        self.root.clone()
    }

    fn statistics(&self) -> Result<Statistics, Errno> {
        self.root.fd.statistics()
    }

    fn sync(&self) -> Result<(), Errno> {
        let shared = &self.root.shared;
        let _syncing = shared.syncing.lock();
        if !shared.changed.swap(false, AcqRel) {
            return Ok(());
        }
        let synced = self.root.reader().and_then(|root| root.sync_file_system());
        if synced.is_err() {
            shared.note_change();
        }
        synced
    }
}

impl fmt::Debug for HostFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFs").field("root", &self.root.fd).finish_non_exhaustive()
    }
}

/// The kind of file system, for [`vfs::register`]. The source is a path of the host.
pub static KIND: FileSystemType = FileSystemType {
    name: "hostfs",
    aliases: &[],
    virtual_only: true,
    open: |source, options, _| {
        if !options.is_empty() {
            return Err(Errno::EINVAL);
        }
        Ok(HostFs::new(source)?)
    },
};

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering::Acquire;

    use ukfile::{Kind, OpenFlags};
    use vfs::{Allocate, Change, New, Rename, WriteAt};

    use super::*;

    #[test]
    fn the_host_is_asked_to_write_all_only_after_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let fs = HostFs::new(folder.path().to_str().unwrap().as_bytes()).unwrap();
        let root = fs.root();
        let changed = || fs.root.shared.changed.load(Acquire);
        let check = |what: &str, expected: bool, step: &mut dyn FnMut()| {
            step();
            assert_eq!(changed(), expected, "{what}");
            fs.sync().unwrap();
            assert!(!changed(), "sync after {what}");
        };
        let new =
            |kind| New { kind, permissions: 0o644, user: 0, group: 0, special: 0, target: b"" };
        let regular = new(Kind::Regular);
        let mut file = None;
        check("create", true, &mut || file = Some(root.create(b"a", &regular).unwrap()));
        let file = file.unwrap();
        check("write", true, &mut || {
            assert_eq!(file.write(WriteAt::Offset(0), &[b"text"]), Ok((0, 4)));
        });
        check("lookup, open, metadata, read", false, &mut || {
            let found = root.lookup(b"a").unwrap();
            found.open(OpenFlags::READ_ONLY).unwrap();
            found.metadata().unwrap();
            assert_eq!(found.read(0, &mut [&mut [0; 8]], true), Ok(4));
        });
        check("list", false, &mut || root.list(0, &mut |_| true).unwrap());
        check("resize", true, &mut || file.resize(2).unwrap());
        let reserve = Allocate::Reserve { keep_size: true };
        check("allocate", true, &mut || file.allocate(reserve, 0, 4).unwrap());
        let permissions = Change { permissions: Some(0o600), ..Change::default() };
        check("change", true, &mut || file.change(&permissions).unwrap());
        check("link", true, &mut || root.link(b"b", &file).unwrap());
        check("unlink", true, &mut || root.unlink(b"b", &file).unwrap());
        check("rename", true, &mut || {
            let (from, to) = (&b"a"[..], &b"c"[..]);
            let (directory, node) = (&root, &file);
            root.rename(&Rename { from, node, directory, to, replaced: None, exchange: false })
                .unwrap();
        });
        check("create_unnamed", true, &mut || drop(root.create_unnamed(&regular, true).unwrap()));
        check("remove_directory", true, &mut || {
            let directory = root.create(b"d", &new(Kind::Directory)).unwrap();
            fs.sync().unwrap();
            root.remove_directory(b"d", &directory).unwrap();
        });
        check("what fails", true, &mut || assert!(root.create(b"c", &regular).is_err()));
    }
}
