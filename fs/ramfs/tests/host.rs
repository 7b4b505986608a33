//! The same operations here and on the host's file system must have the same results.
//!
//! Paths are made of few names, so that operations meet each other. All happens far below the
//! root of a temporary folder, so that `..` never leaves it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use ramfs::{Limits, RamFs};
use rustix::fs::{self as host, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno as HostErrno;
use ukerrno::Errno;
use ukfile::{Description, Kind, Metadata, OpenFlags, Seek, Timestamp};
use vfs::{
    Allocate, Context, Credentials, Follow, Location, Mount, MountFlags, RenameFlags, SetTime,
};

/// More than symbolic links can go up.
const DEPTH: usize = 100;
/// A moment long ago that all times are set to, so that changes show.
const LONG_AGO: i64 = 1_000_000_000;
const SLOTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Open { at: At, path: String, flags: u32, mode: u16, slot: usize },
    Close { slot: usize },
    Read { slot: usize, length: usize },
    Write { slot: usize, length: usize },
    ReadAt { slot: usize, offset: i64, length: usize },
    WriteAt { slot: usize, offset: i64, length: usize },
    Seek { slot: usize, from: u8, by: i64 },
    Resize { slot: usize, size: i64 },
    Allocate { slot: usize, how: u8, offset: i64, length: i64 },
    Truncate { path: String, size: i64 },
    MakeDirectory { at: At, path: String, mode: u16 },
    MakeNode { at: At, path: String, kind: u8, mode: u16 },
    Symlink { target: String, at: At, path: String },
    Link { at: At, old: String, path: String, follow: bool },
    LinkSlot { slot: usize, path: String },
    Unlink { at: At, path: String },
    RemoveDirectory { at: At, path: String },
    Rename { from_at: At, from: String, to_at: At, to: String, flags: u32 },
    ReadLink { path: String },
    Stat { at: At, path: String, follow: bool },
    StatSlot { slot: usize },
    List { slot: usize },
    SetMode { path: String, mode: u16 },
    SetTimes { path: String, seconds: i64 },
}

/// What a path starts from: the working directory or an open file.
type At = Option<usize>;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        10 => prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned),
        1 => Just(".".to_owned()),
        1 => Just("..".to_owned()),
        1 => (254usize..258).prop_map(|n| "n".repeat(n)),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let slashes = || prop::sample::select(vec!["/", "/", "/", "//"]);
    let end = prop::sample::select(vec!["", "", "", "", "", "/", "//"]);
    let long = prop::collection::vec((name(), slashes()), 1..4);
    let path = (long, end).prop_map(|(names, end)| {
        let mut path = String::new();
        for (index, (name, slash)) in names.iter().enumerate() {
            if index > 0 {
                path.push_str(slash);
            }
            path.push_str(name);
        }
        path.push_str(end);
        path
    });
    prop_oneof![40 => path, 1 => Just(String::new()), 1 => (4090usize..4100).prop_map(|n| "./".repeat(n / 2))]
}

fn target() -> impl Strategy<Value = String> {
    // One `..` at most; see DEPTH.
    prop_oneof![
        path().prop_filter("goes up too often", |p| p.matches("..").count() < 2),
        Just("../a".to_owned()),
        Just("a".to_owned()),
        Just("b/c".to_owned()),
    ]
}

fn at() -> impl Strategy<Value = At> {
    prop_oneof![4 => Just(None), 1 => (0..SLOTS).prop_map(Some)]
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![
        5 => 0i64..100,
        5 => 0i64..20_000,
        1 => Just(-1i64),
        1 => (1i64 << 40)..(1 << 41),
        // In its last page Linux finds no data.
        1 => Just(i64::MAX),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0usize..80, 1 => 0usize..10_000]
}

fn flags() -> impl Strategy<Value = u32> {
    let one = |flag: OpenFlags, weight: u32| prop_oneof![weight => Just(0), 1 => Just(flag.bits())];
    (
        0u32..4,
        prop_oneof![Just(0), Just(OpenFlags::CREATE.bits())],
        one(OpenFlags::EXCLUSIVE, 4),
        one(OpenFlags::TRUNCATE, 3),
        one(OpenFlags::APPEND, 4),
        one(OpenFlags::DIRECTORY, 6),
        one(OpenFlags::NO_FOLLOW, 5),
        one(OpenFlags::PATH, 8),
        one(OpenFlags::TEMPORARY | OpenFlags::DIRECTORY, 10),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i)| a | b | c | d | e | f | g | h | i)
}

