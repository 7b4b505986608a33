//! What clients know files by.

use std::collections::BTreeMap;

use p9::{Qid, kind};
use ukerrno::Errno;
use ukfile::{Kind, Metadata};
use vfs::NodeRef;

/// Fids that a client has at most.
pub const MAX_FIDS: usize = 4096;

/// What a fid is open for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Nothing: it stands for a path.
    No,
    /// A directory, to be listed.
    Directory,
    /// A file.
    File {
        /// To be read.
        reads: bool,
        /// To be written.
        writes: bool,
    },
}

/// What a fid stands for.
#[derive(Clone)]
pub struct Fid {
    pub node: NodeRef,
    pub open: Open,
}

/// All fids of a client.
#[derive(Default)]
pub struct Fids(BTreeMap<u32, Fid>);

impl Fids {
    pub fn get(&self, fid: u32) -> Result<&Fid, Errno> {
        self.0.get(&fid).ok_or(Errno::EBADF)
    }

    pub fn node(&self, fid: u32) -> Result<NodeRef, Errno> {
        Ok(self.get(fid)?.node.clone())
    }

    /// Whether `fid` can be made.
    pub fn check_new(&self, fid: u32) -> Result<(), Errno> {
        if fid == p9::NO_FID || self.0.contains_key(&fid) {
            return Err(Errno::EBADF);
        }
        if self.0.len() >= MAX_FIDS { Err(Errno::ENFILE) } else { Ok(()) }
    }

    /// Makes `fid`, which was checked, or changes what it stands for.
    pub fn set(&mut self, fid: u32, to: Fid) {
        self.0.insert(fid, to);
    }

    pub fn remove(&mut self, fid: u32) -> Result<(), Errno> {
        self.0.remove(&fid).map(drop).ok_or(Errno::EBADF)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The server's number of a file: the host's, made different for other file systems below.
pub fn number(metadata: &Metadata, root_device: u64) -> u64 {
    let other = metadata.device.wrapping_sub(root_device);
    metadata.inode ^ other.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What clients are told to know a file by.
pub fn qid(metadata: &Metadata, root_device: u64) -> Qid {
    let kind = match metadata.kind {
        Kind::Directory => kind::DIRECTORY,
        Kind::Symlink => kind::SYMLINK,
        _ => kind::FILE,
    };
    let modified = metadata.modified;
    let version = modified.nanoseconds ^ modified.seconds as u32 ^ metadata.size as u32;
    Qid { kind, version, path: number(metadata, root_device) }
}
