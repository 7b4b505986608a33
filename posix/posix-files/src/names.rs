//! Making, removing, and moving names.

use syscall_shim::{
    AtFlags, CStrPtr, Directory, FileMode, Mode, RenameHow, UnlinkFlags, UserSliceMut, syscall,
};
use ukerrno::Errno;
use ukfile::Kind;
use vfs::RenameFlags;

use crate::at::{
    AT_FDCWD, EMPTY_PATH, REMOVEDIR, SYMLINK_FOLLOW, SYMLINK_NOFOLLOW, base, check, place,
};
use crate::process::context;

/// Makes a directory (mkdirat(2)).
#[syscall]
fn mkdirat(#[trace(Directory)] directory: i32, path: CStrPtr, mode: Mode) -> Result<(), Errno> {
    let path = path.path()?;
    let base = base(directory, path)?;
    context()?.make_directory(base.as_ref(), path, (mode.0 & 0o7777) as u16)
}

/// Makes a directory (mkdir(2)).
#[syscall]
fn mkdir(path: CStrPtr, mode: Mode) -> Result<(), Errno> {
    mkdirat(AT_FDCWD, path, mode)
}

/// Makes a file, a named pipe, a socket, or a device (mknodat(2)).
#[syscall]
fn mknodat(
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    #[trace(FileMode)] mode: Mode,
    device: u32,
) -> Result<(), Errno> {
    let path = path.path()?;
    let kind = Kind::from_mode(mode.0).ok_or(Errno::EINVAL)?;
    let base = base(directory, path)?;
    context()?.make_node(base.as_ref(), path, kind, (mode.0 & 0o7777) as u16, device.into())
}

/// Makes a file, a named pipe, a socket, or a device (mknod(2)).
#[syscall]
fn mknod(path: CStrPtr, #[trace(FileMode)] mode: Mode, device: u32) -> Result<(), Errno> {
    mknodat(AT_FDCWD, path, mode, device)
}

/// Makes a symbolic link (symlinkat(2)).
#[syscall]
fn symlinkat(
    target: CStrPtr,
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
) -> Result<(), Errno> {
    let path = path.path()?;
    let base = base(directory, path)?;
    context()?.make_symlink(target.path()?, base.as_ref(), path)
}

/// Makes a symbolic link (symlink(2)).
#[syscall]
fn symlink(target: CStrPtr, path: CStrPtr) -> Result<(), Errno> {
    symlinkat(target, AT_FDCWD, path)
}

/// Makes a further name (linkat(2)).
#[syscall]
fn linkat(
    #[trace(Directory)] old_directory: i32,
    old: CStrPtr,
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    #[trace(AtFlags)] flags: u32,
) -> Result<(), Errno> {
    check(flags, SYMLINK_FOLLOW | EMPTY_PATH)?;
    let follow = if flags & SYMLINK_FOLLOW == 0 { SYMLINK_NOFOLLOW } else { 0 };
    let (context, old) = place(old_directory, old.path()?, flags & EMPTY_PATH | follow)?;
    let path = path.path()?;
    let base = base(directory, path)?;
    context.make_link(&old, base.as_ref(), path)
}

/// Makes a further name (link(2)).
#[syscall]
fn link(old: CStrPtr, path: CStrPtr) -> Result<(), Errno> {
    linkat(AT_FDCWD, old, AT_FDCWD, path, 0)
}

/// Removes a name, or a directory (unlinkat(2)).
#[syscall]
fn unlinkat(
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    #[trace(UnlinkFlags)] flags: u32,
) -> Result<(), Errno> {
    check(flags, REMOVEDIR)?;
    let path = path.path()?;
    let base = base(directory, path)?;
    if flags & REMOVEDIR != 0 {
        context()?.remove_directory(base.as_ref(), path)
    } else {
        context()?.unlink(base.as_ref(), path)
    }
}

/// Removes a name (unlink(2)).
#[syscall]
fn unlink(path: CStrPtr) -> Result<(), Errno> {
    unlinkat(AT_FDCWD, path, 0)
}

/// Removes a directory (rmdir(2)).
#[syscall]
fn rmdir(path: CStrPtr) -> Result<(), Errno> {
    unlinkat(AT_FDCWD, path, REMOVEDIR)
}

/// Moves a name (renameat2(2)).
#[syscall]
fn renameat2(
    #[trace(Directory)] old_directory: i32,
    old: CStrPtr,
    #[trace(Directory)] new_directory: i32,
    new: CStrPtr,
    #[trace(RenameHow)] flags: u32,
) -> Result<(), Errno> {
    let (old, new) = (old.path()?, new.path()?);
    let (from, to) = (base(old_directory, old)?, base(new_directory, new)?);
    let flags = RenameFlags::from_bits_retain(flags);
    context()?.rename((from.as_ref(), old), (to.as_ref(), new), flags)
}

/// Moves a name (renameat(2)).
#[syscall]
fn renameat(
    #[trace(Directory)] old_directory: i32,
    old: CStrPtr,
    #[trace(Directory)] new_directory: i32,
    new: CStrPtr,
) -> Result<(), Errno> {
    renameat2(old_directory, old, new_directory, new, 0)
}

/// Moves a name (rename(2)).
#[syscall]
fn rename(old: CStrPtr, new: CStrPtr) -> Result<(), Errno> {
    renameat2(AT_FDCWD, old, AT_FDCWD, new, 0)
}

/// Where a symbolic link leads to (readlinkat(2)).
#[syscall]
fn readlinkat(
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    mut buffer: UserSliceMut<'_, u8>,
) -> Result<usize, Errno> {
    if buffer.is_empty() {
        return Err(Errno::EINVAL);
    }
    let path = path.path()?;
    let (_, link) = place(directory, path, SYMLINK_NOFOLLOW | EMPTY_PATH)?;
    let target = match link.read_link() {
        Err(Errno::EINVAL) if path.is_empty() => return Err(Errno::ENOENT),
        target => target?,
    };
    let buffer = buffer.as_mut_slice();
    let length = target.len().min(buffer.len());
    buffer[..length].copy_from_slice(&target[..length]);
    Ok(length)
}

/// Where a symbolic link leads to (readlink(2)).
#[syscall]
fn readlink(path: CStrPtr, buffer: UserSliceMut<'_, u8>) -> Result<usize, Errno> {
    if path.as_bytes().is_empty() {
        return Err(Errno::ENOENT);
    }
    readlinkat(AT_FDCWD, path, buffer)
}
