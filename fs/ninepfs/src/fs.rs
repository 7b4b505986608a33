//! A shared directory as a file system.

use alloc::sync::{Arc, Weak};
use core::fmt;

use p9::{Attributes, Qid, Request, Response, attribute};
use uk9p::Channel;
use ukerrno::Errno;
use ukfile::{Kind, Metadata, Timestamp, fallible};
use uklock::Mutex;
use ukmap::SortedMap;
use vfs::{FileSystem, FileSystemType, MountFlags, NodeRef, Statistics};

use crate::client::{Client, Fid};
use crate::node::RemoteNode;
use crate::written::Written;

/// How a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// Bytes of a message at most (`msize=`); channel and server may allow less.
    pub max_message: usize,
    /// Which tree of the server (`aname=`).
    pub tree: &'a [u8],
}

impl Default for Options<'_> {
    /// Messages of 128 KiB of data; the tree without a name.
    fn default() -> Self {
        Self { max_message: (128 << 10) + p9::WRITE_HEADER, tree: b"" }
    }
}

/// What all nodes share.
pub struct Shared {
    pub client: Arc<Client>,
    /// Number of the file system.
    device: u64,
    /// Nodes in use, by the server's numbers.
    nodes: Mutex<SortedMap<u64, Weak<RemoteNode>>>,
    pub written: Written,
}

/// Type of file by the server's number; `None` when it does not tell enough.
fn kind_of(qid: &Qid) -> Option<Kind> {
    match qid.kind {
        kind if kind & p9::kind::DIRECTORY != 0 => Some(Kind::Directory),
        kind if kind & p9::kind::SYMLINK != 0 => Some(Kind::Symlink),
        _ => None,
    }
}

impl Shared {
    /// The node of a file, which is the same while it is in use; made of `fid` when there is none.
    pub fn node(
        self: &Arc<Self>,
        fid: Fid,
        qid: Qid,
        place: Option<(&Arc<RemoteNode>, &[u8])>,
    ) -> Result<Arc<RemoteNode>, Errno> {
        let kind = match kind_of(&qid) {
            Some(kind) => kind,
            None => self.metadata(&fid)?.kind,
        };
        // Dropped without the lock, which the end of a node takes.
        let known;
        let mut nodes = self.nodes.lock();
        known = nodes.get(&qid.path).and_then(Weak::upgrade);
        let (node, spare) = match &known {
            // Else the number was given to another file, and the old one is gone.
            Some(node) if node.kind() == kind => (node.clone(), Some(fid)),
            _ => {
                // Before: a node that is made must be known.
                nodes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                let node = RemoteNode::new(self, fid, qid.path, kind)?;
                nodes.insert(qid.path, Arc::downgrade(&node));
                (node, None)
            }
        };
        // Dropped without the lock, which the end of a node takes.
        drop(nodes);
        drop(known);
        let moved = node.set_place(place)?;
        // Servers may know files by their paths.
        match spare {
            Some(fid) if moved => drop(node.replace_fid(fid)?),
            spare => drop(spare),
        }
        Ok(node)
    }

    /// A node is gone.
    pub fn forget(&self, path: u64) {
        let mut nodes = self.nodes.lock();
        // Meanwhile another may have taken its place.
        if nodes.get(&path).is_some_and(|node| node.strong_count() == 0) {
            nodes.remove(&path);
        }
    }

    /// What the server tells of a file.
    pub fn metadata(&self, fid: &Fid) -> Result<Metadata, Errno> {
        let mask = attribute::BASIC | attribute::CREATED;
        let request = Request::Getattr { fid: fid.number(), mask };
        let told = self.client.ask(&request, |response| match response {
            Response::Getattr { attributes } => Some(attributes),
            _ => None,
        })?;
        let Attributes { valid, qid, mode, user, group, links, special, size, .. } = told;
        if valid & attribute::BASIC != attribute::BASIC || i64::try_from(size).is_err() {
            return Err(Errno::EIO);
        }
        let time = |seconds: u64, nanoseconds: u64| Timestamp {
            seconds: seconds as i64,
            nanoseconds: u32::try_from(nanoseconds).unwrap_or(0).min(999_999_999),
        };
        let tells_birth = valid & attribute::CREATED != 0;
        Ok(Metadata {
            device: self.device,
            inode: qid.path,
            kind: Kind::from_mode(mode).filter(|_| mode >> 12 != 0).ok_or(Errno::EIO)?,
            permissions: (mode & 0o7777) as u16,
            links: u32::try_from(links).unwrap_or(u32::MAX),
            user,
            group,
            special,
            size,
            block_size: u32::try_from(told.block_size).unwrap_or(4096),
            blocks: told.blocks,
            accessed: time(told.accessed, told.accessed_ns),
            modified: time(told.modified, told.modified_ns),
            changed: time(told.changed, told.changed_ns),
            created: tells_birth.then(|| time(told.created, told.created_ns)),
        })
    }
}

