//! `stat` and its relatives.

use fdtab::TABLE;
use syscall_shim::{AtFlags, CStrPtr, Directory, FileMode, Plain, StatxMask, UserOut, syscall};
use ukerrno::Errno;
use ukfile::{Description, Metadata, Timestamp, major, minor};
use vfs::{Mount, NodeRef};

use crate::at::{
    AT_FDCWD, EMPTY_PATH, NO_AUTOMOUNT, STATX_SYNC, SYMLINK_NOFOLLOW, base, check, follow,
};
use crate::process::context;

/// `struct stat`
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct Stat {
    #[trace(_)]
    device: u64,
    inode: u64,
    links: u64,
    #[trace(FileMode)]
    mode: u32,
    user: u32,
    group: u32,
    _pad: u32,
    special: u64,
    size: i64,
    #[trace(_)]
    block_size: i64,
    #[trace(_)]
    blocks: i64,
    #[trace(_)]
    accessed: [i64; 2],
    modified: [i64; 2],
    #[trace(_)]
    changed: [i64; 2],
    _unused: [i64; 3],
}

impl From<&Metadata> for Stat {
    fn from(from: &Metadata) -> Self {
        let time = |t: Timestamp| [t.seconds, t.nanoseconds.into()];
        Self {
            device: from.device,
            inode: from.inode,
            links: from.links.into(),
            mode: from.mode(),
            user: from.user,
            group: from.group,
            _pad: 0,
            special: from.special,
            size: from.size as i64,
            block_size: from.block_size.into(),
            blocks: from.blocks as i64,
            accessed: time(from.accessed),
            modified: time(from.modified),
            changed: time(from.changed),
            _unused: [0; 3],
        }
    }
}

/// Asks an open file, or a path; also pipes and sockets, which are nowhere in the tree.
#[inline]
fn ask<T>(
    (directory, path, flags): (i32, &[u8], u32),
    file: impl FnOnce(&Description) -> Result<T, Errno>,
    node: impl FnOnce(&NodeRef, &Mount) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let itself = path.is_empty() && flags & EMPTY_PATH != 0;
    if itself && directory != AT_FDCWD {
        return file(&*TABLE.get(directory)?);
    }
    let context = context()?;
    if itself {
        // Without a walk, which would ask for the right to search it.
        return node(&context.working.node, &context.working.mount);
    }
    let base = base(directory, path)?;
    let follow = follow(flags & SYMLINK_NOFOLLOW == 0);
    context.look_at((base.as_ref(), path, follow), node)
}

fn metadata(directory: i32, path: &[u8], flags: u32) -> Result<Metadata, Errno> {
    let node = |node: &NodeRef, _: &Mount| node.metadata();
    ask((directory, path, flags), |file| file.file().metadata(), node)
}

/// Metadata of a file (stat(2)).
#[syscall]
fn stat(path: CStrPtr, result: UserOut<Stat>) -> Result<(), Errno> {
    result.write(Stat::from(&metadata(AT_FDCWD, path.path()?, 0)?));
    Ok(())
}

/// Metadata of a file, or of a link itself (lstat(2)).
#[syscall]
fn lstat(path: CStrPtr, result: UserOut<Stat>) -> Result<(), Errno> {
    result.write(Stat::from(&metadata(AT_FDCWD, path.path()?, SYMLINK_NOFOLLOW)?));
    Ok(())
}

/// Metadata of an open file (fstat(2)).
#[syscall]
fn fstat(fd: i32, result: UserOut<Stat>) -> Result<(), Errno> {
    result.write(Stat::from(&TABLE.get(fd)?.file().metadata()?));
    Ok(())
}

/// Metadata of a file (fstatat(2)).
#[syscall]
fn newfstatat(
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    result: UserOut<Stat>,
    #[trace(AtFlags)] flags: u32,
) -> Result<(), Errno> {
    check(flags, SYMLINK_NOFOLLOW | NO_AUTOMOUNT | EMPTY_PATH)?;
    result.write(Stat::from(&metadata(directory, path.path()?, flags)?));
    Ok(())
}

/// `struct statx_timestamp`
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct StatxTime {
    seconds: i64,
    nanoseconds: u32,
    _pad: i32,
}

/// `struct statx`
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct Statx {
    #[trace(StatxMask)]
    mask: u32,
    #[trace(_)]
    block_size: u32,
    attributes: u64,
    links: u32,
    user: u32,
    group: u32,
    #[trace(FileMode)]
    mode: u16,
    _pad: u16,
    inode: u64,
    size: u64,
    #[trace(_)]
    blocks: u64,
    #[trace(_)]
    attributes_mask: u64,
    #[trace(_)]
    accessed: StatxTime,
    created: StatxTime,
    #[trace(_)]
    changed: StatxTime,
    modified: StatxTime,
    special: [u32; 2],
    #[trace(_)]
    device: [u32; 2],
    mount: u64,
    #[trace(_)]
    direct: [u32; 2],
    _spare: [u64; 12],
}

/// `STATX_BASIC_STATS | STATX_MNT_ID`
const TOLD: u32 = 0x7ff | 0x1000;
/// `STATX_BTIME`
const BIRTH: u32 = 0x800;
/// `STATX__RESERVED`
const RESERVED: u32 = 1 << 31;
/// `STATX_ATTR_MOUNT_ROOT`
const MOUNT_ROOT: u64 = 0x2000;

/// Metadata of a file, with its time of birth where that is known (statx(2)).
#[syscall]
fn statx(
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    #[trace(AtFlags)] flags: u32,
    #[trace(StatxMask)] mask: u32,
    result: UserOut<Statx>,
) -> Result<(), Errno> {
    check(flags, SYMLINK_NOFOLLOW | NO_AUTOMOUNT | EMPTY_PATH | STATX_SYNC)?;
    if mask & RESERVED != 0 || flags & STATX_SYNC == STATX_SYNC {
        return Err(Errno::EINVAL);
    }
    let (from, mount, is_mount_root) = ask(
        (directory, path.path()?, flags),
        |file| {
            let at = vfs::location_of(file);
            let (mount, is_mount_root) =
                at.map_or((0, false), |at| (at.mount.id(), at.is_mount_root()));
            Ok((file.file().metadata()?, mount, is_mount_root))
        },
        |node, mount| Ok((node.metadata()?, mount.id(), vfs::same(node, mount.root()))),
    )?;
    let time = |t: Timestamp| StatxTime { seconds: t.seconds, nanoseconds: t.nanoseconds, _pad: 0 };
    result.write(Statx {
        mask: TOLD | if from.created.is_some() { BIRTH } else { 0 },
        block_size: from.block_size,
        attributes: if is_mount_root { MOUNT_ROOT } else { 0 },
        links: from.links,
        user: from.user,
        group: from.group,
        mode: from.mode() as u16,
        _pad: 0,
        inode: from.inode,
        size: from.size,
        blocks: from.blocks,
        attributes_mask: MOUNT_ROOT,
        accessed: time(from.accessed),
        created: time(from.created.unwrap_or_default()),
        changed: time(from.changed),
        modified: time(from.modified),
        special: [major(from.special), minor(from.special)],
        device: [major(from.device), minor(from.device)],
        mount,
        direct: [0; 2],
        _spare: [0; 12],
    });
    Ok(())
}
