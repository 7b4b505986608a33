//! The `*at` family: a descriptor, a path, flags.

use alloc::sync::Arc;

use fdtab::TABLE;
use ukerrno::Errno;
use vfs::{Context, Follow, Location};

use crate::process::context;

/// The working directory in place of a descriptor.
pub const AT_FDCWD: i32 = -100;
/// A link at the end is meant itself.
pub const SYMLINK_NOFOLLOW: u32 = 0x100;
/// `unlinkat` removes a directory.
pub const REMOVEDIR: u32 = 0x200;
/// A link at the end is followed (`linkat`).
pub const SYMLINK_FOLLOW: u32 = 0x400;
/// `faccessat` uses the effective user. The same number as `REMOVEDIR`.
pub const EACCESS: u32 = 0x200;
/// Nothing is mounted on demand here.
pub const NO_AUTOMOUNT: u32 = 0x800;
/// An empty path is the descriptor itself.
pub const EMPTY_PATH: u32 = 0x1000;
/// How hard `statx` is to ask a server.
pub const STATX_SYNC: u32 = 0x6000;

/// What a relative path starts from; `None` for the working directory.
pub fn base(directory: i32, path: &[u8]) -> Result<Option<Location>, Errno> {
    if directory == AT_FDCWD || path.first() == Some(&b'/') {
        return Ok(None);
    }
    // As on Linux, before the descriptor.
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let file = TABLE.get(directory)?;
    vfs::location_of(&file).cloned().map(Some).ok_or(Errno::ENOTDIR)
}

/// Refuses flags that the call does not have.
pub fn check(flags: u32, known: u32) -> Result<(), Errno> {
    if flags & !known == 0 { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Whether flags without, or with, a bit ask to follow links.
pub fn follow(yes: bool) -> Follow {
    if yes { Follow::Yes } else { Follow::No }
}

/// Whether a descriptor is meant itself.
pub fn is_descriptor(directory: i32, path: &[u8], flags: u32) -> bool {
    path.is_empty() && flags & EMPTY_PATH != 0 && directory != AT_FDCWD
}

/// The place that a descriptor and a path mean. [`SYMLINK_NOFOLLOW`] and [`EMPTY_PATH`] count.
pub fn place(directory: i32, path: &[u8], flags: u32) -> Result<(Arc<Context>, Location), Errno> {
    let context = context()?;
    let location = place_in(&context, directory, path, flags)?;
    Ok((context, location))
}

/// The place that they mean in a view of the tree.
pub fn place_in(
    context: &Context,
    directory: i32,
    path: &[u8],
    flags: u32,
) -> Result<Location, Errno> {
    if path.is_empty() && flags & EMPTY_PATH != 0 {
        return match directory {
            AT_FDCWD => Ok(context.working.clone()),
            fd => vfs::location_of(&*TABLE.get(fd)?).cloned().ok_or(Errno::EINVAL),
        };
    }
    let base = base(directory, path)?;
    context.resolve(base.as_ref(), path, follow(flags & SYMLINK_NOFOLLOW == 0))
}
