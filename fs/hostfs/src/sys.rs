//! The system calls of Linux that this crate uses, as safe functions (numbers from Linux's
//! `arch/x86/entry/syscalls/syscall_64.tbl`, structures from its `include/uapi`).

use core::arch::asm;
use core::ffi::CStr;

use ukerrno::{Errno, from_raw};
use ukfile::{Kind, Metadata, Timestamp};
use vfs::{LockKind, RangeLock, Statistics};

mod nr {
    pub const CLOSE: usize = 3;
    pub const LSEEK: usize = 8;
    pub const FSYNC: usize = 74;
    pub const FDATASYNC: usize = 75;
    pub const FTRUNCATE: usize = 77;
    pub const CAPGET: usize = 125;
    pub const FSTATFS: usize = 138;
    pub const GETDENTS64: usize = 217;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const MKNODAT: usize = 259;
    pub const FCHOWNAT: usize = 260;
    pub const UNLINKAT: usize = 263;
    pub const LINKAT: usize = 265;
    pub const SYMLINKAT: usize = 266;
    pub const READLINKAT: usize = 267;
    pub const FCHMODAT: usize = 268;
    pub const UTIMENSAT: usize = 280;
    pub const FALLOCATE: usize = 285;
    pub const PREADV: usize = 295;
    pub const SYNCFS: usize = 306;
    pub const RENAMEAT2: usize = 316;
    pub const PWRITEV2: usize = 328;
    pub const STATX: usize = 332;
    pub const OPENAT2: usize = 437;
    pub const FCNTL: usize = 72;
}

/// The numbers of the system calls that this crate makes once a file system is open, for filters.
pub const SYSTEM_CALLS: [usize; 26] = [
    nr::CLOSE,
    nr::LSEEK,
    nr::FSYNC,
    nr::FDATASYNC,
    nr::FTRUNCATE,
    nr::CAPGET,
    nr::FSTATFS,
    nr::GETDENTS64,
    nr::OPENAT,
    nr::MKDIRAT,
    nr::MKNODAT,
    nr::FCHOWNAT,
    nr::UNLINKAT,
    nr::LINKAT,
    nr::SYMLINKAT,
    nr::READLINKAT,
    nr::FCHMODAT,
    nr::UTIMENSAT,
    nr::FALLOCATE,
    nr::PREADV,
    nr::SYNCFS,
    nr::RENAMEAT2,
    nr::PWRITEV2,
    nr::STATX,
    nr::OPENAT2,
    nr::FCNTL,
];

pub const RENAME_NOREPLACE: usize = 1;
pub const RENAME_EXCHANGE: usize = 2;

pub const O_RDWR: usize = 2;
pub const O_CREAT: usize = 0o100;
pub const O_EXCL: usize = 0o200;
pub const O_NONBLOCK: usize = 0o4000;
pub const O_DIRECTORY: usize = 0o200000;
pub const O_NOFOLLOW: usize = 0o400000;
pub const O_CLOEXEC: usize = 0o2000000;
pub const O_PATH: usize = 0o10000000;
pub const O_TMPFILE: usize = 0o20000000 | O_DIRECTORY;

const AT_FDCWD: usize = -100isize as usize;
const AT_SYMLINK_FOLLOW: usize = 0x400;
const AT_EMPTY_PATH: usize = 0x1000;
const AT_SYMLINK_NOFOLLOW: usize = 0x100;
pub const AT_REMOVEDIR: usize = 0x200;
/// `RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH`
const RESOLVE: u64 = 0x2 | 0x4 | 0x8;
const RWF_APPEND: usize = 0x10;
/// `STATX_BASIC_STATS | STATX_BTIME`
const STATX_BTIME: u32 = 0x800;
const STATX_MASK: usize = 0x7ff | STATX_BTIME as usize;

