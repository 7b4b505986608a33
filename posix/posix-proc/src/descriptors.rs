//! `/proc/self/fd`.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use fdtab::TABLE;
use syscall_shim::Errno;
use ukfile::Kind;
use vfs::{Location, Mount};

/// The descriptors that are open.
pub struct Descriptors;

impl procfs::Directory for Descriptors {
    fn next(&self, from: u64) -> Option<u64> {
        TABLE.next(i32::try_from(from).ok()?).map(|fd| fd as u64)
    }

    /// Directories are told by their paths; files have no one name.
    fn link(&self, number: u64) -> Option<Vec<u8>> {
        let file = TABLE.get(i32::try_from(number).ok()?).ok()?;
        let metadata = file.file().metadata();
        let kind = metadata.as_ref().map(|metadata| metadata.kind);
        let inode = metadata.map_or(0, |metadata| metadata.inode);
        if let (Some(at), Ok(Kind::Directory)) = (vfs::location_of(&file), kind) {
            return posix_files::context().ok()?.path_of(at).ok();
        }
        Some(match kind {
            Ok(Kind::Fifo) => format!("pipe:[{inode}]").into_bytes(),
            Ok(Kind::Socket) => format!("socket:[{inode}]").into_bytes(),
            Ok(Kind::CharacterDevice) => b"/dev/console".to_vec(),
            Ok(_) => format!("inode:[{inode}]").into_bytes(),
            Err(_) => b"anon_inode:[file]".to_vec(),
        })
    }

    fn jump(&self, number: u64, through: &Arc<Mount>) -> Result<Option<Location>, Errno> {
        let fd = i32::try_from(number).map_err(|_| Errno::ENOENT)?;
        posix_files::place_of(fd, through).map(Some)
    }
}
