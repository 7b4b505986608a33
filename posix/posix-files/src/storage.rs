//! Waiting until what was written cannot be lost.

use fdtab::TABLE;
use syscall_shim::{FileAdvice, SyncRangeFlags, syscall};
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags, SyncKind};

fn sync_one(fd: i32, what: SyncKind) -> Result<(), Errno> {
    let file = TABLE.get(fd)?;
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    file.file().sync(what)
}

/// Writes a file (fsync(2)).
#[syscall]
fn fsync(fd: i32) -> Result<(), Errno> {
    sync_one(fd, SyncKind::All)
}

/// Writes the contents of a file (fdatasync(2)).
#[syscall]
fn fdatasync(fd: i32) -> Result<(), Errno> {
    sync_one(fd, SyncKind::Data)
}

/// Writes the file system of a file (syncfs(2)).
#[syscall]
fn syncfs(fd: i32) -> Result<(), Errno> {
    let file = TABLE.get(fd)?;
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    match vfs::location_of(&file) {
        Some(location) => {
            vfs::write_back_all()?;
            location.mount.file_system().sync()
        }
        None => Ok(()),
    }
}

/// Writes all file systems; returns the first error.
pub fn sync_all() -> Result<(), Errno> {
    let mut result = vfs::write_back_all();
    // Also what the process does not see (chroot).
    vfs::each_mount(&mut |mount| result = result.and(mount.file_system().sync()));
    result
}

/// Writes all file systems (sync(2)).
#[syscall]
fn sync() {
    // The call has no errors.
    let _ = sync_all();
}

/// Writes a part of a file (sync_file_range(2)): all of it.
#[syscall]
fn sync_file_range(
    fd: i32,
    offset: i64,
    length: i64,
    #[trace(SyncRangeFlags)] flags: u32,
) -> Result<(), Errno> {
    if flags & !7 != 0 || offset < 0 || length < 0 || offset.checked_add(length).is_none() {
        return Err(Errno::EINVAL);
    }
    let file = TABLE.get(fd)?;
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    if !matches!(
        file.file().metadata()?.kind,
        Kind::Regular | Kind::Directory | Kind::Symlink | Kind::BlockDevice
    ) {
        return Err(Errno::ESPIPE);
    }
    if flags == 0 { Ok(()) } else { sync_one(fd, SyncKind::Data) }
}

/// Takes note of how a file will be read (posix_fadvise(2)): nothing depends on it.
#[syscall]
fn fadvise64(
    fd: i32,
    _offset: i64,
    length: i64,
    #[trace(FileAdvice)] advice: u32,
) -> Result<(), Errno> {
    let file = TABLE.get(fd)?;
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    if !file.file().has_position() {
        return Err(Errno::ESPIPE);
    }
    if length < 0 || advice > 5 { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Reads ahead (readahead(2)): nothing is far away.
#[syscall]
fn readahead(fd: i32, _offset: i64, _length: usize) -> Result<(), Errno> {
    let file = TABLE.get(fd)?;
    if !file.flags().reads() {
        return Err(Errno::EBADF);
    }
    if file.file().has_position() { Ok(()) } else { Err(Errno::EINVAL) }
}
