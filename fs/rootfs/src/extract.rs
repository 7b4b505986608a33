//! From an archive to files.

use cpio::Entry;
use ramfs::RamFs;
use ukerrno::Errno;
use ukfile::{Kind, Timestamp, device_number};
use ukmap::SortedMap;
use vfs::{Context, Follow, Location, SetTime};

use crate::Error;

/// The path in the tree, without `/` and `.` at its start. Paths that go up are refused.
fn path_of(name: &[u8]) -> Result<&[u8], Errno> {
    if name.split(|&b| b == b'/').any(|part| part == b"..") {
        return Err(Errno::EINVAL);
    }
    let mut path = name;
    while let Some(rest) = path.strip_prefix(b"/").or_else(|| path.strip_prefix(b"./")) {
        path = rest;
    }
    Ok(if path == b"." { b"" } else { path })
}

/// Makes the directories above `path`, which archives may leave out.
pub(crate) fn make_parents(files: &Context, path: &[u8]) -> Result<(), Errno> {
    for (at, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
        crate::make_directory(files, &path[..at], 0o755)?;
    }
    Ok(())
}

/// Files of the archive with several names, by device and number.
type Shared = SortedMap<(u32, u32, u32), Location>;

/// Makes what `archive` has in the tree that `files` sees, which must be one of [`ramfs`]. Later
/// entries replace earlier ones of the same name.
///
/// # Errors
/// See [`Error`]. What came before stays.
pub fn extract(files: &Context, archive: &'static [u8]) -> Result<(), Error> {
    let mut shared = Shared::new();
    for (index, entry) in cpio::entries(archive).enumerate() {
        let entry = entry.map_err(Error::Archive)?;
        make(files, &entry, &mut shared).map_err(|error| Error::Entry(index + 1, error))?;
    }
    Ok(())
}

fn make(files: &Context, entry: &Entry<'static>, shared: &mut Shared) -> Result<(), Errno> {
    let path = path_of(entry.name)?;
    let kind = Kind::from_mode(entry.mode).ok_or(Errno::EINVAL)?;
    let permissions = (entry.mode & 0o7777) as u16;
    if path.is_empty() {
        // The root directory itself.
        return if kind == Kind::Directory {
            finish(files, b"/", entry, kind)
        } else {
            Err(Errno::EINVAL)
        };
    }
    make_parents(files, path)?;
    make_way(files, path, kind)?;
    match kind {
        Kind::Directory => crate::make_directory(files, path, permissions)?,
        Kind::Symlink => files.make_symlink(entry.data, None, path)?,
        Kind::Regular => {
            let key = (entry.device.0, entry.device.1, entry.inode);
            if let Some(first) = shared.get(&key).filter(|_| entry.links > 1) {
                files.make_link(first, None, path)?;
                if !entry.data.is_empty() {
                    fill(first, entry.data)?;
                }
            } else {
                let (directory, name) = split(files, path)?;
                let owner = (entry.user, entry.group);
                RamFs::add_static(&directory.node, name, permissions, owner, entry.data)?;
                if entry.links > 1 {
                    shared.insert(key, files.resolve(None, path, Follow::No)?);
                }
            }
        }
        _ => {
            let special = device_number(entry.special.0, entry.special.1);
            files.make_node(None, path, kind, permissions, special)?;
        }
    }
    finish(files, path, entry, kind)
}

/// Removes what is there, unless it and what comes are directories.
fn make_way(files: &Context, path: &[u8], kind: Kind) -> Result<(), Errno> {
    // With a slash behind it a link would be what it leads to.
    let end = path.iter().rposition(|&b| b != b'/').map_or(0, |last| last + 1);
    let name = &path[..end];
    match files.metadata(None, name, Follow::No).map(|found| found.kind) {
        Ok(Kind::Directory) if kind == Kind::Directory => Ok(()),
        Ok(Kind::Directory) => files.remove_directory(None, name),
        Ok(_) => files.unlink(None, name),
        Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The directory of a path, and the name in it.
fn split<'a>(files: &Context, path: &'a [u8]) -> Result<(Location, &'a [u8]), Errno> {
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) if at + 1 < path.len() => {
            Ok((files.resolve(None, &path[..at], Follow::Yes)?, &path[at + 1..]))
        }
        Some(_) => Err(Errno::EINVAL),
        None => Ok((files.working.clone(), path)),
    }
}

/// The contents of a file with several names come with the last of them.
fn fill(file: &Location, bytes: &[u8]) -> Result<(), Errno> {
    match file.node.write(vfs::WriteAt::Offset(0), &[bytes])? {
        (_, written) if written == bytes.len() => Ok(()),
        _ => Err(Errno::ENOSPC),
    }
}

/// Sets what making does not.
fn finish(files: &Context, path: &[u8], entry: &Entry<'_>, kind: Kind) -> Result<(), Errno> {
    let location = files.resolve(None, path, Follow::No)?;
    files.set_owner(&location, Some(entry.user), Some(entry.group))?;
    if kind != Kind::Symlink {
        files.set_permissions(&location, (entry.mode & 0o7777) as u16)?;
    }
    let time = SetTime::To(Timestamp { seconds: entry.modified.into(), nanoseconds: 0 });
    files.set_times(&location, time, time)
}
