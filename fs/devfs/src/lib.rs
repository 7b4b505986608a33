//! Device files: null, zero, full, random, and the directory that has them.
//!
//! ```
//! use ukerrno::Errno;
//! use ukfile::OpenFlags;
//! use vfs::{Context, Location, Mount, MountFlags};
//!
//! devfs::register()?;
//! let mount = Mount::new(devfs::file_system()?, b"devfs", MountFlags::empty())?;
//! let files = Context::new(Location::root_of(mount));
//! let full = files.open(None, b"/full", OpenFlags::READ_WRITE, 0)?;
//! assert_eq!(full.write(&[b"x"]), Err(Errno::ENOSPC));
//! let mut bytes = [1; 4];
//! assert_eq!(full.read(&mut [&mut bytes])?, 4);
//! assert_eq!(bytes, [0; 4]);
//! # Ok::<(), Errno>(())
//! ```
//!
//! As Linux's devtmpfs it is a file system in memory with device files in it, so that programs may
//! add links and files of their own; what a device file does is the driver's that has registered
//! its number ([`vfs::register_devices`]). Those of the memory (`null(4)`, `full(4)`, `random(4)`) are
//! here; the console's is that of whoever has descriptors.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::{File, Kind, Metadata, OpenFlags, Seek, device_number, minor};
use ukplat::{BootInfo, InitError};
use vfs::{Context, FileSystem, FileSystemType, Location, Mount, MountFlags};

/// The major number of the devices of the memory.
const MEMORY: u32 = 1;

/// The major number of terminals that stand for another: the console, and that of the process.
const CONSOLE: u32 = 5;

/// Names, permissions, and numbers (Linux's `Documentation/admin-guide/devices.txt`).
const DEVICES: [(&str, u16, u32, u32); 7] = [
    ("null", 0o666, MEMORY, 3),
    ("zero", 0o666, MEMORY, 5),
    ("full", 0o666, MEMORY, 7),
    ("random", 0o666, MEMORY, 8),
    ("urandom", 0o666, MEMORY, 9),
    ("console", 0o600, CONSOLE, 1),
    ("tty", 0o666, CONSOLE, 0),
];

/// Links to descriptors: names in C and in the shell for what is open already.
const LINKS: [(&str, &str); 4] =
    [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")];

/// A device of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Null,
    Zero,
    Full,
    /// Both names have the same bytes, as on Linux.
    Random,
}

impl File for Device {
    fn read(
        &self,
        _at: &mut u64,
        buffers: &mut [&mut [u8]],
        _flags: OpenFlags,
    ) -> Result<usize, Errno> {
        if *self == Self::Null {
            return Ok(0);
        }
        buffers.iter_mut().for_each(|b| match self {
            Self::Random => ukrandom::fill(b),
            _ => b.fill(0),
        });
        Ok(ukfile::total_mut(buffers))
    }

    fn write(&self, _at: &mut u64, buffers: &[&[u8]], _flags: OpenFlags) -> Result<usize, Errno> {
        if *self == Self::Random {
            buffers.iter().for_each(|b| ukrandom::mix(b));
        }
        match (self, ukfile::total(buffers)) {
            (Self::Full, 1..) => Err(Errno::ENOSPC),
            (_, bytes) => Ok(bytes),
        }
    }

    fn has_position(&self) -> bool {
        true
    }

    /// The position is always 0.
    fn seek(&self, _at: u64, _to: Seek) -> Result<u64, Errno> {
        Ok(0)
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Err(Errno::EIO)
    }
}

fn open(number: u64, _flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
    let device = match minor(number) {
        3 => Device::Null,
        5 => Device::Zero,
        7 => Device::Full,
        8 | 9 => Device::Random,
        _ => return Err(Errno::ENXIO),
    };
    Ok(ukfile::fallible::arc(device)?)
}

/// The kind of file system, for `mount`.
pub static KIND: FileSystemType = FileSystemType {
    name: "devfs",
    aliases: &["devtmpfs"],
    virtual_only: true,
    open: |_, _, _| file_system(),
};

