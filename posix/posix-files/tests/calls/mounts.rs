//! Mounts, and their properties.

use super::*;

#[test]
fn mounts() {
    let _one = process();
    assert_eq!(call!(nr::mkdir, c"/mnt", 0o755), 0);
    let mount = |source: &CStr, target: &CStr, kind: &CStr, flags: u64, options: &CStr| {
        call!(nr::mount, source, target, kind, flags, options)
    };
    assert_eq!(mount(c"none", c"/mnt", c"tmpfs", 0, c"size=8K"), 0, "a name of ramfs");
    let kind = |path: &[u8]| {
        let files = posix_files::context().unwrap();
        files.resolve(None, path, vfs::Follow::Yes).unwrap().mount.kind()
    };
    assert_eq!(kind(b"/mnt"), "tmpfs", "as it was mounted");
    let mut fs = [0u64; 15];
    assert_eq!(call!(nr::statfs, c"/mnt", &mut fs), 0);
    assert_eq!(fs[2], 2);
    let fd = open(c"/mnt/file", CREATE);
    assert_eq!(call!(nr::write, fd, &[1u8; 9000][..]), 8192, "it is full");
    assert_eq!(call!(nr::write, fd, &[1u8; 1][..]), error(Errno::ENOSPC));
    assert_eq!(call!(nr::umount2, c"/mnt", 0u32), error(Errno::EBUSY));
    close(fd);
    assert_eq!(mount(c"none", c"/mnt", c"", 32 | 1, c""), 0, "remounted read-only");
    assert_eq!(call!(nr::unlink, c"/mnt/file"), error(Errno::EROFS));
    assert_eq!(call!(nr::mkdir, c"/bound", 0o755), 0);
    assert_eq!(mount(c"/mnt", c"/bound", c"", 4096, c""), 0);
    assert_eq!(stat(c"/bound/file")[6], 8192);
    assert_eq!(kind(b"/bound"), "tmpfs");
    assert_eq!(call!(nr::open, c"/bound/new", CREATE, 0o600), error(Errno::EROFS), "as its source");
    assert_eq!(call!(nr::umount2, c"/bound", 0u32), 0);
    assert_eq!(call!(nr::umount2, c"/mnt", 2u32), 0);
    assert_eq!(call!(nr::open, c"/mnt/file", 0, 0), error(Errno::ENOENT));
    assert_eq!(call!(nr::umount2, c"/mnt", 0u32), error(Errno::EINVAL));
    assert_eq!(call!(nr::umount2, c"/mnt", 64u32), error(Errno::EINVAL));
    assert_eq!(mount(c"none", c"/mnt", c"nofs", 0, c""), error(Errno::ENODEV));
    assert_eq!(mount(c"none", c"/mnt", c"ramfs", 0, c""), 0);
    assert_eq!(kind(b"/mnt"), "ramfs");
    assert_eq!(call!(nr::umount2, c"/mnt", 0u32), 0);
    assert_eq!(mount(c"none", c"/mnt", c"ramfs", 0, c"bad"), error(Errno::EINVAL));
    assert_eq!(mount(c"none", c"/mnt", c"ramfs", 1 << 30, c""), error(Errno::EINVAL));
    assert_eq!(mount(c"none", c"/none", c"ramfs", 0, c""), error(Errno::ENOENT));
}

#[test]
fn mounts_become_read_only() {
    const READ_ONLY: u64 = 1;
    const REMOUNT: u64 = 32;
    const BIND: u64 = 4096;
    let _one = process();
    let mount = |source: &CStr, target: &CStr, kind: &CStr, flags: u64| {
        call!(nr::mount, source, target, kind, flags, c"")
    };
    assert_eq!(call!(nr::mkdir, c"/whole", 0o755), 0);
    assert_eq!(call!(nr::mkdir, c"/part", 0o755), 0);
    assert_eq!(mount(c"none", c"/whole", c"ramfs", 0), 0);
    assert_eq!(mount(c"/whole", c"/part", c"", BIND), 0);
    let writer = open(c"/part/file", CREATE);
    let reader = open(c"/part/file", 0);
    for bind in [0, BIND] {
        let flags = REMOUNT | READ_ONLY | bind;
        assert_eq!(mount(c"none", c"/part", c"", flags), error(Errno::EBUSY));
        assert_eq!(call!(nr::write, writer, &b"x"[..]), 1, "nothing has changed");
    }
    close(writer);
    assert_eq!(mount(c"none", c"/part", c"", REMOUNT | READ_ONLY | BIND), 0);
    assert_eq!(call!(nr::open, c"/part/file", 1, 0), error(Errno::EROFS));
    close(reader);
    close(open(c"/whole/other", CREATE));
    assert_eq!(mount(c"none", c"/part", c"", REMOUNT | BIND), 0);
    close(open(c"/part/file", 1));

    // The whole file system, with all its mounts.
    let writer = open(c"/part/file", 1);
    let whole = |flags: u64| mount(c"none", c"/whole", c"", REMOUNT | flags);
    assert_eq!(whole(READ_ONLY), error(Errno::EBUSY));
    close(open(c"/whole/other", 1));
    close(writer);
    assert_eq!(whole(READ_ONLY), 0);
    for path in [c"/part/file", c"/whole/other"] {
        assert_eq!(call!(nr::open, path, 1, 0), error(Errno::EROFS));
    }
    assert_eq!(mount(c"none", c"/part", c"", REMOUNT | BIND), 0);
    assert_eq!(call!(nr::unlink, c"/part/file"), error(Errno::EROFS));
    // What the call does not speak of stays: how reading is noted, and what only the whole has.
    const SYNCHRONOUS: u64 = 16;
    const NO_ATIME: u64 = 1024;
    let flags = || {
        let mut told = [0u64; 15];
        assert_eq!(call!(nr::statfs, c"/whole", &mut told), 0);
        told[10] & (READ_ONLY | SYNCHRONOUS | NO_ATIME)
    };
    assert_eq!(whole(SYNCHRONOUS | NO_ATIME), 0);
    assert_eq!(flags(), SYNCHRONOUS | NO_ATIME);
    assert_eq!(whole(READ_ONLY | BIND), 0);
    assert_eq!(flags(), READ_ONLY | SYNCHRONOUS | NO_ATIME);
    assert_eq!(whole(1 << 24), 0);
    assert_eq!(flags(), 0);
    close(open(c"/part/file", 1));
    for path in [c"/part", c"/whole"] {
        assert_eq!(call!(nr::umount2, path, 0u32), 0, "{path:?}");
    }
}
