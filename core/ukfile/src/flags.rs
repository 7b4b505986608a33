//! The flags of `open`.

use bitflags::bitflags;

bitflags! {
    /// Flags of `open`, with the values of Linux on x86-64 and RISC-V (`fcntl.h`). The two lowest
    /// bits are not flags but a number; see [`OpenFlags::reads`] and [`OpenFlags::writes`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OpenFlags: u32 {
        /// `O_WRONLY`.
        const WRITE_ONLY = 0o1;
        /// `O_RDWR`.
        const READ_WRITE = 0o2;
        /// `O_CREAT`.
        const CREATE = 0o100;
        /// `O_EXCL`.
        const EXCLUSIVE = 0o200;
        /// `O_NOCTTY`.
        const NO_TTY = 0o400;
        /// `O_TRUNC`.
        const TRUNCATE = 0o1000;
        /// `O_APPEND`.
        const APPEND = 0o2000;
        /// `O_NONBLOCK`.
        const NONBLOCK = 0o4000;
        /// `O_DSYNC`.
        const DATA_SYNC = 0o10000;
        /// `O_ASYNC`.
        const ASYNC = 0o20000;
        /// `O_DIRECT`.
        const DIRECT = 0o40000;
        /// `O_LARGEFILE`: all files are.
        const LARGE_FILE = 0o100000;
        /// `O_DIRECTORY`.
        const DIRECTORY = 0o200000;
        /// `O_NOFOLLOW`.
        const NO_FOLLOW = 0o400000;
        /// `O_NOATIME`.
        const NO_ATIME = 0o1000000;
        /// `O_CLOEXEC`: of the descriptor, not of the open file.
        const CLOSE_ON_EXEC = 0o2000000;
        /// `O_SYNC` without the bit of `O_DSYNC`.
        const FULL_SYNC = 0o4000000;
        /// `O_PATH`.
        const PATH = 0o10000000;
        /// `O_TMPFILE` without the bit of `O_DIRECTORY`.
        const TEMPORARY = 0o20000000;
    }
}

impl OpenFlags {
    /// `O_RDONLY`.
    pub const READ_ONLY: Self = Self::empty();
    /// The bits that say whether it is for reading or writing, `O_ACCMODE`.
    pub const ACCESS: Self = Self::WRITE_ONLY.union(Self::READ_WRITE);
    /// `O_SYNC`.
    pub const SYNC: Self = Self::FULL_SYNC.union(Self::DATA_SYNC);
    /// What `fcntl(F_SETFL)` may change. `O_ASYNC` is taken and not kept, as Linux has it with files that
    /// send no signals: here none do.
    pub const SETTABLE: Self =
        Self::APPEND.union(Self::NONBLOCK).union(Self::DIRECT).union(Self::NO_ATIME);
    /// What matters when the file is opened only, and `fcntl(F_GETFL)` does not tell.
    pub const CREATION: Self = Self::CREATE
        .union(Self::EXCLUSIVE)
        .union(Self::NO_TTY)
        .union(Self::TRUNCATE)
        .union(Self::CLOSE_ON_EXEC);

    /// Whether the file is open for reading.
    pub const fn reads(self) -> bool {
        matches!(self.bits() & 3, 0 | 2) && !self.contains(Self::PATH)
    }

    /// Whether the file is open for writing.
    pub const fn writes(self) -> bool {
        matches!(self.bits() & 3, 1 | 2) && !self.contains(Self::PATH)
    }

    /// Whether opening asks for the right to read. With both access bits set, Linux asks for both
    /// rights and then allows neither: such files are for `ioctl`.
    pub const fn asks_to_read(self) -> bool {
        self.bits() & 3 != 1
    }

    /// Whether opening asks for the right to write.
    pub const fn asks_to_write(self) -> bool {
        self.bits() & 3 != 0
    }
}
