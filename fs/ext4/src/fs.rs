//! A disk as a file system.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::fmt;

use ukerrno::Errno;
use ukfile::{Kind, fallible};
use uklock::Mutex;
use vfs::{FileSystem, FileSystemType, NodeRef, Statistics};

use crate::Ext4Error;
use crate::cache::Source;
use crate::inode::ROOT;
use crate::node::{Ext4Node, Place};
use crate::volume::Volume;

/// `EXT4_SUPER_MAGIC` (statfs(2)).
const MAGIC: u64 = 0xef53;

/// What all nodes share.
pub struct Shared {
    pub volume: Volume,
    /// Number of the file system.
    pub device: u64,
    /// Nodes in use, by their numbers.
    nodes: Mutex<BTreeMap<u32, Weak<Ext4Node>>>,
}

impl Shared {
    /// The node of an inode, which is the same while it is in use.
    pub fn node(
        self: &Arc<Self>,
        number: u32,
        place: Option<Place>,
    ) -> Result<Arc<Ext4Node>, Errno> {
        if let Some(node) = self.nodes.lock().get(&number).and_then(Weak::upgrade) {
            return Ok(node);
        }
        let inode = self.volume.inode(number)?;
        let place = place.filter(|_| inode.metadata.kind == Kind::Directory);
        let node = Ext4Node::new(self, inode, place)?;
        let mut nodes = self.nodes.lock();
        // Another may have been faster. What is not used is dropped without the lock, which the end
        // of a node takes.
        if let Some(known) = nodes.get(&number).and_then(Weak::upgrade) {
            drop(nodes);
            return Ok(known);
        }
        nodes.insert(number, Arc::downgrade(&node));
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
}

/// A disk as a file system, for reading.
pub struct Ext4 {
    root: Arc<Ext4Node>,
    shared: Arc<Shared>,
}

impl Ext4 {
    /// Looks what is on a disk.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn new(source: Box<dyn Source>) -> Result<Arc<Self>, Ext4Error> {
        let shared = Shared {
            volume: Volume::new(source)?,
            device: vfs::next_device(),
            nodes: Mutex::default(),
        };
        // Anything that is wrong with the root is wrong with the disk.
        let root = shared.volume.inode(ROOT)?;
        if root.metadata.kind != Kind::Directory {
            return Err(Ext4Error::Damaged("its root is no directory"));
        }
        let no_memory = |_| Ext4Error::OutOfMemory;
        let shared = fallible::arc(shared).map_err(no_memory)?;
        let root = shared.node(ROOT, None).map_err(no_memory)?;
        fallible::arc(Self { root, shared }).map_err(no_memory)
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
        let sb = &self.shared.volume.sb;
        Ok(Statistics {
            magic: MAGIC,
            block_size: sb.block_size.into(),
            blocks: sb.blocks,
            free: sb.free_blocks,
            available: sb.free_blocks.saturating_sub(sb.reserved_blocks),
            nodes: sb.inodes.into(),
            free_nodes: sb.free_inodes.into(),
            name_length: 255,
        })
    }
}

impl fmt::Debug for Ext4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.shared;
        f.debug_struct("Ext4").field("device", &shared.device).finish_non_exhaustive()
    }
}

/// The kind of file system, for [`vfs::register`]. The source is the name of a disk, `blk0` or
/// `/dev/blk0`; there are no options.
pub static KIND: FileSystemType = FileSystemType { name: "ext4", virtual_only: false, open };

fn open(source: &[u8], options: &[u8]) -> Result<Arc<dyn FileSystem>, Errno> {
    if !options.is_empty() {
        return Err(Errno::EINVAL);
    }
    let name = source.strip_prefix(b"/dev/").unwrap_or(source);
    let disk = core::str::from_utf8(name).ok().and_then(ukblkdev::disk);
    let disk = disk.ok_or(Errno::ENODEV)?;
    match Ext4::new(Box::new(disk)) {
        Ok(fs) => Ok(fs),
        Err(error) => {
            // An error number does not tell enough, here as on Linux.
            ukplat::eprintln!("ext4 on {}: {}", disk.name(), error);
            Err(error.into())
        }
    }
}