/// Makes a system call; negative results are `-errno`.
///
/// # Safety
/// As the call itself: pointers must be valid for what the kernel does with them.
// What is in this section the host takes for the platform's, where programs make calls of their own.
#[cfg_attr(feature = "trap", inline(never), unsafe(link_section = ".text.host_calls"))]
#[cfg_attr(not(feature = "trap"), inline)]
unsafe fn call_once(number: usize, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel keeps all registers but rax, rcx and r11; what it does with memory is
    // the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes a system call, again when a signal interrupts it.
///
/// # Safety
/// As the call itself: pointers must be valid for what the kernel does with them.
unsafe fn call(number: usize, args: [usize; 6]) -> Result<usize, Errno> {
    loop {
        // SAFETY: the caller's promise.
        match from_raw(unsafe { call_once(number, args) }) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// `_LINUX_CAPABILITY_VERSION_3`, and the calling thread.
const CAPABILITIES_HEADER: [u32; 2] = [0x2008_0522, 0];

/// Whether what the calling thread writes to keeps set-user-ID and set-group-ID. Else the host takes
/// them away, by which a file gets another content.
pub fn keeps_set_id() -> bool {
    /// `CAP_FSETID`
    const BIT: u32 = 1 << 4;
    // Written too: the version, when the host does not know it.
    let mut header = CAPABILITIES_HEADER;
    // Twice: effective, permitted, inheritable ones.
    let mut sets = [0u32; 6];
    let args = [&raw mut header as usize, &raw mut sets as usize, 0, 0, 0, 0];
    // SAFETY: two words are read and written, six written.
    let told = unsafe { call(nr::CAPGET, args) };
    told.is_err() || sets[0] & BIT != 0
}

/// A descriptor of the host; closed when dropped.
#[derive(Debug)]
pub struct Fd(i32);

impl Drop for Fd {
    fn drop(&mut self) {
        // Not repeated: Linux has closed it even when it says `EINTR`, which `call` would take for
        // a reason to close what another thread just opened.
        // SAFETY: takes no pointer; the descriptor is this value's own.
        unsafe { call_once(nr::CLOSE, [self.raw(), 0, 0, 0, 0, 0]) };
    }
}

fn pointer(text: &CStr) -> usize {
    text.as_ptr() as usize
}

/// `struct open_how`
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// `struct iovec`
#[repr(C)]
#[derive(Clone, Copy)]
struct IoVec {
    base: usize,
    length: usize,
}

/// Buffers that go to the kernel in one call; with more, a transfer is short.
const MAX_BUFFERS: usize = 16;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct StatxTime {
    seconds: i64,
    nanoseconds: u32,
    _pad: i32,
}

impl StatxTime {
    fn timestamp(self) -> Timestamp {
        Timestamp { seconds: self.seconds, nanoseconds: self.nanoseconds }
    }
}

/// `struct statx`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Statx {
    mask: u32,
    block_size: u32,
    attributes: u64,
    links: u32,
    user: u32,
    group: u32,
    mode: u16,
    _pad: u16,
    inode: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    accessed: StatxTime,
    created: StatxTime,
    changed: StatxTime,
    modified: StatxTime,
    special: [u32; 2],
    device: [u32; 2],
    _spare: [u64; 14],
}

/// `struct statfs`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Statfs {
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
    flags: u64,
    _spare: [u64; 4],
}

/// `struct flock`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FLock {
    kind: i16,
    whence: i16,
    _pad: u32,
    start: i64,
    length: i64,
    process: i32,
    _pad_end: u32,
}

/// `UTIME_OMIT`
const OMIT: i64 = (1 << 30) - 2;

impl Fd {
    fn raw(&self) -> usize {
        self.0 as usize
    }

    /// Opens any path of the host.
    pub fn open(path: &CStr, flags: usize) -> Result<Self, Errno> {
        // SAFETY: the path ends with a zero.
        let fd = unsafe { call(nr::OPENAT, [AT_FDCWD, pointer(path), flags | O_CLOEXEC, 0, 0, 0]) };
        fd.map(|fd| Self(fd as i32))
    }

