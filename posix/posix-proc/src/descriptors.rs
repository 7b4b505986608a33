//! `/proc/self/fd`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use fdtab::TABLE;
use procfs::text;
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
    fn link(&self, number: u64) -> Result<Vec<u8>, Errno> {
        let fd = i32::try_from(number).map_err(|_| Errno::ENOENT)?;
        let file = TABLE.get(fd).map_err(|_| Errno::ENOENT)?;
        let metadata = file.file().metadata();
        let kind = metadata.as_ref().map(|metadata| metadata.kind);
        let inode = metadata.map_or(0, |metadata| metadata.inode);
        if let (Some(at), Ok(Kind::Directory)) = (vfs::location_of(&file), kind) {
            return posix_files::context()?.path_of(at);
        }
        match kind {
            Ok(Kind::Fifo) => text(format_args!("pipe:[{inode}]")),
            Ok(Kind::Socket) => text(format_args!("socket:[{inode}]")),
            Ok(Kind::CharacterDevice) => text(format_args!("/dev/console")),
            Ok(_) => text(format_args!("inode:[{inode}]")),
            Err(_) => text(format_args!("anon_inode:[file]")),
        }
    }

    fn jump(&self, number: u64, through: &Arc<Mount>) -> Result<Option<Location>, Errno> {
        let fd = i32::try_from(number).map_err(|_| Errno::ENOENT)?;
        posix_files::place_of(fd, through).map(Some)
    }
}
