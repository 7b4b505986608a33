//! Arguments that mean nothing, or little.

use super::*;

/// What Linux 6.18 says of arguments that mean nothing, or little.
#[test]
fn arguments_that_mean_little() {
    const PATH: u32 = 0o10_000_000;
    let _process = process();
    close(open(c"/little", CREATE));
    let (omit, bad) = ([0i64, (1 << 30) - 2], [0i64, -1]);
    let (omit, bad) = ([omit, omit], [bad, bad]);
    // Nothing is looked at, not even flags and paths.
    assert_eq!(call!(nr::utimensat, AT_FDCWD, c"/none", &omit, 0u32), 0);
    assert_eq!(call!(nr::utimensat, AT_FDCWD, c"/little", &omit, 1u32), 0);
    assert_eq!(call!(nr::utimensat, AT_FDCWD, c"/none", &bad, 0u32), error(Errno::EINVAL));
    let fd = open(c"/little", CREATE);
    let times = [[1i64, 2]; 2];
    assert_eq!(call!(nr::utimensat, fd, 0usize, &times, 0x1000u32), error(Errno::EINVAL));
    assert_eq!(call!(nr::utimensat, fd, 0usize, &times, 0u32), 0);

    let mut text = [0u8; 10];
    let file = open(c"/little", PATH);
    assert_eq!(call!(nr::readlinkat, file, EMPTY, &mut text[..]), error(Errno::ENOENT));
    assert_eq!(call!(nr::readlinkat, AT_FDCWD, c"/little", &mut text[..]), error(Errno::EINVAL));

    let mut ends = [0i32; 2];
    assert_eq!(call!(nr::pipe, &mut ends), 0);
    for flags in [0u32, 2] {
        let sync = |fd: i32| call!(nr::sync_file_range, fd, 0i64, 10i64, flags);
        assert_eq!(sync(ends[0]), error(Errno::ESPIPE));
        assert_eq!(sync(file), error(Errno::EBADF));
        assert_eq!(sync(fd), 0);
    }
    let advise = |fd: i32| call!(nr::fadvise64, fd, 0i64, 0i64, 0u32);
    assert_eq!(
        (advise(ends[0]), advise(file), advise(fd)),
        (error(Errno::ESPIPE), error(Errno::EBADF), 0)
    );

    // What is left of a file that has more than a word can tell.
    const SIZE: i64 = 3 << 30;
    assert_eq!(call!(nr::ftruncate, fd, SIZE), 0);
    let left = |at: i64| {
        let mut bytes = 0i32;
        assert_eq!(call!(nr::lseek, fd, at, 0), at as isize);
        assert_eq!(call!(nr::ioctl, fd, 0x541b_u32, &mut bytes), 0);
        i64::from(bytes)
    };
    assert_eq!(
        [left(0), left(2 << 30), left(SIZE), left(SIZE + 1)],
        [i64::from(i32::MAX), 1 << 30, 0, 0]
    );
    for fd in [fd, file, ends[0], ends[1]] {
        close(fd);
    }
    assert_eq!(call!(nr::unlink, c"/little"), 0);

    assert_eq!(call!(nr::mkdir, c"/little", 0o755), 0);
    let mount = |kind: &CStr, flags: u64| call!(nr::mount, c"x", c"/little", kind, flags, 0usize);
    assert_eq!(call!(nr::mount, c"x", c"/little", 0usize, 0u64, 0usize), error(Errno::EINVAL));
    // MS_NOSYMFOLLOW would have to do something.
    assert_eq!(mount(c"ramfs", 256), error(Errno::EINVAL));
    // MS_LAZYTIME, MS_DIRSYNC; MS_MGC_VAL.
    assert_eq!(mount(c"ramfs", 1 << 25 | 128), 0);
    assert_eq!(call!(nr::umount2, c"/little", 0u32), 0);
    assert_eq!(mount(c"ramfs", 0xc0ed_0000 | 1), 0);
    // Before it is looked whether there is such a name.
    assert_eq!(call!(nr::unlink, c"/little/none"), error(Errno::EROFS));
    assert_eq!(call!(nr::rmdir, c"/little/none"), error(Errno::EROFS));
    assert_eq!(call!(nr::umount2, c"/little", 0u32), 0);
    assert_eq!(call!(nr::rmdir, c"/little"), 0);
}
