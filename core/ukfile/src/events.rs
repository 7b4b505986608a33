//! What a file may be ready for.

use bitflags::bitflags;

bitflags! {
    /// What a file is ready for, as bits of `poll`; those of `epoll` are the same.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Events: u32 {
        /// There is something to read, or the end.
        const IN = 0x1;
        /// There is something urgent to read.
        const PRIORITY = 0x2;
        /// Writing would not wait.
        const OUT = 0x4;
        /// An error; for the writing end of a pipe: nobody can read.
        const ERROR = 0x8;
        /// The other end is closed.
        const HANG_UP = 0x10;
        /// Not an open descriptor.
        const INVALID = 0x20;
        /// As `IN`.
        const READ_NORMAL = 0x40;
        /// Priority data to read.
        const READ_BAND = 0x80;
        /// As `OUT`.
        const WRITE_NORMAL = 0x100;
        /// Priority data may be written.
        const WRITE_BAND = 0x200;
        /// The peer of a stream will write no more.
        const READ_HANG_UP = 0x2000;
        /// Of those who watch for the same and say this, one is enough that goes on
        /// (`EPOLLEXCLUSIVE`); nothing that a file is ready for.
        const EXCLUSIVE = 0x1000_0000;
    }
}

impl Events {
    /// Something can be read.
    pub const READABLE: Self = Self::IN.union(Self::READ_NORMAL);
    /// Something can be written.
    pub const WRITABLE: Self = Self::OUT.union(Self::WRITE_NORMAL);
    /// What is always told, asked for or not.
    pub const ALWAYS: Self = Self::ERROR.union(Self::HANG_UP).union(Self::INVALID);
}
