//! Permissions, owners, times, sizes.

use fdtab::TABLE;
use syscall_shim::{
    AccessFlags, AccessMode, AllocateMode, AtFlags, CStrPtr, Directory, Mode, UserPtr, syscall,
};
use ukerrno::Errno;
use ukfile::{Description, OpenFlags, Timestamp};
use vfs::{Allocate, Context, Follow, Location, SetTime};

use crate::at::{
    AT_FDCWD, EACCESS, EMPTY_PATH, SYMLINK_NOFOLLOW, check, is_descriptor, place, place_in,
};
use crate::process::{context, real_context, update};

/// What may be done with a file (faccessat2(2)).
#[syscall]
fn faccessat2(
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    #[trace(AccessMode)] mode: u32,
    #[trace(AccessFlags)] flags: u32,
) -> Result<(), Errno> {
    check(flags, EACCESS | SYMLINK_NOFOLLOW | EMPTY_PATH)?;
    check(mode, 7)?;
    // As the real user, who has a program run that may more than he: so may programs ask.
    let context = if flags & EACCESS == 0 { real_context() } else { context() }?;
    // The bit means something else for other calls.
    let (path, flags) = (path.path()?, flags & !EACCESS);
    if is_descriptor(directory, path, flags) {
        let file = TABLE.get(directory)?;
        if vfs::location_of(&file).is_none() {
            return context.credentials.check(&file.file().metadata()?, mode as u16);
        }
    }
    let location = place_in(&context, directory, path, flags)?;
    context.check_access(&location, mode as u16)
}

/// What may be done with a file (faccessat(2)).
#[syscall]
fn faccessat(
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    #[trace(AccessMode)] mode: u32,
) -> Result<(), Errno> {
    faccessat2(directory, path, mode, 0)
}

/// What may be done with a file (access(2)).
#[syscall]
fn access(path: CStrPtr, #[trace(AccessMode)] mode: u32) -> Result<(), Errno> {
    faccessat2(AT_FDCWD, path, mode, 0)
}

/// Changes attributes of what a descriptor and a path mean.
fn change_at(
    (directory, path, flags): (i32, &[u8], u32),
    change: impl FnOnce(&Context, &Location) -> Result<(), Errno>,
) -> Result<(), Errno> {
    if is_descriptor(directory, path, flags) {
        return change_file(&*TABLE.get(directory)?, change);
    }
    let (context, location) = place(directory, path, flags)?;
    change(&context, &location)
}

/// Changes attributes of an open file.
fn change_open(
    fd: i32,
    change: impl FnOnce(&Context, &Location) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let file = TABLE.get(fd)?;
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    change_file(&file, change)
}

/// Changes attributes of a file. Of those that are nowhere in the tree, such as pipes, nothing depends
/// on them, and nothing is noted: it is looked only whether the caller may.
fn change_file(
    file: &Description,
    change: impl FnOnce(&Context, &Location) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let context = context()?;
    match vfs::location_of(file) {
        Some(location) => change(&context, location),
        None if context.credentials.owns(&file.file().metadata()?) => Ok(()),
        None => Err(Errno::EPERM),
    }
}

/// Sets permissions (fchmodat2(2)).
#[syscall]
fn fchmodat2(
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    mode: Mode,
    #[trace(AtFlags)] flags: u32,
) -> Result<(), Errno> {
    check(flags, SYMLINK_NOFOLLOW | EMPTY_PATH)?;
    change_at((directory, path.path()?, flags), |context, at| {
        context.set_permissions(at, (mode.0 & 0o7777) as u16)
    })
}

/// Sets permissions (fchmodat(2)).
#[syscall]
fn fchmodat(#[trace(Directory)] directory: i32, path: CStrPtr, mode: Mode) -> Result<(), Errno> {
    fchmodat2(directory, path, mode, 0)
}

/// Sets permissions (chmod(2)).
#[syscall]
fn chmod(path: CStrPtr, mode: Mode) -> Result<(), Errno> {
    fchmodat2(AT_FDCWD, path, mode, 0)
}

/// Sets permissions of an open file (fchmod(2)).
#[syscall]
fn fchmod(fd: i32, mode: Mode) -> Result<(), Errno> {
    change_open(fd, |context, at| context.set_permissions(at, (mode.0 & 0o7777) as u16))
}

