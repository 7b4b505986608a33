//! Waiting until what was written cannot be lost.

use super::torn::{Torn, TornFs};
use super::*;

#[test]
fn storage() {
    let _one = process();
    let fd = open(c"/sync", CREATE);
    assert_eq!((call!(nr::fsync, fd), call!(nr::fdatasync, fd), call!(nr::syncfs, fd)), (0, 0, 0));
    assert_eq!(call!(nr::sync), 0);
    assert_eq!(call!(nr::sync_file_range, fd, 0i64, 10i64, 7u32), 0);
    assert_eq!(call!(nr::sync_file_range, fd, 0i64, 10i64, 8u32), error(Errno::EINVAL));
    assert_eq!(call!(nr::fadvise64, fd, 0i64, 0i64, 1u32), 0);
    assert_eq!(call!(nr::fadvise64, fd, 0i64, 0i64, 9u32), error(Errno::EINVAL));
    assert_eq!(call!(nr::readahead, fd, 0i64, 10usize), 0);
    let mut ends = [0i32; 2];
    assert_eq!(call!(nr::pipe, &mut ends), 0);
    assert_eq!(call!(nr::fsync, ends[0]), error(Errno::EINVAL));
    assert_eq!(call!(nr::fadvise64, ends[0], 0i64, 0i64, 1u32), error(Errno::ESPIPE));
    assert_eq!(call!(nr::fsync, 999), error(Errno::EBADF));
    [fd, ends[0], ends[1]].into_iter().for_each(close);
}

#[test]
fn sync_is_about_what_the_process_does_not_see_too() {
    let _one = process();
    let torn = Arc::new(Torn(0.into()));
    let fs = Arc::new(TornFs(torn.clone()));
    let mount = vfs::Mount::new(fs, b"torn", vfs::MountFlags::empty()).unwrap();
    close(open(c"/outside", CREATE));
    assert_eq!(call!(nr::mkdir, c"/jail", 0o755), 0);
    // The root directory is that of a mount.
    assert_eq!(call!(nr::mount, c"none", c"/jail", c"ramfs", 0u64, c""), 0);
    let outside = posix_files::context().unwrap().resolve(None, b"/outside", vfs::Follow::Yes);
    outside.unwrap().mount(&mount).unwrap();
    let root = open(c"/", 0);
    assert_eq!(call!(nr::chroot, c"/jail"), 0);
    assert_eq!(call!(nr::sync), 0);
    assert_eq!(call!(nr::fchdir, root), 0);
    assert_eq!(call!(nr::chroot, c"."), 0);
    close(root);
    assert_eq!(torn.0.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(call!(nr::umount2, c"/outside", 2u32), 0);
    assert_eq!(call!(nr::umount2, c"/jail", 0u32), 0);
}
