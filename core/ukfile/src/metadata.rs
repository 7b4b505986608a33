//! What `stat` tells of a file.

/// Type of a file. The numbers are those of `getdents` (`DT_REG` …); 12 bits higher they are the
/// type in a mode (`S_IFREG` …).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Kind {
    /// None of those below: files without a name in any tree that are no pipes either, as those of
    /// `eventfd` and `epoll`. Their mode has no bits of a type.
    Anonymous = 0,
    /// Named pipe.
    Fifo = 1,
    /// Character device.
    CharacterDevice = 2,
    /// Directory.
    Directory = 4,
    /// Block device.
    BlockDevice = 6,
    /// Regular file.
    #[default]
    Regular = 8,
    /// Symbolic link.
    Symlink = 10,
    /// Socket.
    Socket = 12,
}

impl Kind {
    /// The bits in a mode: `S_IFREG` …
    pub const fn mode_bits(self) -> u32 {
        (self as u32) << 12
    }

    /// The type that the mode of `mknod` has; no bits are a regular file.
    pub const fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode >> 12 & 15 {
            0 | 8 => Self::Regular,
            1 => Self::Fifo,
            2 => Self::CharacterDevice,
            4 => Self::Directory,
            6 => Self::BlockDevice,
            10 => Self::Symlink,
            12 => Self::Socket,
            _ => return None,
        })
    }
}

/// A moment: time since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds, negative before 1970.
    pub seconds: i64,
    /// Nanoseconds after the second, below 1 000 000 000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// Now, as all files get it: in steps of 4 ms, as on Linux with 250 ticks a second. Who writes
    /// again within one changes no time of the file.
    pub fn now() -> Self {
        const STEP: u64 = 4_000_000;
        let ns = ukplat::wall_ns() / STEP * STEP;
        Self { seconds: (ns / 1_000_000_000) as i64, nanoseconds: (ns % 1_000_000_000) as u32 }
    }
}

/// What `stat` and `statx` tell of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Number of the file system ([`device_number`]).
    pub device: u64,
    /// Number of the file in its file system.
    pub inode: u64,
    /// Type.
    pub kind: Kind,
    /// Permissions, with the set-user-id, set-group-id and sticky bits: 12 bits.
    pub permissions: u16,
    /// Names that it has.
    pub links: u32,
    /// Owner.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Number of the device that a device file stands for.
    pub special: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes that are good to be read or written at once.
    pub block_size: u32,
    /// Memory or storage that it takes, in units of 512 bytes.
    pub blocks: u64,
    /// When it was last read.
    pub accessed: Timestamp,
    /// When its contents last changed.
    pub modified: Timestamp,
    /// When anything of it last changed.
    pub changed: Timestamp,
    /// When it was made; not known of all files.
    pub created: Option<Timestamp>,
}

impl Metadata {
    /// Type and permissions, as `st_mode`.
    pub const fn mode(&self) -> u32 {
        self.kind.mode_bits() | self.permissions as u32
    }
}

/// The number of a device as C's `makedev` makes it.
pub const fn device_number(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff
}

/// The major number of a device.
pub const fn major(device: u64) -> u32 {
    (device >> 32 & 0xffff_f000 | device >> 8 & 0xfff) as u32
}

/// The minor number of a device.
pub const fn minor(device: u64) -> u32 {
    (device >> 12 & 0xffff_ff00 | device & 0xff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_there_and_back() {
        for kind in [
            Kind::Fifo,
            Kind::CharacterDevice,
            Kind::Directory,
            Kind::BlockDevice,
            Kind::Regular,
            Kind::Symlink,
            Kind::Socket,
        ] {
            assert_eq!(Kind::from_mode(kind.mode_bits() | 0o777), Some(kind));
        }
        assert_eq!(Kind::from_mode(0o644), Some(Kind::Regular));
        assert_eq!(Kind::from_mode(3 << 12), None);
        assert_eq!((Kind::Regular.mode_bits(), Kind::Anonymous.mode_bits()), (0o100000, 0));
    }

    #[test]
    fn numbers_of_devices_are_those_of_c() {
        for number in [0x103, 0x0001_2000_6783_459a] {
            assert_eq!(device_number(major(number), minor(number)), number);
        }
        assert_eq!(device_number(1, 3), 0x103);
        assert_eq!(device_number(0x12345, 0x6789a), 0x0001_2000_6783_459a);
    }
}
