//! The file system as a whole: limits, and the nodes it is made of.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use ukerrno::Errno;
use ukfile::{Kind, Timestamp};
use uklock::Mutex;
use vfs::{FileSystem, FileSystemType, MountFlags, New, NodeRef, Statistics};

use crate::node::RamNode;
use crate::pages::PAGE;

/// How much a file system may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of contents of files, rounded up to pages; files of up to 64 bytes do not count.
    pub bytes: u64,
    /// Files, directories, links …
    pub nodes: u64,
}

impl Default for Limits {
    /// No limits but the memory there is.
    fn default() -> Self {
        Self { bytes: u64::MAX, nodes: u64::MAX }
    }
}

/// Bytes of the limit for which there can be a node.
const NODE: u64 = 512;

impl Limits {
    /// So many bytes, and nodes for them. A node takes less: files that are empty cannot use up memory
    /// either.
    pub const fn of(bytes: u64) -> Self {
        Self { bytes, nodes: if bytes == u64::MAX { bytes } else { bytes / NODE } }
    }

    /// As tmpfs of Linux: whoever fills it is told that it is full, and all others still have memory.
    pub fn half_of_memory() -> Self {
        match ukalloc::default_heap() {
            Some(heap) => Self::of(heap.alloc.stats().total_memory as u64 / 2),
            None => Self::default(),
        }
    }
}

/// What all nodes of a file system share.
pub struct Shared {
    /// Number of the file system.
    pub device: u64,
    /// For the hash tables of directories.
    pub seed: u64,
    limit_pages: u64,
    limit_nodes: u64,
    pages: AtomicU64,
    nodes: AtomicU64,
    next_inode: AtomicU64,
    /// Held by renames: the tree changes under it alone, so that a directory that is below
    /// another stays there.
    pub topology: Mutex<()>,
}

/// Takes from a counter what there is room for.
fn take(counter: &AtomicU64, limit: u64, count: u64) -> Result<(), Errno> {
    let room = |used: u64| used.checked_add(count).filter(|&sum| sum <= limit);
    match counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room) {
        Ok(_) => Ok(()),
        Err(_) => Err(Errno::ENOSPC),
    }
}

impl Shared {
    pub fn take_pages(&self, count: usize) -> Result<(), Errno> {
        take(&self.pages, self.limit_pages, count as u64)
    }

    pub fn give_pages(&self, count: usize) {
        self.pages.fetch_sub(count as u64, Ordering::Relaxed);
    }

    /// Whether that many pages could ever be below the limit.
    pub fn could_hold(&self, count: u64) -> bool {
        count <= self.limit_pages
    }

    pub fn take_node(&self) -> Result<u64, Errno> {
        take(&self.nodes, self.limit_nodes, 1)?;
        Ok(self.next_inode.fetch_add(1, Ordering::Relaxed))
    }

    pub fn give_node(&self) {
        self.nodes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A file system in memory.
pub struct RamFs {
    shared: Arc<Shared>,
    root: Arc<RamNode>,
}

impl RamFs {
    /// An empty file system; its root directory belongs to user 0, with permissions 755.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn new(limits: Limits) -> Result<Arc<Self>, Errno> {
        Self::with_root(limits, 0o755)
    }

    /// [`RamFs::new`] with these permissions of the root directory.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn with_root(limits: Limits, permissions: u16) -> Result<Arc<Self>, Errno> {
        let shared = ukfile::fallible::arc(Shared {
            device: vfs::next_device(),
            seed: ukplat::ticks().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            limit_pages: limits.bytes / PAGE as u64,
            limit_nodes: limits.nodes,
            pages: AtomicU64::new(0),
            nodes: AtomicU64::new(0),
            next_inode: AtomicU64::new(1),
            topology: Mutex::new(()),
        })?;
        let new =
            New { kind: Kind::Directory, permissions, user: 0, group: 0, special: 0, target: b"" };
        let root = RamNode::new(&shared, &new, None)?;
        root.count_name(true, Timestamp::now())?;
        ukfile::fallible::arc(Self { shared, root })
    }

