//! Metadata, and who may change it.

use super::*;

#[test]
fn files_are_those_of_whom_the_process_has_become() {
    let _one = process();
    const KEEP: u32 = u32::MAX;
    let fd = open(c"/secret", CREATE);
    assert_eq!(call!(nr::fchmod, fd, 0o600), 0);
    assert_eq!(call!(nr::setgroups, 1usize, &[50u32]), 0);
    // The real user is another, as with a program that is run for somebody.
    assert_eq!(call!(nr::setresuid, 1000u32, KEEP, KEEP), 0);
    assert_eq!(call!(nr::access, c"/secret", 4), error(Errno::EACCES));
    assert_eq!(call!(nr::faccessat2, AT_FDCWD, c"/secret", 4, 0x200u32), 0);
    assert_eq!(call!(nr::setresuid, KEEP, 1000u32, KEEP), 0);
    assert_eq!(call!(nr::open, c"/secret", 0, 0), error(Errno::EACCES));
    assert_eq!(call!(nr::chown, c"/secret", 1000, 1000), error(Errno::EPERM));
    assert_eq!(
        call!(nr::open, c"/mine", CREATE, 0o600),
        error(Errno::EACCES),
        "the root directory"
    );
    assert_eq!(call!(nr::pwrite64, fd, &b"open"[..], 0i64), 4, "what is open stays open");
    assert_eq!(call!(nr::setfsuid, 0u32), 1000);
    close(open(c"/secret", 0));
    assert_eq!(call!(nr::setresuid, 0u32, 0u32, 0u32), 0);
    // Supplementary groups count.
    assert_eq!(call!(nr::fchown, fd, 0, 50), 0);
    assert_eq!(call!(nr::fchmod, fd, 0o640), 0);
    assert_eq!(call!(nr::setresuid, KEEP, 1000u32, KEEP), 0);
    close(open(c"/secret", 0));
    assert_eq!(call!(nr::open, c"/secret", 1, 0), error(Errno::EACCES));
    assert_eq!(call!(nr::setresuid, KEEP, 0u32, KEEP), 0);
    assert_eq!(call!(nr::setgroups, 0usize, 0), 0);
    assert_eq!(call!(nr::setresuid, KEEP, 1000u32, KEEP), 0);
    assert_eq!(call!(nr::open, c"/secret", 0, 0), error(Errno::EACCES));
    assert_eq!(call!(nr::setresuid, 0u32, 0u32, 0u32), 0);
    close(fd);
}

