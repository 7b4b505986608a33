//! Mounts, and what file systems tell of themselves.

use alloc::sync::Arc;

use fdtab::TABLE;
use syscall_shim::{
    CStrPtr, Hexadecimal, MountOptions, Plain, StatusFlags, UnmountFlags, UserOut, syscall,
};
use ukerrno::Errno;
use ukfile::Kind;
use vfs::{Follow, Location, Mount, MountFlags, Statistics};

use crate::process::context;

/// `MS_REMOUNT`, `MS_BIND`
const REMOUNT: u64 = 32;
const BIND: u64 = 4096;
const STRICT_ATIME: u64 = 1 << 24;
/// `MS_MANDLOCK`, `MS_DIRSYNC`, `MS_REC`, `MS_SILENT`, `MS_LAZYTIME`: nothing depends on them.
const IGNORED: u64 = 64 | 128 | 16384 | 32768 | STRICT_ATIME | (1 << 25);
/// `MS_MGC_VAL`, in the upper half of what old programs pass.
const MAGIC: u64 = 0xc0ed_0000;
const MAGIC_MASK: u64 = 0xffff_0000;
/// `MNT_FORCE`, `MNT_DETACH`, `MNT_EXPIRE`, `UMOUNT_NOFOLLOW`
const FORCE: u32 = 1;
const DETACH: u32 = 2;
const NO_FOLLOW: u32 = 8;

/// Mounts a file system, or a part of the tree, at a directory (mount(2)).
#[syscall]
fn mount(
    source: Option<CStrPtr>,
    target: CStrPtr,
    kind: Option<CStrPtr>,
    #[trace(MountOptions)] flags: u64,
    options: Option<CStrPtr>,
) -> Result<(), Errno> {
    let context = context()?;
    if !context.credentials.is_root() {
        return Err(Errno::EPERM);
    }
    let flags = if flags & MAGIC_MASK == MAGIC { flags & !MAGIC_MASK } else { flags };
    let bind = flags & BIND != 0;
    let source = source.map_or(&b"none"[..], CStrPtr::as_bytes);
    let at = context.resolve(None, target.path()?, Follow::Yes)?;
    let known = MountFlags::from_bits_truncate((flags & u64::from(u32::MAX)) as u32);
    if flags & !(u64::from(known.bits()) | REMOUNT | BIND | IGNORED) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & REMOUNT != 0 {
        if !at.is_mount_root() {
            return Err(Errno::EINVAL);
        }
        let flags = with_kept(known, at.mount.flags(), flags);
        return if bind { at.mount.remount(flags) } else { at.mount.remount_whole(flags) };
    }
    let new = if bind {
        let from = context.resolve(None, source, Follow::Yes)?;
        if (from.node.kind() == Kind::Directory) != (at.node.kind() == Kind::Directory) {
            return Err(Errno::ENOTDIR);
        }
        from.mount.bind(from.node, source)?
    } else {
        if at.node.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        let kind = kind.ok_or(Errno::EINVAL)?.as_bytes();
        Mount::open(kind, source, options.map_or(&b""[..], CStrPtr::as_bytes), known)?
    };
    at.mount(&new)
}

/// What a mount has after `MS_REMOUNT`: as on Linux, how reading is noted stays unless the call says how, and
/// with `MS_BIND` what is a matter of the whole file system.
fn with_kept(new: MountFlags, old: MountFlags, call: u64) -> MountFlags {
    const NOTING: MountFlags = MountFlags::NO_ATIME
        .union(MountFlags::NO_DIRECTORY_ATIME)
        .union(MountFlags::RELATIVE_ATIME);
    let mut kept = MountFlags::empty();
    if call & STRICT_ATIME == 0 && !new.intersects(NOTING) {
        kept |= old & NOTING;
    }
    if call & BIND != 0 {
        kept |= old & MountFlags::SYNCHRONOUS;
    }
    new | kept
}