    /// Opens `name` in this directory and nowhere else.
    pub fn open_beneath(&self, name: &CStr, flags: usize, mode: u16) -> Result<Self, Errno> {
        let flags = flags | O_NOFOLLOW | O_CLOEXEC;
        let how = OpenHow { flags: flags as u64, mode: mode.into(), resolve: RESOLVE };
        let (at, size) = (&raw const how as usize, size_of::<OpenHow>());
        // SAFETY: name and structure are read, with the size that it has.
        let fd = unsafe { call(nr::OPENAT2, [self.raw(), pointer(name), at, size, 0, 0]) };
        fd.map(|fd| Self(fd as i32))
    }

    /// Opens `name` in this directory, through a link of `/proc/self/fd` if it is one.
    pub fn open_link(&self, name: &CStr, flags: usize) -> Result<Self, Errno> {
        let args = [self.raw(), pointer(name), flags | O_CLOEXEC, 0, 0, 0];
        // SAFETY: the name ends with a zero.
        unsafe { call(nr::OPENAT, args) }.map(|fd| Self(fd as i32))
    }

    /// The name that this descriptor has in `/proc/self/fd`.
    pub fn name(&self) -> DecimalName {
        DecimalName::of(self.0 as u32)
    }

    #[cfg(test)]
    pub fn close_on_exec(&self) -> bool {
        const F_GETFD: usize = 1;
        // SAFETY: takes no pointer.
        let flags = unsafe { call(nr::FCNTL, [self.raw(), F_GETFD, 0, 0, 0, 0]) };
        flags == Ok(1)
    }

    /// Metadata of the file itself. `device` is the host's number.
    pub fn metadata(&self) -> Result<Metadata, Errno> {
        self.metadata_with(c"", AT_EMPTY_PATH)
    }

    /// Metadata of what `name` means in this directory.
    pub fn metadata_of(&self, name: &CStr) -> Result<Metadata, Errno> {
        self.metadata_with(name, AT_SYMLINK_NOFOLLOW)
    }

    fn metadata_with(&self, name: &CStr, flags: usize) -> Result<Metadata, Errno> {
        let mut told = Statx::default();
        let at = &raw mut told as usize;
        // SAFETY: the name ends with a zero; the kernel fills the structure, which any bytes are
        // good for.
        unsafe { call(nr::STATX, [self.raw(), pointer(name), flags, STATX_MASK, at, 0])? };
        let kind = match told.mode >> 12 {
            0 => return Err(Errno::EIO),
            kind => Kind::from_mode(u32::from(kind) << 12).ok_or(Errno::EIO)?,
        };
        let number = |[major, minor]: [u32; 2]| ukfile::device_number(major, minor);
        Ok(Metadata {
            device: number(told.device),
            inode: told.inode,
            kind,
            permissions: told.mode & 0o7777,
            links: told.links,
            user: told.user,
            group: told.group,
            special: number(told.special),
            size: told.size,
            block_size: told.block_size,
            blocks: told.blocks,
            accessed: told.accessed.timestamp(),
            modified: told.modified.timestamp(),
            changed: told.changed.timestamp(),
            created: (told.mask & STATX_BTIME != 0).then(|| told.created.timestamp()),
        })
    }

    pub fn statistics(&self) -> Result<Statistics, Errno> {
        let mut told = Statfs::default();
        // SAFETY: the kernel fills the structure, which any bytes are good for.
        unsafe { call(nr::FSTATFS, [self.raw(), &raw mut told as usize, 0, 0, 0, 0])? };
        Ok(Statistics {
            magic: told.magic,
            block_size: told.block_size,
            blocks: told.blocks,
            free: told.free,
            available: told.available,
            nodes: told.nodes,
            free_nodes: told.free_nodes,
            name_length: told.name_length,
        })
    }