#[test]
fn metadata() {
    let _one = process();
    let fd = open(c"/meta", CREATE);
    assert_eq!(call!(nr::write, fd, &[1u8; 5000][..]), 5000);
    let plain = stat(c"/meta");
    let mut other = [0u64; 18];
    assert_eq!(call!(nr::fstat, fd, &mut other), 0);
    assert_eq!(other, plain);
    assert_eq!(
        (plain[2], plain[3] as u32, plain[6], plain[7], plain[8]),
        (1, 0o100644, 5000, 4096, 16)
    );
    assert!(plain[11] > 1_600_000_000, "seconds: {}", plain[11]);
    assert_eq!(call!(nr::symlink, c"meta", c"/meta-link"), 0);
    assert_eq!(stat(c"/meta-link")[1], plain[1]);
    assert_eq!(call!(nr::lstat, c"/meta-link", &mut other), 0);
    assert_eq!((other[3] as u32, other[6]), (0o120777, 4));
    assert_eq!(call!(nr::newfstatat, AT_FDCWD, c"/meta-link", &mut other, 0x100u32), 0);
    assert_eq!(other[6], 4);
    assert_eq!(call!(nr::newfstatat, fd, EMPTY, &mut other, 0x1000u32), 0);
    assert_eq!(other[1], plain[1]);
    assert_eq!(call!(nr::newfstatat, fd, EMPTY, &mut other, 0u32), error(Errno::ENOENT));
    assert_eq!(call!(nr::newfstatat, fd, EMPTY, &mut other, 1u32), error(Errno::EINVAL));
    let mut ends = [0i32; 2];
    assert_eq!(call!(nr::pipe2, &mut ends, 0o4000u32), 0);
    assert_eq!(call!(nr::fstat, ends[0], &mut other), 0);
    assert_eq!(other[3] as u32, 0o10600);

    let mut more = [0u64; 32];
    assert_eq!(call!(nr::statx, AT_FDCWD, c"/meta", 0u32, 0xfffu32, &mut more), 0);
    assert_eq!(((more[3] >> 32) as u32 & 0xffff, more[4], more[5]), (0o100644, plain[1], 5000));
    let birth = 0x800;
    assert!(more[0] & birth != 0 && more[10] > 1_600_000_000, "when it was made");
    let mount_root = 0x2000;
    assert_eq!((more[1], more[7]), (0, mount_root));
    assert_eq!(call!(nr::statx, AT_FDCWD, c"/", 0u32, 0xfffu32, &mut more), 0);
    assert_eq!((more[1], more[7]), (mount_root, mount_root));
    assert_eq!(
        call!(nr::statx, AT_FDCWD, c"/meta", 0u32, 1u32 << 31, &mut more),
        error(Errno::EINVAL)
    );
    assert_eq!(call!(nr::statx, ends[0], EMPTY, 0x1000u32, 0xfffu32, &mut more), 0);
    assert_eq!(more[0] & birth, 0, "of a pipe nobody knows");
    assert_eq!(more[1], 0);

    let mut fs = [0u64; 15];
    assert_eq!(call!(nr::statfs, c"/", &mut fs), 0);
    assert_eq!((fs[0], fs[1], fs[8]), (0x0102_1994, 4096, 255));
    assert_eq!(call!(nr::fstatfs, fd, &mut fs), 0);
    let magic = |fd: i32| {
        let mut fs = [0u64; 15];
        assert_eq!(call!(nr::fstatfs, fd, &mut fs), 0);
        assert_eq!((fs[1], fs[8], fs[10]), (4096, 255, 0x20));
        fs[0]
    };
    assert_eq!((magic(ends[0]), magic(1)), (0x5049_5045, 0x0102_1994));
    [fd, ends[0], ends[1]].into_iter().for_each(close);
}