    /// Makes a regular file whose contents are not copied until it is written to.
    ///
    /// # Errors
    /// As [`vfs::Node::create`]; `EINVAL` when the directory is of another file system.
    pub fn add_static(
        directory: &NodeRef,
        name: &[u8],
        permissions: u16,
        owner: (u32, u32),
        bytes: &'static [u8],
    ) -> Result<NodeRef, Errno> {
        let directory = RamNode::from(directory).ok_or(Errno::EINVAL)?;
        let (user, group) = owner;
        let new = New { kind: Kind::Regular, permissions, user, group, special: 0, target: b"" };
        directory.create_static(name, &new, bytes)
    }
}

impl FileSystem for RamFs {
    fn name(&self) -> &'static str {
        "ramfs"
    }

    fn root(&self) -> NodeRef {
        self.root.clone()
    }

    fn statistics(&self) -> Result<Statistics, Errno> {
        let shared = &self.shared;
        // Without limits all are 0, as for Linux's ramfs and unlimited tmpfs.
        let rest = |limit: u64, used: &AtomicU64| match limit {
            u64::MAX => (0, 0),
            limit => (limit, limit - used.load(Ordering::Relaxed).min(limit)),
        };
        let pages = if shared.limit_pages == u64::MAX / PAGE as u64 {
            u64::MAX
        } else {
            shared.limit_pages
        };
        let (blocks, free) = rest(pages, &shared.pages);
        let (nodes, free_nodes) = rest(shared.limit_nodes, &shared.nodes);
        Ok(Statistics {
            // TMPFS_MAGIC: programs that ask mean by it that it is in memory.
            magic: 0x0102_1994,
            block_size: PAGE as u64,
            blocks,
            free,
            available: free,
            nodes,
            free_nodes,
            name_length: 255,
        })
    }
}

impl Drop for RamFs {
    /// Takes the tree apart without recursion: it may be deeper than the stack.
    fn drop(&mut self) {
        let mut pending: Vec<Arc<RamNode>> = self.root.take_children();
        while let Some(node) = pending.pop() {
            if Arc::strong_count(&node) == 1 {
                pending.append(&mut node.take_children());
            }
        }
    }
}

impl fmt::Debug for RamFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RamFs")
            .field("pages", &self.shared.pages)
            .field("nodes", &self.shared.nodes)
            .finish_non_exhaustive()
    }
}

/// The kind of file system, for [`vfs::register`]. Options are those of Linux's tmpfs: `size=`,
/// `nr_inodes=`, `mode=`.
pub static KIND: FileSystemType =
    FileSystemType { name: "ramfs", aliases: &["tmpfs"], virtual_only: true, open };

fn open(_source: &[u8], options: &[u8], _flags: MountFlags) -> Result<Arc<dyn FileSystem>, Errno> {
    let mut limits = Limits::default();
    let mut permissions = 0o1777;
    for option in options.split(|&b| b == b',').filter(|o| !o.is_empty()) {
        let option = core::str::from_utf8(option).map_err(|_| Errno::EINVAL)?;
        let (key, value) = option.split_once('=').ok_or(Errno::EINVAL)?;
        match key {
            "size" => limits.bytes = limit(value)?,
            "nr_inodes" => limits.nodes = limit(value)?,
            "mode" => {
                permissions = u16::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)? & 0o7777;
            }
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(RamFs::with_root(limits, permissions)?)
}

/// A number with a suffix; 0 is no limit.
fn limit(value: &str) -> Result<u64, Errno> {
    match ukplat::parse_size(value).ok_or(Errno::EINVAL)? {
        0 => Ok(u64::MAX),
        limit => u64::try_from(limit).map_err(|_| Errno::EINVAL),
    }
}