    /// Changes the permissions of what the link `name` leads to.
    pub fn set_permissions(&self, name: &CStr, permissions: u16) -> Result<(), Errno> {
        let args = [self.raw(), pointer(name), permissions.into(), 0, 0, 0];
        // SAFETY: the name ends with a zero.
        unsafe { call(nr::FCHMODAT, args) }.map(drop)
    }

    /// Changes the owner of the file itself.
    pub fn set_owner(&self, user: Option<u32>, group: Option<u32>) -> Result<(), Errno> {
        let id = |id: Option<u32>| id.unwrap_or(u32::MAX) as usize;
        let args = [self.raw(), pointer(c""), id(user), id(group), AT_EMPTY_PATH, 0];
        // SAFETY: the name ends with a zero.
        unsafe { call(nr::FCHOWNAT, args) }.map(drop)
    }

    /// Changes times of what the link `name` leads to.
    pub fn set_times(
        &self,
        name: &CStr,
        accessed: Option<Timestamp>,
        modified: Option<Timestamp>,
    ) -> Result<(), Errno> {
        let time = |time: Option<Timestamp>| match time {
            None => [0, OMIT],
            Some(time) => [time.seconds, time.nanoseconds.into()],
        };
        let times = [time(accessed), time(modified)];
        let args = [self.raw(), pointer(name), &raw const times as usize, 0, 0, 0];
        // SAFETY: name and times, two structures of two words, are read.
        unsafe { call(nr::UTIMENSAT, args) }.map(drop)
    }

    pub fn make_directory(&self, name: &CStr, permissions: u16) -> Result<(), Errno> {
        let args = [self.raw(), pointer(name), permissions.into(), 0, 0, 0];
        // SAFETY: the name ends with a zero.
        unsafe { call(nr::MKDIRAT, args) }.map(drop)
    }

    pub fn make_node(&self, name: &CStr, mode: u32, special: u64) -> Result<(), Errno> {
        // The kernel takes 32 bits: 12 of the major number, 20 of the minor one.
        let special = special as u32 as usize;
        let args = [self.raw(), pointer(name), mode as usize, special, 0, 0];
        // SAFETY: the name ends with a zero.
        unsafe { call(nr::MKNODAT, args) }.map(drop)
    }

    pub fn make_symlink(&self, target: &CStr, name: &CStr) -> Result<(), Errno> {
        // SAFETY: both texts end with a zero.
        unsafe { call(nr::SYMLINKAT, [pointer(target), self.raw(), pointer(name), 0, 0, 0]) }
            .map(drop)
    }

    /// Gives what the link `old` in `at` leads to the name `name` in this directory.
    pub fn link(&self, at: &Fd, old: &CStr, name: &CStr) -> Result<(), Errno> {
        let args = [at.raw(), pointer(old), self.raw(), pointer(name), AT_SYMLINK_FOLLOW, 0];
        // SAFETY: both names end with a zero.
        unsafe { call(nr::LINKAT, args) }.map(drop)
    }

    pub fn unlink(&self, name: &CStr, flags: usize) -> Result<(), Errno> {
        // SAFETY: the name ends with a zero.
        unsafe { call(nr::UNLINKAT, [self.raw(), pointer(name), flags, 0, 0, 0]) }.map(drop)
    }

    /// `flags` are those of `renameat2(2)`.
    pub fn rename(&self, from: &CStr, to: (&Fd, &CStr), flags: usize) -> Result<(), Errno> {
        let args = [self.raw(), pointer(from), to.0.raw(), pointer(to.1), flags, 0];
        // SAFETY: both names end with a zero.
        unsafe { call(nr::RENAMEAT2, args) }.map(drop)
    }

    /// Reads the target of this symbolic link; returns how much of it fitted.
    pub fn read_link(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let args = [self.raw(), pointer(c""), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0];
        // SAFETY: the kernel writes into the buffer, at most its length.
        unsafe { call(nr::READLINKAT, args) }
    }