fn mode() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0o644), Just(0o755), 0u16..0o10000]
}

fn step() -> impl Strategy<Value = Step> {
    let slot = || 0..SLOTS;
    let follow = any::<bool>;
    prop_oneof![
        6 => (at(), path(), flags(), mode(), slot())
            .prop_map(|(at, path, flags, mode, slot)| Step::Open { at, path, flags, mode, slot }),
        1 => slot().prop_map(|slot| Step::Close { slot }),
        2 => (slot(), length()).prop_map(|(slot, length)| Step::Read { slot, length }),
        3 => (slot(), length()).prop_map(|(slot, length)| Step::Write { slot, length }),
        2 => (slot(), offset(), length())
            .prop_map(|(slot, offset, length)| Step::ReadAt { slot, offset, length }),
        3 => (slot(), offset(), length())
            .prop_map(|(slot, offset, length)| Step::WriteAt { slot, offset, length }),
        2 => (slot(), 0u8..5, prop_oneof![offset(), -50i64..50])
            .prop_map(|(slot, from, by)| Step::Seek { slot, from, by }),
        2 => (slot(), offset()).prop_map(|(slot, size)| Step::Resize { slot, size }),
        2 => (slot(), 0u8..4, prop_oneof![Just(-1i64), 0i64..30_000], prop_oneof![Just(-1i64), 0i64..30_000])
            .prop_map(|(slot, how, offset, length)| Step::Allocate { slot, how, offset, length }),
        1 => (path(), offset()).prop_map(|(path, size)| Step::Truncate { path, size }),
        5 => (at(), path(), mode()).prop_map(|(at, path, mode)| Step::MakeDirectory { at, path, mode }),
        1 => (at(), path(), 0u8..4, mode())
            .prop_map(|(at, path, kind, mode)| Step::MakeNode { at, path, kind, mode }),
        3 => (target(), at(), path()).prop_map(|(target, at, path)| Step::Symlink { target, at, path }),
        3 => (at(), path(), path(), follow())
            .prop_map(|(at, old, path, follow)| Step::Link { at, old, path, follow }),
        1 => (slot(), path()).prop_map(|(slot, path)| Step::LinkSlot { slot, path }),
        3 => (at(), path()).prop_map(|(at, path)| Step::Unlink { at, path }),
        3 => (at(), path()).prop_map(|(at, path)| Step::RemoveDirectory { at, path }),
        6 => (at(), path(), at(), path(), prop_oneof![3 => Just(0u32), 3 => 0u32..4])
            .prop_map(|(from_at, from, to_at, to, flags)| Step::Rename { from_at, from, to_at, to, flags }),
        1 => path().prop_map(|path| Step::ReadLink { path }),
        2 => (at(), path(), follow()).prop_map(|(at, path, follow)| Step::Stat { at, path, follow }),
        1 => slot().prop_map(|slot| Step::StatSlot { slot }),
        2 => slot().prop_map(|slot| Step::List { slot }),
        1 => (path(), mode()).prop_map(|(path, mode)| Step::SetMode { path, mode }),
        1 => (path(), offset()).prop_map(|(path, seconds)| Step::SetTimes { path, seconds }),
    ]
}

/// What both sides are compared by.
type Outcome = Result<String, i32>;

fn bytes(length: usize, salt: u64) -> Vec<u8> {
    (0..length as u64).map(|n| (n.wrapping_mul(31) ^ salt ^ n >> 8) as u8).collect()
}

/// Positions in directories are each system's own.
fn position_of(position: u64, directory: bool) -> String {
    if directory { String::new() } else { position.to_string() }
}

struct Host {
    base: OwnedFd,
    slots: [Option<OwnedFd>; SLOTS],
    in_memory: bool,
    _folder: tempfile::TempDir,
}

struct Ours {
    context: Context,
    slots: [Option<Arc<Description>>; SLOTS],
}

