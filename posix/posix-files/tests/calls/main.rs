//! Every call, as an application makes it. What the calls do is compared with the host's in
//! `fs/ramfs`; here it is about arguments, structures, and errors.

mod arguments;
mod attributes;
mod descriptors;
mod locks;
mod mounts;
mod names;
mod storage;
mod torn;
mod transfer;

use std::ffi::{CStr, CString};
use std::sync::{Arc, Mutex, MutexGuard, Once, mpsc};
use std::time::Duration;

use syscall_shim::{call, nr};
use ukerrno::Errno;

const CREATE: u32 = 0o102;
const AT_FDCWD: i32 = -100;
const EMPTY: &CStr = c"";

/// One test at a time: there is one process.
fn process() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    static START: Once = Once::new();
    let guard = ONE.lock().unwrap_or_else(|e| e.into_inner());
    START.call_once(|| {
        vfs::register(&ramfs::KIND).unwrap();
        let fs = ramfs::RamFs::new(ramfs::Limits::default()).unwrap();
        let mount = vfs::Mount::new(fs, b"root", vfs::MountFlags::empty()).unwrap();
        let root = vfs::Location::root_of(mount);
        vfs::set_root(root.clone());
        posix_files::start(root).unwrap();
    });
    guard
}

fn error(errno: Errno) -> isize {
    errno.to_raw()
}

fn open(path: &CStr, flags: u32) -> i32 {
    let fd = call!(nr::open, path, flags, 0o644);
    assert!(fd >= 0, "{path:?}: {fd}");
    fd as i32
}

fn close(fd: i32) {
    assert_eq!(call!(nr::close, fd), 0);
}

/// `struct stat` as words of 8 bytes.
fn stat(path: &CStr) -> [u64; 18] {
    let mut result = [0u64; 18];
    assert_eq!(call!(nr::stat, path, &mut result), 0, "{path:?}");
    result
}

fn mode(path: &CStr) -> u32 {
    stat(path)[3] as u32
}

fn read_all(fd: i32) -> Vec<u8> {
    let mut bytes = vec![0u8; 1000];
    let read = call!(nr::pread64, fd, &mut bytes[..], 0);
    assert!(read >= 0, "{read}");
    bytes.truncate(read as usize);
    bytes
}
