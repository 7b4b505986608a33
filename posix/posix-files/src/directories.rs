//! Listing directories, and the ones that a process stands in.

use fdtab::TABLE;
use syscall_shim::{CStrPtr, UserSliceMut, syscall};
use ukerrno::Errno;
use ukfile::Kind;
use vfs::{EXECUTE, Entry, Follow, Location};

use crate::process::{context, update};

/// Bytes before the name of an entry: number, position, length, and for `getdents64` the type.
const HEADER: usize = 18;

/// Puts an entry into `buffer`; returns its length, or `None` when there is no room. The type comes
/// before the name (`getdents64`) or in the last byte.
fn put(buffer: &mut [u8], entry: &Entry<'_>, type_first: bool) -> Option<usize> {
    let length = (HEADER + entry.name.len() + 2).next_multiple_of(8);
    let record = buffer.get_mut(..length)?;
    record.fill(0);
    record[..8].copy_from_slice(&entry.inode.to_ne_bytes());
    record[8..16].copy_from_slice(&entry.next.to_ne_bytes());
    record[16..18].copy_from_slice(&(length as u16).to_ne_bytes());
    let name = if type_first { HEADER + 1 } else { HEADER };
    record[name..name + entry.name.len()].copy_from_slice(entry.name);
    record[if type_first { HEADER } else { length - 1 }] = entry.kind as u8;
    Some(length)
}

fn list(fd: i32, buffer: &mut [u8], type_first: bool) -> Result<usize, Errno> {
    let file = TABLE.get(fd)?;
    let mut filled = 0;
    let mut refused = false;
    vfs::list_open(&file, &mut |entry| match put(&mut buffer[filled..], entry, type_first) {
        Some(length) => {
            filled += length;
            true
        }
        None => {
            refused = true;
            false
        }
    })?;
    // Not even one had room.
    if filled == 0 && refused { Err(Errno::EINVAL) } else { Ok(filled) }
}

/// Lists a directory (getdents64(2)).
#[syscall]
fn getdents64(fd: i32, mut buffer: UserSliceMut<'_, u8>) -> Result<usize, Errno> {
    list(fd, buffer.as_mut_slice(), true)
}

/// Lists a directory (getdents(2)).
#[syscall]
fn getdents(fd: i32, mut buffer: UserSliceMut<'_, u8>) -> Result<usize, Errno> {
    list(fd, buffer.as_mut_slice(), false)
}

/// The path of the working directory, with the zero at its end (getcwd(2)).
#[syscall]
fn getcwd(mut buffer: UserSliceMut<'_, u8>) -> Result<usize, Errno> {
    let context = context()?;
    let path = context.path_of(&context.working)?;
    let buffer = buffer.as_mut_slice();
    if buffer.len() <= path.len() {
        return Err(Errno::ERANGE);
    }
    buffer[..path.len()].copy_from_slice(&path);
    buffer[path.len()] = 0;
    Ok(path.len() + 1)
}

/// A directory that may be stood in.
fn searchable(location: Location) -> Result<Location, Errno> {
    let metadata = location.node.metadata()?;
    if metadata.kind != Kind::Directory {
        return Err(Errno::ENOTDIR);
    }
    context()?.credentials.check(&metadata, EXECUTE)?;
    Ok(location)
}

/// Changes the working directory (chdir(2)).
#[syscall]
fn chdir(path: CStrPtr) -> Result<(), Errno> {
    let to = searchable(context()?.resolve(None, path.path()?, Follow::Yes)?)?;
    update(|context| context.working = to)
}

/// Changes the working directory (fchdir(2)).
#[syscall]
fn fchdir(fd: i32) -> Result<(), Errno> {
    let to = vfs::location_of(&*TABLE.get(fd)?).cloned().ok_or(Errno::ENOTDIR)?;
    let to = searchable(to)?;
    update(|context| context.working = to)
}

/// Changes the root directory (chroot(2)).
#[syscall]
fn chroot(path: CStrPtr) -> Result<(), Errno> {
    let now = context()?;
    let to = searchable(now.resolve(None, path.path()?, Follow::Yes)?)?;
    if !now.credentials.is_root() {
        return Err(Errno::EPERM);
    }
    update(|context| context.root = to)
}