/// `-1` leaves the user, or the group.
fn owner(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

/// Sets user and group (fchownat(2)).
#[syscall]
fn fchownat(
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    user: u32,
    group: u32,
    #[trace(AtFlags)] flags: u32,
) -> Result<(), Errno> {
    check(flags, SYMLINK_NOFOLLOW | EMPTY_PATH)?;
    change_at((directory, path.path()?, flags), |context, at| {
        context.set_owner(at, owner(user), owner(group))
    })
}

/// Sets user and group (chown(2)).
#[syscall]
fn chown(path: CStrPtr, user: u32, group: u32) -> Result<(), Errno> {
    fchownat(AT_FDCWD, path, user, group, 0)
}

/// Sets user and group of a link itself (lchown(2)).
#[syscall]
fn lchown(path: CStrPtr, user: u32, group: u32) -> Result<(), Errno> {
    fchownat(AT_FDCWD, path, user, group, SYMLINK_NOFOLLOW)
}

/// Sets user and group of an open file (fchown(2)).
#[syscall]
fn fchown(fd: i32, user: u32, group: u32) -> Result<(), Errno> {
    change_open(fd, |context, at| context.set_owner(at, owner(user), owner(group)))
}

/// `UTIME_NOW`, `UTIME_OMIT`
const NOW: i64 = (1 << 30) - 1;
const OMIT: i64 = (1 << 30) - 2;

/// A time of `utimensat`.
fn set_time([seconds, nanoseconds]: [i64; 2]) -> Result<SetTime, Errno> {
    match nanoseconds {
        NOW => Ok(SetTime::Now),
        OMIT => Ok(SetTime::Omit),
        0..1_000_000_000 => Ok(SetTime::To(Timestamp { seconds, nanoseconds: nanoseconds as u32 })),
        _ => Err(Errno::EINVAL),
    }
}

/// Times in microseconds.
fn from_micros([seconds, microseconds]: [i64; 2]) -> Result<[i64; 2], Errno> {
    match microseconds {
        0..1_000_000 => Ok([seconds, microseconds * 1000]),
        _ => Err(Errno::EINVAL),
    }
}

fn set_times(
    directory: i32,
    path: Option<CStrPtr>,
    times: Option<[[i64; 2]; 2]>,
    flags: u32,
) -> Result<(), Errno> {
    let [accessed, modified] = match times {
        // As on Linux, before anything is looked at.
        Some([[_, OMIT], [_, OMIT]]) => return Ok(()),
        Some([accessed, modified]) => [set_time(accessed)?, set_time(modified)?],
        None => [SetTime::Now; 2],
    };
    check(flags, if path.is_some() { SYMLINK_NOFOLLOW | EMPTY_PATH } else { 0 })?;
    let change = |context: &Context, at: &Location| context.set_times(at, accessed, modified);
    match path {
        Some(path) => change_at((directory, path.path()?, flags), change),
        // Linux: the descriptor itself.
        None if directory != AT_FDCWD => change_open(directory, change),
        None => Err(Errno::EFAULT),
    }
}

/// Sets times (utimensat(2)).
#[syscall]
fn utimensat(
    #[trace(Directory)] directory: i32,
    path: Option<CStrPtr>,
    times: Option<UserPtr<[[i64; 2]; 2]>>,
    #[trace(AtFlags)] flags: u32,
) -> Result<(), Errno> {
    set_times(directory, path, times.map(UserPtr::read), flags)
}

/// Sets times in microseconds (futimesat(2)).
#[syscall]
fn futimesat(
    #[trace(Directory)] directory: i32,
    path: Option<CStrPtr>,
    times: Option<UserPtr<[[i64; 2]; 2]>>,
) -> Result<(), Errno> {
    let times = match times.map(UserPtr::read) {
        Some([accessed, modified]) => Some([from_micros(accessed)?, from_micros(modified)?]),
        None => None,
    };
    set_times(directory, path, times, 0)
}

/// Sets times in microseconds (utimes(2)).
#[syscall]
fn utimes(path: CStrPtr, times: Option<UserPtr<[[i64; 2]; 2]>>) -> Result<(), Errno> {
    futimesat(AT_FDCWD, Some(path), times)
}

/// Sets times in seconds (utime(2)).
#[syscall]
fn utime(path: CStrPtr, times: Option<UserPtr<[i64; 2]>>) -> Result<(), Errno> {
    let times = times.map(UserPtr::read).map(|[accessed, modified]| [[accessed, 0], [modified, 0]]);
    set_times(AT_FDCWD, Some(path), times, 0)
}

/// Sets the size (truncate(2)).
#[syscall]
fn truncate(path: CStrPtr, size: i64) -> Result<(), Errno> {
    if size < 0 {
        return Err(Errno::EINVAL);
    }
    let context = context()?;
    let location = context.resolve(None, path.path()?, Follow::Yes)?;
    context.set_size(&location, size)
}

/// Sets the size of an open file (ftruncate(2)).
#[syscall]
fn ftruncate(fd: i32, size: i64) -> Result<(), Errno> {
    if size < 0 {
        return Err(Errno::EINVAL);
    }
    vfs::resize_open(&*TABLE.get(fd)?, size)
}

/// Reserves or frees storage (fallocate(2)).
#[syscall]
fn fallocate(
    fd: i32,
    #[trace(AllocateMode)] mode: u32,
    offset: i64,
    length: i64,
) -> Result<(), Errno> {
    const KEEP_SIZE: u32 = 1;
    let file = TABLE.get(fd)?;
    let how = match mode {
        0 => Allocate::Reserve { keep_size: false },
        KEEP_SIZE => Allocate::Reserve { keep_size: true },
        3 => Allocate::PunchHole,
        8 => Allocate::Collapse,
        0x10 => Allocate::Zero { keep_size: false },
        0x11 => Allocate::Zero { keep_size: true },
        0x20 => Allocate::Insert,
        _ => return Err(Errno::EOPNOTSUPP),
    };
    vfs::allocate_open(&file, how, offset, length)
}

/// Sets the permissions that new files do not get (umask(2)).
#[syscall]
fn umask(mask: Mode) -> Result<u32, Errno> {
    let mask = (mask.0 & 0o777) as u16;
    update(|context| core::mem::replace(&mut context.umask, mask)).map(u32::from)
}