#[test]
fn changing_metadata() {
    let _one = process();
    let fd = open(c"/change", CREATE);
    assert_eq!(call!(nr::chmod, c"/change", 0o600), 0);
    assert_eq!(mode(c"/change"), 0o100600);
    assert_eq!(call!(nr::fchmod, fd, 0o640), 0);
    assert_eq!(call!(nr::fchmodat, AT_FDCWD, c"/change", 0o641), 0);
    assert_eq!(mode(c"/change"), 0o100641);
    assert_eq!(call!(nr::symlink, c"change", c"/change-link"), 0);
    let no_follow = 0x100u32;
    assert_eq!(
        call!(nr::fchmodat2, AT_FDCWD, c"/change-link", 0, no_follow),
        error(Errno::EOPNOTSUPP)
    );
    assert_eq!(call!(nr::chown, c"/change", 5u32, 6u32), 0);
    assert_eq!((stat(c"/change")[3] >> 32, stat(c"/change")[4] as u32), (5, 6));
    assert_eq!(call!(nr::fchown, fd, u32::MAX, 7u32), 0);
    assert_eq!((stat(c"/change")[3] >> 32, stat(c"/change")[4] as u32), (5, 7));
    assert_eq!(call!(nr::lchown, c"/change-link", 9u32, 9u32), 0);
    assert_eq!(call!(nr::fchownat, AT_FDCWD, c"/change", 1u32, 2u32, 0u32), 0);
    assert_eq!(stat(c"/change")[3] >> 32, 1, "not those of the link");
    assert_eq!(call!(nr::fchownat, AT_FDCWD, c"/change", 1u32, 2u32, 1u32), error(Errno::EINVAL));

    let times = [[100i64, 5], [200, 6]];
    assert_eq!(call!(nr::utimensat, AT_FDCWD, c"/change", &times, 0u32), 0);
    assert_eq!(stat(c"/change")[9..13], [100, 5, 200, 6]);
    let some = [[0i64, (1 << 30) - 2], [300, 0]];
    assert_eq!(call!(nr::utimensat, fd, 0usize, &some, 0u32), 0);
    assert_eq!(stat(c"/change")[9..13], [100, 5, 300, 0]);
    let bad = [[0i64, 1_000_000_000], [0, 0]];
    assert_eq!(call!(nr::utimensat, AT_FDCWD, c"/change", &bad, 0u32), error(Errno::EINVAL));
    assert_eq!(call!(nr::utimensat, AT_FDCWD, 0usize, &times, 0u32), error(Errno::EFAULT));
    assert_eq!(call!(nr::utimes, c"/change", &[[1i64, 2], [3, 4]]), 0);
    assert_eq!(stat(c"/change")[9..13], [1, 2000, 3, 4000]);
    assert_eq!(call!(nr::utimes, c"/change", &[[1i64, 1_000_000], [3, 4]]), error(Errno::EINVAL));
    assert_eq!(call!(nr::futimesat, AT_FDCWD, c"/change", &[[5i64, 0], [6, 0]]), 0);
    assert_eq!(call!(nr::utime, c"/change", &[8i64, 9]), 0);
    assert_eq!(stat(c"/change")[9..13], [8, 0, 9, 0]);
    assert_eq!(call!(nr::utime, c"/change", 0usize), 0);
    assert!(stat(c"/change")[11] > 1_600_000_000, "now");

    // Nothing depends on those of a pipe, and programs do not care which end of what they have.
    let mut ends = [0i32; 2];
    assert_eq!(call!(nr::pipe, &mut ends), 0);
    assert_eq!(call!(nr::fchmod, ends[0], 0o600), 0);
    assert_eq!(call!(nr::fchown, ends[0], 1u32, 1u32), 0);
    assert_eq!(call!(nr::utimensat, ends[0], 0usize, &times, 0u32), 0);
    let empty_path = 0x1000u32;
    assert_eq!(call!(nr::fchmodat2, ends[0], EMPTY, 0o600, empty_path), 0);
    assert_eq!(call!(nr::fchownat, ends[0], EMPTY, 1u32, 1u32, empty_path), 0);
    assert_eq!(call!(nr::utimensat, ends[0], EMPTY, &times, empty_path), 0);
    assert_eq!(call!(nr::faccessat2, ends[0], EMPTY, 4u32, empty_path), 0);
    assert_eq!(call!(nr::faccessat2, ends[0], EMPTY, 1u32, empty_path), error(Errno::EACCES));
    assert_eq!(call!(nr::fchownat, 999, EMPTY, 1u32, 1u32, empty_path), error(Errno::EBADF));
    ends.into_iter().for_each(close);
    let path_only = open(c"/change", 0o10000000);
    assert_eq!(call!(nr::fchown, path_only, 5u32, 7u32), error(Errno::EBADF));
    assert_eq!(call!(nr::fchownat, path_only, EMPTY, 4u32, 7u32, empty_path), 0);
    assert_eq!((stat(c"/change")[3] >> 32, stat(c"/change")[4] as u32), (4, 7));
    close(path_only);

    assert_eq!(call!(nr::truncate, c"/change", 100i64), 0);
    assert_eq!(call!(nr::ftruncate, fd, 50i64), 0);
    assert_eq!(stat(c"/change")[6], 50);
    assert_eq!(call!(nr::truncate, c"/change", -1i64), error(Errno::EINVAL));
    assert_eq!(call!(nr::truncate, c"/", 0i64), error(Errno::EISDIR));
    assert_eq!(call!(nr::fallocate, fd, 0, 0i64, 9000i64), 0);
    assert_eq!(stat(c"/change")[6], 9000);
    assert_eq!(call!(nr::fallocate, fd, 3, 0i64, 4096i64), 0);
    assert_eq!(call!(nr::lseek, fd, 0i64, 3), 4096, "SEEK_DATA");
    assert_eq!(call!(nr::lseek, fd, 0i64, 4), 0, "SEEK_HOLE");
    assert_eq!(call!(nr::fallocate, fd, 8, 0i64, 4096i64), error(Errno::EOPNOTSUPP));
    assert_eq!(call!(nr::fallocate, fd, 2, 0i64, 4096i64), error(Errno::EOPNOTSUPP));
    assert_eq!(call!(nr::fallocate, 999, 2, 0i64, 4096i64), error(Errno::EBADF));
    assert_eq!(call!(nr::ftruncate, 999, -1i64), error(Errno::EINVAL));

    for (wanted, flags) in [(4u32, 0u32), (2, 0), (0, 0x100)] {
        assert_eq!(call!(nr::faccessat2, AT_FDCWD, c"/change", wanted, flags), 0);
    }
    assert_eq!(call!(nr::access, c"/change", 1u32), 0);
    assert_eq!(call!(nr::chmod, c"/change", 0o600), 0);
    assert_eq!(call!(nr::access, c"/change", 1u32), error(Errno::EACCES));
    assert_eq!(call!(nr::faccessat, AT_FDCWD, c"/none", 0u32), error(Errno::ENOENT));
    assert_eq!(call!(nr::access, c"/change", 8u32), error(Errno::EINVAL));
    let before = call!(nr::umask, 0o077);
    let new = open(c"/masked", CREATE);
    assert_eq!(mode(c"/masked"), 0o100600);
    assert_eq!(call!(nr::umask, before as u32), 0o077);
    close(new);
    close(fd);
}