    /// Reads entries of this directory, as many as fit.
    pub fn entries(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let args = [self.raw(), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0];
        // SAFETY: the kernel writes into the buffer, at most its length.
        unsafe { call(nr::GETDENTS64, args) }
    }

    /// Reads at `offset` into the first buffers.
    pub fn read(&self, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize, Errno> {
        let mut vectors = [IoVec { base: 0, length: 0 }; MAX_BUFFERS];
        let mut count = 0;
        for (vector, buffer) in vectors.iter_mut().zip(buffers) {
            *vector = IoVec { base: buffer.as_mut_ptr() as usize, length: buffer.len() };
            count += 1;
        }
        let at = &raw const vectors as usize;
        // SAFETY: the vectors are those of buffers that are borrowed for writing; the upper half of
        // the offset is 0 where registers have 64 bits.
        unsafe { call(nr::PREADV, [self.raw(), at, count, offset as usize, 0, 0]) }
    }

    fn write_with(&self, offset: u64, buffers: &[&[u8]], flags: usize) -> Result<usize, Errno> {
        let mut vectors = [IoVec { base: 0, length: 0 }; MAX_BUFFERS];
        let mut count = 0;
        for (vector, buffer) in vectors.iter_mut().zip(buffers) {
            *vector = IoVec { base: buffer.as_ptr() as usize, length: buffer.len() };
            count += 1;
        }
        let at = &raw const vectors as usize;
        // SAFETY: the vectors are those of buffers that are borrowed, and only read.
        unsafe { call(nr::PWRITEV2, [self.raw(), at, count, offset as usize, 0, flags]) }
    }

    /// Writes the first buffers at `offset`.
    pub fn write(&self, offset: u64, buffers: &[&[u8]]) -> Result<usize, Errno> {
        self.write_with(offset, buffers, 0)
    }

    /// Writes the first buffers at the end, which others may move at the same time; returns where
    /// they began. Moves the position of the descriptor.
    pub fn append(&self, buffers: &[&[u8]]) -> Result<(u64, usize), Errno> {
        // As offset -1 is the position, which then is behind what was written.
        let written = self.write_with(u64::MAX, buffers, RWF_APPEND)?;
        let end = self.seek(0, 1)?;
        Ok((end.saturating_sub(written as u64), written))
    }

    /// Sets, or with `ask` asks for, a lock of the open file (`F_OFD_SETLK`, `F_OFD_GETLK`).
    pub fn lock(&self, lock: &RangeLock, ask: bool) -> Result<Option<RangeLock>, Errno> {
        const F_OFD_GETLK: usize = 36;
        const F_OFD_SETLK: usize = 37;
        let kind = match lock.kind {
            LockKind::Shared => 0,
            LockKind::Exclusive => 1,
            LockKind::None => 2,
        };
        let (start, length) = (lock.first as i64, lock.length() as i64);
        let mut told = FLock { kind, start, length, ..FLock::default() };
        let number = if ask { F_OFD_GETLK } else { F_OFD_SETLK };
        let args = [self.raw(), number, &raw mut told as usize, 0, 0, 0];
        // SAFETY: the kernel reads the structure, and for a question writes it; any bytes are good.
        unsafe { call(nr::FCNTL, args)? };
        let kind = match told.kind {
            0 => LockKind::Shared,
            1 => LockKind::Exclusive,
            _ => return Ok(None),
        };
        let (first, length) = (told.start as u64, told.length as u64);
        Ok(RangeLock::with_length(kind, first, length).filter(|_| ask))
    }

    /// `lseek`; `whence` is 0 for the start, 1 for the position, 3 for data, 4 for a hole.
    pub fn seek(&self, offset: u64, whence: usize) -> Result<u64, Errno> {
        // SAFETY: takes no pointer.
        unsafe { call(nr::LSEEK, [self.raw(), offset as usize, whence, 0, 0, 0]) }
            .map(|at| at as u64)
    }

    pub fn resize(&self, size: u64) -> Result<(), Errno> {
        // SAFETY: takes no pointer.
        unsafe { call(nr::FTRUNCATE, [self.raw(), size as usize, 0, 0, 0, 0]) }.map(drop)
    }

    pub fn allocate(&self, mode: usize, offset: u64, length: u64) -> Result<(), Errno> {
        let args = [self.raw(), mode, offset as usize, length as usize, 0, 0];
        // SAFETY: takes no pointer.
        unsafe { call(nr::FALLOCATE, args) }.map(drop)
    }

    pub fn sync(&self, data_only: bool) -> Result<(), Errno> {
        let number = if data_only { nr::FDATASYNC } else { nr::FSYNC };
        // SAFETY: takes no pointer.
        unsafe { call(number, [self.raw(), 0, 0, 0, 0, 0]) }.map(drop)
    }

    pub fn sync_file_system(&self) -> Result<(), Errno> {
        // SAFETY: takes no pointer.
        unsafe { call(nr::SYNCFS, [self.raw(), 0, 0, 0, 0, 0]) }.map(drop)
    }
}

/// A number as a name.
pub struct DecimalName {
    bytes: [u8; 11],
    start: usize,
}

impl DecimalName {
    fn of(mut number: u32) -> Self {
        let mut bytes = [0; 11];
        let mut start = bytes.len() - 1;
        loop {
            start -= 1;
            bytes[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 || start == 0 {
                return Self { bytes, start };
            }
        }
    }
}

impl core::ops::Deref for DecimalName {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes[self.start..]).unwrap_or(c"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_names() {
        for number in [0, 7, 10, 4096, u32::MAX] {
            assert_eq!(DecimalName::of(number).to_str().unwrap(), number.to_string());
        }
    }

