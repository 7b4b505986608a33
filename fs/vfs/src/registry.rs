//! The kinds of file systems and devices of the image.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use ukerrno::Errno;
use ukfile::{File, Kind, OpenFlags};
use uklock::RwLock;

use crate::mount::MountFlags;
use crate::node::FileSystem;

/// Makes a file system of `source` with `options` and `flags`, as `mount` gets them.
pub type OpenFileSystem =
    fn(source: &[u8], options: &[u8], flags: MountFlags) -> Result<Arc<dyn FileSystem>, Errno>;

/// A kind of file system.
pub struct FileSystemType {
    /// Name, as `mount` takes it.
    pub name: &'static str,
    /// Other names by which programs made for Linux mount it.
    pub aliases: &'static [&'static str],
    /// Whether it stores nothing on a device (`nodev` in `/proc/filesystems`).
    pub virtual_only: bool,
    /// Makes one.
    pub open: OpenFileSystem,
}

impl FileSystemType {
    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        core::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

impl fmt::Debug for FileSystemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileSystemType").field(&self.name).finish()
    }
}

static TYPES: RwLock<Vec<&'static FileSystemType>> = RwLock::new(Vec::new());

/// Makes a kind of file system known to `mount`.
///
/// # Errors
/// `EEXIST` when there is one of one of its names; `ENOMEM`
pub fn register(kind: &'static FileSystemType) -> Result<(), Errno> {
    let mut types = TYPES.write();
    if kind.names().any(|name| types.iter().any(|t| t.names().any(|known| known == name))) {
        return Err(Errno::EEXIST);
    }
    ukfile::fallible::push(&mut types, kind)
}

/// The kind of this name.
///
/// # Errors
/// `ENODEV`
pub fn by_name(name: &[u8]) -> Result<&'static FileSystemType, Errno> {
    named(name).map(|(_, kind)| kind)
}

/// The kind of this name, with the name.
pub(crate) fn named(name: &[u8]) -> Result<(&'static str, &'static FileSystemType), Errno> {
    let types = TYPES.read();
    let mut all = types.iter().flat_map(|kind| kind.names().map(move |name| (name, *kind)));
    all.find(|(known, _)| known.as_bytes() == name).ok_or(Errno::ENODEV)
}

/// Calls `visit` with each kind.
pub fn registered(visit: &mut dyn FnMut(&'static FileSystemType)) {
    TYPES.read().iter().for_each(|t| visit(t));
}

/// A number for a file system, as `stat` tells it, that no other of the image has. Those that are on
/// no device have the major number 0.
pub fn next_device() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Opens the device with a number, on behalf of a device file.
pub type OpenDevice = fn(number: u64, flags: OpenFlags) -> Result<Arc<dyn File>, Errno>;

/// Devices by type and major number.
static DEVICES: RwLock<Vec<(Kind, u32, OpenDevice)>> = RwLock::new(Vec::new());

/// Makes the devices with a major number known to device files of all file systems.
///
/// # Errors
/// `EEXIST`, `ENOMEM`
pub fn register_devices(kind: Kind, major: u32, open: OpenDevice) -> Result<(), Errno> {
    let mut devices = DEVICES.write();
    if devices.iter().any(|d| (d.0, d.1) == (kind, major)) {
        return Err(Errno::EEXIST);
    }
    ukfile::fallible::push(&mut devices, (kind, major, open))
}

/// Opens the device that a device file stands for.
///
/// # Errors
/// `ENXIO` when nobody has registered it, and the device's own.
pub fn open_device(kind: Kind, number: u64, flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
    let major = ukfile::major(number);
    let open = {
        let devices = DEVICES.read();
        devices.iter().find(|d| (d.0, d.1) == (kind, major)).map(|d| d.2)
    };
    open.ok_or(Errno::ENXIO)?(number, flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        const fn kind(name: &'static str, aliases: &'static [&'static str]) -> FileSystemType {
            FileSystemType { name, aliases, virtual_only: true, open: |_, _, _| Err(Errno::EIO) }
        }
        static FIRST: FileSystemType = kind("first", &["also"]);
        static SECOND: FileSystemType = kind("second", &["first"]);
        static THIRD: FileSystemType = kind("also", &[]);
        register(&FIRST).unwrap();
        let found = |name: &[u8]| by_name(name).map(|kind| kind.name);
        assert_eq!((found(b"first"), found(b"also")), (Ok("first"), Ok("first")));
        for taken in [&FIRST, &SECOND, &THIRD] {
            assert_eq!(register(taken), Err(Errno::EEXIST));
        }
        assert_eq!(found(b"second"), Err(Errno::ENODEV));
    }
}
