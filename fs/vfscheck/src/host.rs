//! The host's side.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self as host, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno as HostErrno;

use crate::steps::{At, Step};
use crate::{LONG_AGO, SLOTS, base_path, bytes, position_of};

/// Whether files there are on a tmpfs.
fn is_in_memory(path: &Path) -> bool {
    host::statfs(path).is_ok_and(|s| s.f_type == 0x0102_1994)
}

/// A temporary folder, on the file system that ours is to be like where there is one.
pub fn folder() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    if is_in_memory(shm) {
        tempfile::tempdir_in(shm).or_else(|_| tempfile::tempdir()).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

pub struct Host {
    pub base: OwnedFd,
    slots: [Option<OwnedFd>; SLOTS],
    pub in_memory: bool,
    _folder: tempfile::TempDir,
}

impl Host {
    pub fn new() -> Self {
        let folder = folder();
        let in_memory = is_in_memory(folder.path());
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

    pub fn run(&mut self, step: &Step, salt: u64) -> Result<String, HostErrno> {
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
    pub fn tree(&self, at: &OwnedFd, path: &str, out: &mut Vec<String>) {
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