/// Takes a mount away (umount2(2)).
#[syscall]
fn umount2(target: CStrPtr, #[trace(UnmountFlags)] flags: u32) -> Result<(), Errno> {
    if flags & !(FORCE | DETACH | NO_FOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let follow = if flags & NO_FOLLOW != 0 { Follow::No } else { Follow::Yes };
    let context = context()?;
    if !context.credentials.is_root() {
        return Err(Errno::EPERM);
    }
    let at = context.resolve(None, target.path()?, follow)?;
    drop(context);
    at.unmount(flags & DETACH != 0)
}

/// `struct statfs`
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct StatFs {
    #[trace(Hexadecimal)]
    magic: u64,
    block_size: u64,
    blocks: u64,
    free: u64,
    available: u64,
    nodes: u64,
    free_nodes: u64,
    id: u64,
    name_length: u64,
    fragment: u64,
    #[trace(StatusFlags)]
    flags: u64,
    _spare: [u64; 4],
}

/// Properties of a mount as `statfs` words them, with `ST_VALID`.
fn status_flags(mount: &Mount) -> u64 {
    let flags = mount.flags();
    let mut told = VALID;
    for (flag, bit) in [
        (MountFlags::READ_ONLY, 1),
        (MountFlags::NO_SUID, 2),
        (MountFlags::NO_DEVICES, 4),
        (MountFlags::NO_EXECUTE, 8),
        (MountFlags::SYNCHRONOUS, 16),
        (MountFlags::NO_ATIME, 1024),
        (MountFlags::NO_DIRECTORY_ATIME, 2048),
        (MountFlags::RELATIVE_ATIME, 4096),
    ] {
        if flags.contains(flag) {
            told |= bit;
        }
    }
    told
}

/// `ST_VALID`
const VALID: u64 = 0x20;

/// Numbers of Linux's kinds of file systems that are nowhere in the tree (`linux/magic.h`).
fn magic_of(kind: Kind) -> u64 {
    match kind {
        Kind::Fifo => 0x5049_5045,
        Kind::Socket => 0x534f_434b,
        // As devtmpfs.
        Kind::CharacterDevice | Kind::BlockDevice => 0x0102_1994,
        // That of event descriptors.
        _ => 0x0904_1934,
    }
}

fn tell(location: &Location, result: UserOut<StatFs>) -> Result<(), Errno> {
    let mount: &Arc<Mount> = &location.mount;
    let from = mount.file_system().statistics()?;
    let device = location.mount.root().metadata()?.device;
    write(&from, device, status_flags(mount), result);
    Ok(())
}

fn write(from: &Statistics, device: u64, flags: u64, result: UserOut<StatFs>) {
    result.write(StatFs {
        magic: from.magic,
        block_size: from.block_size,
        blocks: from.blocks,
        free: from.free,
        available: from.available,
        nodes: from.nodes,
        free_nodes: from.free_nodes,
        id: device,
        name_length: from.name_length,
        fragment: from.block_size,
        flags,
        _spare: [0; 4],
    });
}

/// What a file system tells of itself (statfs(2)).
#[syscall]
fn statfs(path: CStrPtr, result: UserOut<StatFs>) -> Result<(), Errno> {
    tell(&context()?.resolve(None, path.path()?, Follow::Yes)?, result)
}

/// What the file system of an open file tells of itself (fstatfs(2)).
#[syscall]
fn fstatfs(fd: i32, result: UserOut<StatFs>) -> Result<(), Errno> {
    let file = TABLE.get(fd)?;
    if let Some(location) = vfs::location_of(&file) {
        return tell(location, result);
    }
    // Pipes and the like, as Linux's simple_statfs() has it.
    let metadata = file.file().metadata()?;
    let from = Statistics {
        magic: magic_of(metadata.kind),
        block_size: 4096,
        name_length: 255,
        ..Statistics::default()
    };
    write(&from, metadata.device, VALID, result);
    Ok(())
}