/// A shared directory as a file system.
pub struct NinePFs {
    root: Arc<RemoteNode>,
}

impl NinePFs {
    /// Connects to the server at the other end of a channel, which has no other user.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` when it does not know 9P2000.L; `EPROTO`, `EIO` when it breaks the rules;
    /// its own.
    pub fn new(channel: &'static dyn Channel, options: Options<'_>) -> Result<Arc<Self>, Errno> {
        let client = fallible::arc(Client::new(channel, options.max_message)?)?;
        let (fid, qid) = client.attach(options.tree)?;
        let device = vfs::next_device();
        let (nodes, written) = (Mutex::default(), Written::default());
        let shared = fallible::arc(Shared { client, device, nodes, written })?;
        let root = shared.node(fid, qid, None)?;
        if root.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        fallible::arc(Self { root })
    }
}

impl FileSystem for NinePFs {
    fn name(&self) -> &'static str {
        KIND.name
    }

    fn root(&self) -> NodeRef {
        self.root.clone()
    }

    fn statistics(&self) -> Result<Statistics, Errno> {
        let request = Request::Statfs { fid: self.root.fid().number() };
        let told = self.root.shared.client.ask(&request, |response| match response {
            Response::Statfs { told } => Some(told),
            _ => None,
        })?;
        Ok(Statistics {
            magic: told.magic.into(),
            block_size: told.block_size.into(),
            blocks: told.blocks,
            free: told.free,
            available: told.available,
            nodes: told.nodes,
            free_nodes: told.free_nodes,
            name_length: told.name_length.into(),
        })
    }

    fn sync(&self) -> Result<(), Errno> {
        self.root.shared.written.sync()
    }
}

impl Drop for NinePFs {
    fn drop(&mut self) {
        self.root.shared.written.end();
    }
}

impl fmt::Debug for NinePFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.root.shared;
        f.debug_struct("NinePFs").field("device", &shared.device).finish_non_exhaustive()
    }
}

/// The kind of file system, for [`vfs::register`]. The source is the mount tag of a device; options
/// are `msize=` and `aname=`, as those of Linux's.
pub static KIND: FileSystemType =
    FileSystemType { name: "9p", aliases: &[], virtual_only: true, open };

fn open(source: &[u8], options: &[u8], _flags: MountFlags) -> Result<Arc<dyn FileSystem>, Errno> {
    let channel = uk9p::channel(source).ok_or(Errno::ENODEV)?;
    Ok(NinePFs::new(channel, parse(options)?)?)
}

fn parse(options: &[u8]) -> Result<Options<'_>, Errno> {
    let mut parsed = Options::default();
    for option in options.split(|&b| b == b',').filter(|o| !o.is_empty()) {
        if let Some(value) = option.strip_prefix(b"msize=") {
            let value = core::str::from_utf8(value).map_err(|_| Errno::EINVAL)?;
            parsed.max_message = ukplat::parse_size(value).ok_or(Errno::EINVAL)?;
        } else if let Some(value) = option.strip_prefix(b"aname=") {
            parsed.tree = value;
        } else {
            return Err(Errno::EINVAL);
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let both = Options { max_message: 8192, tree: b"a/b" };
        assert_eq!(parse(b"msize=8K,,aname=a/b"), Ok(both));
        assert_eq!(parse(b""), Ok(Options::default()));
        for wrong in [&b"msize=x"[..], b"msize", b"trans=virtio", b"msize=\xff"] {
            assert_eq!(parse(wrong), Err(Errno::EINVAL));
        }
        assert_eq!(open(b"nowhere", b"", MountFlags::default()).err(), Some(Errno::ENODEV));
    }
}