#[test]
fn what_others_change_has_no_set_id_bits() {
    const USER: u32 = 65534;
    const READ_WRITE: u32 = 2;
    const TRUNCATE: u32 = 0o1000;
    let _one = process();
    close(open(c"/set-id", CREATE));
    let changes: [&dyn Fn() -> isize; 4] = [
        &|| call!(nr::truncate, c"/set-id", 5i64),
        &|| {
            close(open(c"/set-id", READ_WRITE | TRUNCATE));
            0
        },
        &|| {
            let fd = open(c"/set-id", READ_WRITE);
            let result = call!(nr::ftruncate, fd, 7i64);
            close(fd);
            result
        },
        &|| {
            let fd = open(c"/set-id", READ_WRITE);
            let result = call!(nr::fallocate, fd, 0, 0i64, 100i64);
            close(fd);
            result
        },
    ];
    for (index, change) in changes.iter().enumerate() {
        for (user, kept) in [(0, 0o6755), (USER, 0o755)] {
            assert_eq!(call!(nr::chown, c"/set-id", USER, USER), 0);
            assert_eq!(call!(nr::chmod, c"/set-id", 0o6755), 0);
            assert_eq!(call!(nr::setresuid, user, user, 0u32), 0);
            assert_eq!(change(), 0, "{index}");
            assert_eq!(call!(nr::setresuid, 0u32, 0u32, 0u32), 0);
            assert_eq!(mode(c"/set-id") & 0o7777, kept, "{index} {user}");
        }
    }
}

#[test]
fn the_working_directory_itself_needs_no_search() {
    let _one = process();
    assert_eq!(call!(nr::mkdir, c"/closed", 0o600), 0);
    assert_eq!(call!(nr::chdir, c"/closed"), 0);
    let as_user = |user: u32| {
        posix_files::update(|context| context.credentials.user = user).unwrap();
        let mut result = [0u64; 18];
        let itself = call!(nr::newfstatat, AT_FDCWD, EMPTY, &mut result, 0x1000u32);
        let dot = call!(nr::newfstatat, AT_FDCWD, c".", &mut result, 0u32);
        (itself, dot)
    };
    let (user, root) = (as_user(1), as_user(0));
    assert_eq!((user, root), ((0, error(Errno::EACCES)), (0, 0)));
    assert_eq!(call!(nr::chdir, c"/"), 0);
    assert_eq!(call!(nr::rmdir, c"/closed"), 0);
}
