//! Files: values of `asm-generic/fcntl.h`, `linux/fcntl.h`, `linux/stat.h`, `linux/fs.h` and others,
//! with those of x86-64.

use core::fmt::{self, Write};

use super::{Names, constants, flags, named};

named! {
    /// Flags of open(2) and its relatives.
    FileFlags(u32) by file_flags;
    /// Permissions of a file, in octal.
    Mode(u32) by mode;
    /// Type and permissions of a file.
    FileMode(u32) by file_mode;
    /// `R_OK` and so on.
    AccessMode(u32) by access_mode;
}

constants! {
    /// A descriptor of a directory, or `AT_FDCWD`.
    Directory(i32) {
        AT_FDCWD = -100,
    }
    /// What lseek(2) starts from.
    Whence(i32) {
        SEEK_SET = 0,
        SEEK_CUR = 1,
        SEEK_END = 2,
        SEEK_DATA = 3,
        SEEK_HOLE = 4,
    }
    /// Commands of fcntl(2).
    FcntlCommand(u32) {
        F_DUPFD = 0,
        F_GETFD = 1,
        F_SETFD = 2,
        F_GETFL = 3,
        F_SETFL = 4,
        F_GETLK = 5,
        F_SETLK = 6,
        F_SETLKW = 7,
        F_SETOWN = 8,
        F_GETOWN = 9,
        F_SETSIG = 10,
        F_GETSIG = 11,
        F_OFD_GETLK = 36,
        F_OFD_SETLK = 37,
        F_OFD_SETLKW = 38,
        F_SETLEASE = 1024,
        F_GETLEASE = 1025,
        F_NOTIFY = 1026,
        F_DUPFD_CLOEXEC = 1030,
        F_SETPIPE_SZ = 1031,
        F_GETPIPE_SZ = 1032,
        F_ADD_SEALS = 1033,
        F_GET_SEALS = 1034,
    }
    /// Kinds of locks of fcntl(2).
    LockType(i16) {
        F_RDLCK = 0,
        F_WRLCK = 1,
        F_UNLCK = 2,
    }
    /// Requests of ioctl(2).
    IoctlRequest(u32) {
        TCGETS = 0x5401,
        TCSETS = 0x5402,
        TCSETSW = 0x5403,
        TCSETSF = 0x5404,
        TCSBRK = 0x5409,
        TCXONC = 0x540a,
        TCFLSH = 0x540b,
        TIOCSCTTY = 0x540e,
        TIOCGPGRP = 0x540f,
        TIOCSPGRP = 0x5410,
        TIOCOUTQ = 0x5411,
        TIOCGWINSZ = 0x5413,
        TIOCSWINSZ = 0x5414,
        FIONREAD = 0x541b,
        FIONBIO = 0x5421,
        TIOCNOTTY = 0x5422,
        TIOCGSID = 0x5429,
        FIONCLEX = 0x5450,
        FIOCLEX = 0x5451,
        FIOASYNC = 0x5452,
        BLKROGET = 0x125e,
        BLKGETSIZE = 0x1260,
        BLKFLSBUF = 0x1261,
        BLKSSZGET = 0x1268,
        BLKGETSIZE64 = 0x8008_1272,
    }
    /// Advice of posix_fadvise(2).
    FileAdvice(u32) {
        POSIX_FADV_NORMAL = 0,
        POSIX_FADV_RANDOM = 1,
        POSIX_FADV_SEQUENTIAL = 2,
        POSIX_FADV_WILLNEED = 3,
        POSIX_FADV_DONTNEED = 4,
        POSIX_FADV_NOREUSE = 5,
    }
}