/// Makes devices and kind of file system known.
///
/// # Errors
/// `EEXIST` when they are known already; `ENOMEM`
pub fn register() -> Result<(), Errno> {
    vfs::register_devices(Kind::CharacterDevice, MEMORY, open)?;
    vfs::register(&KIND)
}

/// A directory with the device files. Others in it, also those of `shm_open`, take at most half of the
/// memory.
///
/// # Errors
/// `ENOMEM`
pub fn file_system() -> Result<Arc<dyn FileSystem>, Errno> {
    let fs = ramfs::RamFs::new(ramfs::Limits::half_of_memory())?;
    let mount = Mount::new(fs.clone(), b"devfs", MountFlags::empty())?;
    let mut files = Context::new(Location::root_of(mount));
    files.umask = 0;
    for (name, permissions, major, minor) in DEVICES {
        let number = device_number(major, minor);
        files.make_node(None, name.as_bytes(), Kind::CharacterDevice, permissions, number)?;
    }
    for (name, target) in LINKS {
        files.make_symlink(target.as_bytes(), None, name.as_bytes())?;
    }
    // Where `shm_open` of C libraries makes its files.
    files.make_directory(None, b"shm", 0o777)?;
    let shm = files.resolve(None, b"shm", vfs::Follow::No)?;
    files.set_permissions(&shm, 0o1777)?;
    Ok(fs)
}

/// Boot phase `devfs`.
///
/// # Errors
/// There is no memory.
pub fn init(_boot: &'static BootInfo) -> Result<(), InitError> {
    register().map_err(|_| InitError::new("cannot register the devices of the memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_do_what_their_manual_pages_say() {
        register().unwrap();
        assert_eq!(register(), Err(Errno::EEXIST));
        let mount = Mount::new(file_system().unwrap(), b"devfs", MountFlags::empty()).unwrap();
        let files = Context::new(Location::root_of(mount));
        let open = |name: &str| {
            files.open(None, name.as_bytes(), OpenFlags::READ_WRITE | OpenFlags::TRUNCATE, 0)
        };
        let null = open("/null").unwrap();
        assert_eq!(null.write(&[&[1; 100_000]]), Ok(100_000));
        assert_eq!(null.read(&mut [&mut [1]]), Ok(0));
        assert_eq!(null.seek(Seek::End(50)), Ok(0));
        let zero = open("/zero").unwrap();
        let mut bytes = [1; 9];
        assert_eq!((zero.read(&mut [&mut bytes]), bytes), (Ok(9), [0; 9]));
        assert_eq!(zero.write(&[b"x"]), Ok(1));
        let full = open("/full").unwrap();
        assert_eq!((full.write(&[b""]), full.write(&[b"x"])), (Ok(0), Err(Errno::ENOSPC)));
        let (random, mut other) = (open("/random").unwrap(), [0; 40]);
        assert_eq!(random.read(&mut [&mut other[..20], &mut bytes]), Ok(29));
        assert!(other[..20] != [0; 20] && bytes != [0; 9]);
        assert_eq!(open("/urandom").unwrap().write(&[b"seed"]), Ok(4));
        let metadata = null.file().metadata().unwrap();
        assert_eq!((metadata.kind, metadata.special), (Kind::CharacterDevice, 0x103));
        assert_eq!(metadata.permissions, 0o666);
        files.make_node(None, b"/other", Kind::CharacterDevice, 0o666, 0x1ff).unwrap();
        assert_eq!(open("/other").err(), Some(Errno::ENXIO));
        files.make_node(None, b"/disk", Kind::BlockDevice, 0o666, 0x103).unwrap();
        assert_eq!(open("/disk").err(), Some(Errno::ENXIO));
        let shm = files.metadata(None, b"/shm", vfs::Follow::No).unwrap();
        assert_eq!(shm.permissions, 0o1777);
        // Nobody has registered the console here: it is no file to be made.
        let console = files.open(None, b"/console", OpenFlags::WRITE_ONLY | OpenFlags::CREATE, 0);
        assert_eq!(console.err(), Some(Errno::ENXIO));
        assert_eq!(files.read_link(None, b"/stdout").as_deref(), Ok(&b"fd/1"[..]));
    }
}