fn base_path() -> Vec<u8> {
    b"d/".repeat(DEPTH)
}

impl Host {
    fn new() -> Self {
        // Best is the file system that ours is to be like.
        let shm = std::path::Path::new("/dev/shm");
        let is_tmpfs = |path| host::statfs(path).is_ok_and(|s| s.f_type == 0x0102_1994);
        let folder = if is_tmpfs(shm) {
            tempfile::tempdir_in(shm).or_else(|_| tempfile::tempdir()).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let in_memory = is_tmpfs(folder.path());
        let base = folder.path().join(PathBuf::from(OsStr::from_bytes(&base_path())));
        std::fs::create_dir_all(&base).unwrap();
        let base = host::open(&base, OFlags::PATH, Mode::empty()).unwrap();
        Self { base, slots: Default::default(), in_memory, _folder: folder }
    }

    fn at(&self, at: At) -> Option<rustix::fd::BorrowedFd<'_>> {
        match at {
            None => Some(self.base.as_fd()),
            Some(slot) => self.slots[slot].as_ref().map(|fd| fd.as_fd()),
        }
    }

    fn slot(&self, slot: usize) -> Result<rustix::fd::BorrowedFd<'_>, HostErrno> {
        self.slots[slot].as_ref().map(|fd| fd.as_fd()).ok_or(HostErrno::BADF)
    }

    fn describe(&self, stat: &host::Stat) -> String {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let directory = kind == FileType::Directory;
        let size = if directory && !self.in_memory { -1 } else { stat.st_size };
        let blocks =
            if kind == FileType::RegularFile && self.in_memory { stat.st_blocks } else { 0 };
        let links = if directory && !self.in_memory { 0 } else { stat.st_nlink };
        format!(
            "{kind:?} {:o} links {links} size {size} blocks {blocks} {} {}",
            stat.st_mode & 0o7777,
            stat.st_atime == LONG_AGO,
            stat.st_mtime == LONG_AGO,
        )
    }

    fn run(&mut self, step: &Step, salt: u64) -> Result<String, HostErrno> {
        let base = self.base.as_fd();
        let at = |at: At| self.at(at).ok_or(HostErrno::BADF);
        let mode = |mode: u16| Mode::from_raw_mode(mode.into());
        let done = |()| String::new();
        match step {
            Step::Open { at: from, path, flags, mode: permissions, slot } => {
                let flags = OFlags::from_bits_retain(*flags) | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let fd = host::openat(at(*from)?, path.as_str(), flags, mode(*permissions))?;
                self.slots[*slot] = Some(fd);
                Ok(String::new())
            }
            Step::Close { slot } => {
                self.slots[*slot] = None;
                Ok(String::new())
            }
            Step::Read { slot, length } => {
                let mut buffer = vec![0; *length];
                let read = rustix::io::read(self.slot(*slot)?, &mut buffer[..])?;
                Ok(format!("{:?}", &buffer[..read]))
            }
            Step::Write { slot, length } => {
                let data = bytes(*length, salt);
                Ok(rustix::io::write(self.slot(*slot)?, &data)?.to_string())
            }
            Step::ReadAt { slot, offset, length } => {
                let mut buffer = vec![0; *length];
                let read = rustix::io::pread(self.slot(*slot)?, &mut buffer[..], *offset as u64)?;
                Ok(format!("{:?}", &buffer[..read]))
            }
            Step::WriteAt { slot, offset, length } => {
                let data = bytes(*length, salt);
                Ok(rustix::io::pwrite(self.slot(*slot)?, &data, *offset as u64)?.to_string())
            }
            Step::Seek { slot, from, by } => {
                let to = match from {
                    0 => host::SeekFrom::Start(*by as u64),
                    1 => host::SeekFrom::Current(*by),
                    2 => host::SeekFrom::End(*by),
                    3 => host::SeekFrom::Data(*by as u64),
                    _ => host::SeekFrom::Hole(*by as u64),
                };
                let position = host::seek(self.slot(*slot)?, to)?;
                let kind = FileType::from_raw_mode(host::fstat(self.slot(*slot)?)?.st_mode);
                Ok(position_of(position, kind == FileType::Directory))
            }
            Step::Resize { slot, size } => {
                host::ftruncate(self.slot(*slot)?, *size as u64).map(done)
            }
            Step::Allocate { slot, how, offset, length } => {
                let flags = match how {
                    0 => host::FallocateFlags::empty(),
                    1 => host::FallocateFlags::KEEP_SIZE,
                    2 => host::FallocateFlags::PUNCH_HOLE | host::FallocateFlags::KEEP_SIZE,
                    _ => host::FallocateFlags::COLLAPSE_RANGE,
                };
                let (offset, length) = (*offset as u64, *length as u64);
                host::fallocate(self.slot(*slot)?, flags, offset, length).map(done)
            }
            Step::Truncate { path, size } => {
                // There is no truncateat.
                let fd = host::openat(base, path.as_str(), OFlags::PATH, Mode::empty())?;
                let kind = FileType::from_raw_mode(host::fstat(&fd)?.st_mode);
                if *size < 0 {
                    return Err(HostErrno::INVAL);
                }
                match kind {
                    FileType::RegularFile => {}
                    FileType::Directory => return Err(HostErrno::ISDIR),
                    _ => return Err(HostErrno::INVAL),
                }
                let flags = OFlags::WRONLY | OFlags::NONBLOCK;
                let fd = host::openat(base, path.as_str(), flags, Mode::empty())?;
                host::ftruncate(&fd, *size as u64).map(done)
            }
            Step::MakeDirectory { at: from, path, mode: permissions } => {
                host::mkdirat(at(*from)?, path.as_str(), mode(*permissions)).map(done)
            }
            Step::MakeNode { at: from, path, kind, mode: permissions } => {
                let kind =
                    [FileType::RegularFile, FileType::Fifo, FileType::Socket, FileType::Directory]
                        [*kind as usize];
                host::mknodat(at(*from)?, path.as_str(), kind, mode(*permissions), 0).map(done)
            }
            Step::Symlink { target, at: from, path } => {
                host::symlinkat(target.as_str(), at(*from)?, path.as_str()).map(done)
            }
            Step::Link { at: from, old, path, follow } => {
                let flags = if *follow { AtFlags::SYMLINK_FOLLOW } else { AtFlags::empty() };
                host::linkat(at(*from)?, old.as_str(), base, path.as_str(), flags).map(done)
            }
            Step::LinkSlot { slot, path } => {
                host::linkat(self.slot(*slot)?, "", base, path.as_str(), AtFlags::EMPTY_PATH)
                    .map(done)
            }
            Step::Unlink { at: from, path } => {
                host::unlinkat(at(*from)?, path.as_str(), AtFlags::empty()).map(done)
            }
            Step::RemoveDirectory { at: from, path } => {
                host::unlinkat(at(*from)?, path.as_str(), AtFlags::REMOVEDIR).map(done)
            }
            Step::Rename { from_at, from, to_at, to, flags } => {
                let flags = host::RenameFlags::from_bits_retain(*flags);
                host::renameat_with(at(*from_at)?, from.as_str(), at(*to_at)?, to.as_str(), flags)
                    .map(done)
            }
            Step::ReadLink { path } => {
                let target = host::readlinkat(base, path.as_str(), Vec::new())?;
                Ok(format!("{target:?}"))
            }
            Step::Stat { at: from, path, follow } => {
                let flags = if *follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
                Ok(self.describe(&host::statat(at(*from)?, path.as_str(), flags)?))
            }
            Step::StatSlot { slot } => Ok(self.describe(&host::fstat(self.slot(*slot)?)?)),
            Step::List { slot } => self.list(self.slot(*slot)?),
            Step::SetMode { path, mode: permissions } => {
                host::chmodat(base, path.as_str(), mode(*permissions), AtFlags::empty()).map(done)
            }
            Step::SetTimes { path, seconds } => {
                host::utimensat(base, path.as_str(), &times(*seconds), AtFlags::SYMLINK_NOFOLLOW)
                    .map(done)
            }
        }
    }

    /// The directory read from its start.
    fn list(&self, fd: rustix::fd::BorrowedFd<'_>) -> Result<String, HostErrno> {
        host::seek(fd, host::SeekFrom::Start(0))?;
        let mut names = Vec::new();
        let mut buffer = Vec::with_capacity(8192);
        let mut entries = host::RawDir::new(fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            names.push((entry.file_name().to_bytes().to_vec(), format!("{:?}", entry.file_type())));
        }
        names.sort();
        Ok(format!("{names:?}"))
    }

    /// All that is there, with its metadata; sets all times.
    fn tree(&self, at: &OwnedFd, path: &str, out: &mut Vec<String>) {
        let mut buffer = Vec::with_capacity(8192);
        let mut names = Vec::new();
        let mut entries = host::RawDir::new(at, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let name = entry.unwrap().file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            let stat = host::statat(at, &name[..], AtFlags::SYMLINK_NOFOLLOW).unwrap();
            let shown = format!("{path}/{}", String::from_utf8_lossy(&name));
            out.push(format!("{shown}: {}", self.describe(&stat)));
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory
                && let Ok(below) = host::openat(at, &name[..], OFlags::DIRECTORY, Mode::empty())
            {
                self.tree(&below, &shown, out);
            }
            host::utimensat(at, &name[..], &times(LONG_AGO), AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
    }
}

fn times(seconds: i64) -> host::Timestamps {
    let time = host::Timespec { tv_sec: seconds, tv_nsec: 0 };
    host::Timestamps { last_access: time, last_modification: time }
}

impl Ours {
    fn new() -> Self {
        let fs = RamFs::new(Limits::default()).unwrap();
        let mount = Mount::new(fs, b"none", MountFlags::empty()).unwrap();
        let mut context = Context::new(Location::root_of(mount));
        let mut path = Vec::new();
        for _ in 0..DEPTH {
            path.extend_from_slice(b"d/");
            context.make_directory(None, &path, 0o755).unwrap();
        }
        context.credentials = Credentials {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            groups: None,
        };
        let base = context.resolve(None, &path, Follow::Yes).unwrap();
        // Made by user 0; the temporary folder belongs to whoever runs the tests.
        Context::new(context.root.clone())
            .set_owner(&base, Some(context.credentials.user), Some(context.credentials.group))
            .unwrap();
        context.working = base;
        Self { context, slots: Default::default() }
    }

    fn at(&self, at: At) -> Result<Option<Location>, Errno> {
        match at {
            None => Ok(None),
            Some(slot) => Ok(Some(self.slot(slot)?.1)),
        }
    }

    fn slot(&self, slot: usize) -> Result<(&Arc<Description>, Location), Errno> {
        let file = self.slots[slot].as_ref().ok_or(Errno::EBADF)?;
        let location = vfs::location_of(file).ok_or(Errno::EBADF)?;
        Ok((file, location.clone()))
    }

    fn describe(&self, metadata: &Metadata, host_in_memory: bool) -> String {
        let directory = metadata.kind == Kind::Directory;
        let kind = match metadata.kind {
            Kind::Fifo => FileType::Fifo,
            Kind::CharacterDevice => FileType::CharacterDevice,
            Kind::Directory => FileType::Directory,
            Kind::BlockDevice => FileType::BlockDevice,
            Kind::Regular => FileType::RegularFile,
            Kind::Symlink => FileType::Symlink,
            Kind::Socket => FileType::Socket,
        };
        let size = if directory && !host_in_memory { -1 } else { metadata.size as i64 };
        let regular = metadata.kind == Kind::Regular;
        let blocks = if regular && host_in_memory { metadata.blocks } else { 0 };
        let links = if directory && !host_in_memory { 0 } else { metadata.links };
        format!(
            "{kind:?} {:o} links {links} size {size} blocks {blocks} {} {}",
            metadata.permissions,
            metadata.accessed.seconds == LONG_AGO,
            metadata.modified.seconds == LONG_AGO,
        )
    }

    fn run(&mut self, step: &Step, salt: u64, in_memory: bool) -> Result<String, Errno> {
        let context = &self.context;
        let at = |at: At| self.at(at);
        let follow = |yes: bool| if yes { Follow::Yes } else { Follow::No };
        let done = |()| String::new();
        let none = OpenFlags::empty();
        match step {
            Step::Open { at: from, path, flags, mode, slot } => {
                let flags = OpenFlags::from_bits_retain(*flags) | OpenFlags::NONBLOCK;
                let file = context.open(at(*from)?.as_ref(), path.as_bytes(), flags, *mode)?;
                self.slots[*slot] = Some(file);
                Ok(String::new())
            }
            Step::Close { slot } => {
                self.slots[*slot] = None;
                Ok(String::new())
            }
            Step::Read { slot, length } => {
                let mut buffer = vec![0; *length];
                let read = self.slot(*slot)?.0.read(&mut [&mut buffer])?;
                Ok(format!("{:?}", &buffer[..read]))
            }
            Step::Write { slot, length } => {
                Ok(self.slot(*slot)?.0.write(&[&bytes(*length, salt)])?.to_string())
            }
            Step::ReadAt { slot, offset, length } => {
                let mut buffer = vec![0; *length];
                let file = self.slot(*slot)?.0;
                let read = file.read_at(*offset as u64, &mut [&mut buffer], none)?;
                Ok(format!("{:?}", &buffer[..read]))
            }
            Step::WriteAt { slot, offset, length } => {
                let data = bytes(*length, salt);
                // In two pieces, as `pwritev` has them.
                let (one, two) = data.split_at(data.len() / 3);
                let file = self.slot(*slot)?.0;
                Ok(file.write_at(*offset as u64, &[one, two], none)?.to_string())
            }
            Step::Seek { slot, from, by } => {
                let to = match from {
                    0 => Seek::Start(*by),
                    1 => Seek::Current(*by),
                    2 => Seek::End(*by),
                    3 => Seek::Data(*by),
                    _ => Seek::Hole(*by),
                };
                let (file, location) = self.slot(*slot)?;
                let position = file.seek(to)?;
                Ok(position_of(position, location.node.kind() == Kind::Directory))
            }
            Step::Resize { slot, size } => vfs::resize_open(self.slot(*slot)?.0, *size).map(done),
            Step::Allocate { slot, how, offset, length } => {
                let how = match how {
                    0 => Allocate::Reserve { keep_size: false },
                    1 => Allocate::Reserve { keep_size: true },
                    2 => Allocate::PunchHole,
                    _ => Allocate::Collapse,
                };
                vfs::allocate_open(self.slot(*slot)?.0, how, *offset, *length).map(done)
            }
            Step::Truncate { path, size } => {
                let location = context.resolve(None, path.as_bytes(), Follow::Yes)?;
                context.set_size(&location, *size).map(done)
            }
            Step::MakeDirectory { at: from, path, mode } => {
                context.make_directory(at(*from)?.as_ref(), path.as_bytes(), *mode).map(done)
            }
            Step::MakeNode { at: from, path, kind, mode } => {
                let kind =
                    [Kind::Regular, Kind::Fifo, Kind::Socket, Kind::Directory][*kind as usize];
                context.make_node(at(*from)?.as_ref(), path.as_bytes(), kind, *mode, 0).map(done)
            }
            Step::Symlink { target, at: from, path } => context
                .make_symlink(target.as_bytes(), at(*from)?.as_ref(), path.as_bytes())
                .map(done),
            Step::Link { at: from, old, path, follow: yes } => {
                let old = context.resolve(at(*from)?.as_ref(), old.as_bytes(), follow(*yes))?;
                context.make_link(&old, None, path.as_bytes()).map(done)
            }
            Step::LinkSlot { slot, path } => {
                let old = self.slot(*slot)?.1;
                context.make_link(&old, None, path.as_bytes()).map(done)
            }
            Step::Unlink { at: from, path } => {
                context.unlink(at(*from)?.as_ref(), path.as_bytes()).map(done)
            }
            Step::RemoveDirectory { at: from, path } => {
                context.remove_directory(at(*from)?.as_ref(), path.as_bytes()).map(done)
            }
            Step::Rename { from_at, from, to_at, to, flags } => {
                let (from_at, to_at) = (at(*from_at)?, at(*to_at)?);
                let flags = RenameFlags::from_bits_retain(*flags);
                context
                    .rename(
                        (from_at.as_ref(), from.as_bytes()),
                        (to_at.as_ref(), to.as_bytes()),
                        flags,
                    )
                    .map(done)
            }
            Step::ReadLink { path } => {
                let target = context.read_link(None, path.as_bytes())?;
                Ok(format!("{:?}", std::ffi::CString::new(&*target).unwrap()))
            }
            Step::Stat { at: from, path, follow: yes } => {
                let metadata =
                    context.metadata(at(*from)?.as_ref(), path.as_bytes(), follow(*yes))?;
                Ok(self.describe(&metadata, in_memory))
            }
            Step::StatSlot { slot } => {
                let metadata = self.slot(*slot)?.0.file().metadata()?;
                Ok(self.describe(&metadata, in_memory))
            }
            Step::List { slot } => {
                let file = self.slot(*slot)?.0;
                file.seek(Seek::Start(0))?;
                let mut names = list(file)?;
                names.sort();
                Ok(format!("{names:?}"))
            }
            Step::SetMode { path, mode } => {
                let location = context.resolve(None, path.as_bytes(), Follow::Yes)?;
                context.set_permissions(&location, *mode).map(done)
            }
            Step::SetTimes { path, seconds } => {
                let location = context.resolve(None, path.as_bytes(), Follow::No)?;
                let time = SetTime::To(Timestamp { seconds: *seconds, nanoseconds: 0 });
                context.set_times(&location, time, time).map(done)
            }
        }
    }

    fn tree(&self, at: &Location, path: &str, in_memory: bool, out: &mut Vec<String>) {
        let mut names = Vec::new();
        at.node
            .list(2, &mut |entry| {
                names.push(entry.name.to_vec());
                true
            })
            .unwrap();
        names.sort();
        for name in names {
            let location = self.context.resolve(Some(at), &name, Follow::No).unwrap();
            let metadata = location.node.metadata().unwrap();
            let shown = format!("{path}/{}", String::from_utf8_lossy(&name));
            out.push(format!("{shown}: {}", self.describe(&metadata, in_memory)));
            let flags = OpenFlags::DIRECTORY;
            if metadata.kind == Kind::Directory
                && self.context.open(Some(at), &name, flags, 0).is_ok()
            {
                self.tree(&location, &shown, in_memory, out);
            }
            let time = SetTime::To(Timestamp { seconds: LONG_AGO, nanoseconds: 0 });
            self.context.set_times(&location, time, time).unwrap();
        }
    }
}

fn list(file: &Description) -> Result<Vec<(Vec<u8>, String)>, Errno> {
    let mut names = Vec::new();
    vfs::list_open(file, &mut |entry| {
        let kind = match entry.kind {
            Kind::Regular => "RegularFile",
            Kind::Directory => "Directory",
            Kind::Symlink => "Symlink",
            Kind::Fifo => "Fifo",
            Kind::Socket => "Socket",
            Kind::CharacterDevice => "CharacterDevice",
            Kind::BlockDevice => "BlockDevice",
        };
        names.push((entry.name.to_vec(), kind.to_string()));
        true
    })?;
    Ok(names)
}

fn compare(steps: &[Step]) -> Result<(), TestCaseError> {
    // Permissions of new files are compared as they are asked for.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let (mut host, mut ours) = (Host::new(), Ours::new());
    let in_memory = host.in_memory;
    for (index, step) in steps.iter().enumerate() {
        let salt = index as u64 * 7;
        let theirs: Outcome = host.run(step, salt).map_err(|e| e.raw_os_error());
        let mine: Outcome = ours.run(step, salt, in_memory).map_err(|e| e.number().into());
        prop_assert_eq!(&mine, &theirs, "step {}: {:?}\nleft: here, right: the host", index, step);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let base = host::openat(&host.base, ".", OFlags::DIRECTORY, Mode::empty());
        if let Ok(base) = base {
            host.tree(&base, "", &mut b);
            ours.tree(&ours.context.working.clone(), "", in_memory, &mut a);
        }
        prop_assert_eq!(a, b, "after step {}: {:?}\nleft: here, right: the host", index, step);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_host_gives_the_same_results(steps in prop::collection::vec(step(), 1..60)) {
        compare(&steps)?;
    }
}