flags! {
    /// The flag of a descriptor.
    DescriptorFlags(u32) {
        FD_CLOEXEC = 1,
    }
    /// Flags of the `*at` family but faccessat2(2) and unlinkat(2).
    AtFlags(u32) {
        AT_STATX_FORCE_SYNC = 0x2000,
        AT_STATX_DONT_SYNC = 0x4000,
        AT_SYMLINK_NOFOLLOW = 0x100,
        AT_SYMLINK_FOLLOW = 0x400,
        AT_NO_AUTOMOUNT = 0x800,
        AT_EMPTY_PATH = 0x1000,
    }
    /// Flags of faccessat2(2).
    AccessFlags(u32) {
        AT_SYMLINK_NOFOLLOW = 0x100,
        AT_EACCESS = 0x200,
        AT_EMPTY_PATH = 0x1000,
    }
    /// Flags of unlinkat(2).
    UnlinkFlags(u32) {
        AT_REMOVEDIR = 0x200,
    }
    /// How renameat2(2) moves a name.
    RenameHow(u32) {
        RENAME_NOREPLACE = 1,
        RENAME_EXCHANGE = 2,
        RENAME_WHITEOUT = 4,
    }
    /// Operations of flock(2).
    FlockOperation(u32) {
        LOCK_SH = 1,
        LOCK_EX = 2,
        LOCK_NB = 4,
        LOCK_UN = 8,
    }
    /// What statx(2) asks for and tells.
    StatxMask(u32) {
        STATX_BASIC_STATS = 0x7ff,
        STATX_TYPE = 1,
        STATX_MODE = 2,
        STATX_NLINK = 4,
        STATX_UID = 8,
        STATX_GID = 0x10,
        STATX_ATIME = 0x20,
        STATX_MTIME = 0x40,
        STATX_CTIME = 0x80,
        STATX_INO = 0x100,
        STATX_SIZE = 0x200,
        STATX_BLOCKS = 0x400,
        STATX_BTIME = 0x800,
        STATX_MNT_ID = 0x1000,
        STATX_DIOALIGN = 0x2000,
    }
    /// Flags of preadv2(2) and pwritev2(2).
    TransferFlags(u32) {
        RWF_HIPRI = 1,
        RWF_DSYNC = 2,
        RWF_SYNC = 4,
        RWF_NOWAIT = 8,
        RWF_APPEND = 0x10,
    }
    /// How fallocate(2) changes a file.
    AllocateMode(u32) {
        FALLOC_FL_KEEP_SIZE = 1,
        FALLOC_FL_PUNCH_HOLE = 2,
        FALLOC_FL_COLLAPSE_RANGE = 8,
        FALLOC_FL_ZERO_RANGE = 0x10,
        FALLOC_FL_INSERT_RANGE = 0x20,
        FALLOC_FL_UNSHARE_RANGE = 0x40,
    }
    /// Flags of sync_file_range(2).
    SyncRangeFlags(u32) {
        SYNC_FILE_RANGE_WAIT_BEFORE = 1,
        SYNC_FILE_RANGE_WRITE = 2,
        SYNC_FILE_RANGE_WAIT_AFTER = 4,
    }
    /// Flags of close_range(2).
    CloseRangeFlags(u32) {
        CLOSE_RANGE_UNSHARE = 2,
        CLOSE_RANGE_CLOEXEC = 4,
    }
    /// Flags of memfd_create(2).
    MemoryFileFlags(u32) {
        MFD_CLOEXEC = 1,
        MFD_ALLOW_SEALING = 2,
        MFD_HUGETLB = 4,
    }
    /// Seals of a file in memory.
    Seals(u32) {
        F_SEAL_SEAL = 1,
        F_SEAL_SHRINK = 2,
        F_SEAL_GROW = 4,
        F_SEAL_WRITE = 8,
        F_SEAL_FUTURE_WRITE = 0x10,
    }
    /// Flags of mount(2).
    MountOptions(u64) {
        MS_RDONLY = 1,
        MS_NOSUID = 2,
        MS_NODEV = 4,
        MS_NOEXEC = 8,
        MS_SYNCHRONOUS = 16,
        MS_REMOUNT = 32,
        MS_MANDLOCK = 64,
        MS_DIRSYNC = 128,
        MS_NOATIME = 1024,
        MS_NODIRATIME = 2048,
        MS_BIND = 4096,
        MS_MOVE = 8192,
        MS_REC = 16384,
        MS_SILENT = 32768,
        MS_RELATIME = 1 << 21,
        MS_STRICTATIME = 1 << 24,
        MS_LAZYTIME = 1 << 25,
    }
    /// Flags of umount2(2).
    UnmountFlags(u32) {
        MNT_FORCE = 1,
        MNT_DETACH = 2,
        MNT_EXPIRE = 4,
        UMOUNT_NOFOLLOW = 8,
    }
    /// Properties of a mount, as statfs(2) tells them.
    StatusFlags(u64) {
        ST_RDONLY = 1,
        ST_NOSUID = 2,
        ST_NODEV = 4,
        ST_NOEXEC = 8,
        ST_SYNCHRONOUS = 16,
        ST_VALID = 32,
        ST_NOATIME = 1024,
        ST_NODIRATIME = 2048,
        ST_RELATIME = 4096,
    }
}

fn file_flags(flags: u32, out: &mut dyn Write) -> fmt::Result {
    const ACCESS: u32 = 3;
    let mut names = Names::new(out);
    match flags & ACCESS {
        0 => names.put(format_args!("O_RDONLY"))?,
        1 => names.put(format_args!("O_WRONLY"))?,
        2 => names.put(format_args!("O_RDWR"))?,
        both => names.put(format_args!("{both}"))?,
    }
    names.bits((flags & !ACCESS).into(), OPEN_FLAGS)
}

const OPEN_FLAGS: &[(u64, &str)] = &[
    (0o20_200_000, "O_TMPFILE"),
    (0o4_010_000, "O_SYNC"),
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o10_000, "O_DSYNC"),
    (0o20_000, "O_ASYNC"),
    (0o40_000, "O_DIRECT"),
    (0o100_000, "O_LARGEFILE"),
    (0o200_000, "O_DIRECTORY"),
    (0o400_000, "O_NOFOLLOW"),
    (0o1_000_000, "O_NOATIME"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];

flags! {
    /// Flags of a descriptor that a call makes: those of open(2) without how it is accessed.
    OpenedFlags(u32) {
        O_NONBLOCK = 0o4000,
        O_DIRECT = 0o40_000,
        O_CLOEXEC = 0o2_000_000,
    }
}

fn mode(mode: u32, out: &mut dyn Write) -> fmt::Result {
    // As C writes it.
    write!(out, "0{mode:o}")
}

fn file_mode(whole: u32, out: &mut dyn Write) -> fmt::Result {
    const TYPE: u32 = 0o170_000;
    let kind = match whole & TYPE {
        0o010_000 => "S_IFIFO",
        0o020_000 => "S_IFCHR",
        0o040_000 => "S_IFDIR",
        0o060_000 => "S_IFBLK",
        0o100_000 => "S_IFREG",
        0o120_000 => "S_IFLNK",
        0o140_000 => "S_IFSOCK",
        _ => return mode(whole, out),
    };
    write!(out, "{kind}|")?;
    mode(whole & !TYPE, out)
}

fn access_mode(mode: u32, out: &mut dyn Write) -> fmt::Result {
    match mode {
        0 => out.write_str("F_OK"),
        _ => Names::new(out).bits(mode.into(), &[(4, "R_OK"), (2, "W_OK"), (1, "X_OK")]),
    }
}
