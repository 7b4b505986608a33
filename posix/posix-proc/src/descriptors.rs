//! `/proc/self/fd`.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use fdtab::TABLE;
use procfs::text;
use syscall_shim::Errno;
use ukfile::{Kind, OpenFlags, fallible};
use vfs::{Follow, Location, Mount};

/// The descriptors that are open.
pub struct Descriptors;

impl procfs::Directory for Descriptors {
    fn next(&self, from: u64) -> Option<u64> {
        TABLE.next(i32::try_from(from).ok()?).map(|fd| fd as u64)
    }

    /// Directories are told by their paths, devices by their names in `/dev`; files have no one name.
    fn link(&self, number: u64) -> Result<Vec<u8>, Errno> {
        let fd = i32::try_from(number).map_err(|_| Errno::ENOENT)?;
        let file = TABLE.get(fd).map_err(|_| Errno::ENOENT)?;
        let metadata = file.file().metadata();
        let kind = metadata.as_ref().map(|metadata| metadata.kind);
        let (inode, special) = metadata.map_or((0, 0), |told| (told.inode, told.special));
        if let (Some(at), Ok(Kind::Directory)) = (vfs::location_of(&file), kind) {
            return posix_files::context()?.path_of(at);
        }
        match kind {
            Ok(Kind::Fifo) => text(format_args!("pipe:[{inode}]")),
            Ok(Kind::Socket) => text(format_args!("socket:[{inode}]")),
            Ok(kind @ (Kind::CharacterDevice | Kind::BlockDevice)) => device(kind, special),
            Ok(Kind::Anonymous) | Err(_) => text(format_args!("anon_inode:[file]")),
            Ok(_) => text(format_args!("inode:[{inode}]")),
        }
    }

    fn jump(&self, number: u64, through: &Arc<Mount>) -> Result<Option<Location>, Errno> {
        let fd = i32::try_from(number).map_err(|_| Errno::ENOENT)?;
        posix_files::place_of(fd, through).map(Some)
    }
}

/// The path of a device: what has its number in `/dev`, or the name that it would have below
/// `/dev/char` or `/dev/block`.
fn device(kind: Kind, number: u64) -> Result<Vec<u8>, Errno> {
    match named_device(kind, number) {
        Err(Errno::ENOMEM) => Err(Errno::ENOMEM),
        Ok(Some(name)) => {
            let mut path = text(format_args!("/dev/"))?;
            path.try_reserve_exact(name.len()).map_err(|_| Errno::ENOMEM)?;
            path.extend_from_slice(&name);
            Ok(path)
        }
        Ok(None) | Err(_) => {
            let folder = if kind == Kind::BlockDevice { "block" } else { "char" };
            let (major, minor) = (ukfile::major(number), ukfile::minor(number));
            text(format_args!("/dev/{folder}/{major}:{minor}"))
        }
    }
}

fn named_device(kind: Kind, number: u64) -> Result<Option<Box<[u8]>>, Errno> {
    let files = posix_files::context()?;
    let devices = files.open(None, b"/dev", OpenFlags::DIRECTORY, 0)?;
    // They are looked at later: the directory is locked while it is listed.
    let mut names: Vec<Box<[u8]>> = Vec::new();
    let mut kept = Ok(());
    vfs::list_open(&devices, &mut |entry| {
        if entry.kind == kind {
            kept = fallible::copy(entry.name).and_then(|name| fallible::push(&mut names, name));
        }
        kept.is_ok()
    })?;
    kept?;
    let directory = vfs::location_of(&devices).ok_or(Errno::ENOTDIR)?;
    let is_it = |name: &[u8]| {
        let found = files.metadata(Some(directory), name, Follow::No);
        found.is_ok_and(|found| found.kind == kind && found.special == number)
    };
    Ok(names.into_iter().find(|name| is_it(name)))
}