    #[test]
    fn structures_are_as_long_as_the_kernels() {
        assert_eq!(size_of::<Statx>(), 256);
        assert_eq!(size_of::<Statfs>(), 120);
        assert_eq!(size_of::<OpenHow>(), 24);
        assert_eq!(size_of::<FLock>(), 32);
    }

    #[test]
    fn who_may_not_keep_set_id_bits_knows() {
        // Of the thread alone.
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let told = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        let effective = u64::from_str_radix(told.trim(), 16).unwrap();
        assert_eq!(keeps_set_id(), effective & 1 << 4 != 0, "{told}");
        let without = std::thread::spawn(|| {
            const CAPSET: usize = 126;
            let (header, none) = (CAPABILITIES_HEADER, [0u32; 6]);
            let (header, none) = (&raw const header as usize, &raw const none as usize);
            // SAFETY: header and sets are read.
            let set = unsafe { call(CAPSET, [header, none, 0, 0, 0, 0]) };
            (set, keeps_set_id())
        });
        assert_eq!(without.join().unwrap(), (Ok(0), false));
    }

    #[test]
    fn descriptors_are_closed_and_not_inherited() {
        let fd = Fd::open(c"/", O_PATH | O_DIRECTORY).unwrap();
        assert!(fd.close_on_exec());
        let number = fd.0;
        drop(fd);
        let link = format!("/proc/self/fd/{number}");
        let gone = std::fs::read_link(link).map_or(true, |path| path.to_str() != Some("/"));
        assert!(gone);
    }

    #[test]
    fn nothing_outside_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        let path = std::ffi::CString::new(folder.path().to_str().unwrap()).unwrap();
        let fd = Fd::open(&path, O_PATH | O_DIRECTORY).unwrap();
        assert_eq!(fd.open_beneath(c"..", O_PATH, 0).err(), Some(Errno::EXDEV));
        assert_eq!(fd.open_beneath(c"link", O_NONBLOCK, 0).err(), Some(Errno::ELOOP));
        assert_eq!(fd.open_beneath(c"/etc", O_PATH, 0).err(), Some(Errno::EXDEV));
    }
}
