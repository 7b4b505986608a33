//! Names of files, and what directories list.

use super::*;

#[test]
fn names() {
    let _one = process();
    assert_eq!(call!(nr::mkdir, c"/names", 0o755), 0);
    assert_eq!(call!(nr::mkdir, c"/names", 0o755), error(Errno::EEXIST));
    let at = open(c"/names", 0o200000);
    assert_eq!(call!(nr::mkdirat, at, c"sub", 0o700), 0);
    assert_eq!(mode(c"/names/sub"), 0o40700);
    assert_eq!(call!(nr::mknod, c"/names/fifo", 0o10644u32, 0u32), 0);
    assert_eq!(call!(nr::mknodat, at, c"null", 0o20666u32, 0x103u32), 0);
    assert_eq!(mode(c"/names/fifo"), 0o10644);
    assert_eq!(stat(c"/names/null")[5], 0x103);
    assert_eq!(call!(nr::mknod, c"/names/x", 0o30000u32, 0u32), error(Errno::EINVAL));
    assert_eq!(call!(nr::symlink, c"sub", c"/names/link"), 0);
    assert_eq!(call!(nr::symlinkat, c"fifo", at, c"other"), 0);
    let mut target = [0u8; 10];
    assert_eq!(call!(nr::readlink, c"/names/link", &mut target[..]), 3);
    assert_eq!(&target[..3], b"sub");
    assert_eq!(call!(nr::readlinkat, at, c"other", &mut target[..2]), 2, "cut off");
    assert_eq!(call!(nr::readlink, c"/names/sub", &mut target[..]), error(Errno::EINVAL));
    assert_eq!(call!(nr::readlink, c"/names/link", &mut target[..0]), error(Errno::EINVAL));
    assert_eq!(call!(nr::readlink, EMPTY, &mut target[..]), error(Errno::ENOENT));
    assert_eq!(call!(nr::link, c"/names/fifo", c"/names/twin"), 0);
    assert_eq!(call!(nr::linkat, at, c"other", at, c"followed", 0x400u32), 0);
    assert_eq!(call!(nr::linkat, at, c"other", at, c"x", 1u32), error(Errno::EINVAL));
    assert_eq!(stat(c"/names/fifo")[2], 3);
    assert_eq!(call!(nr::rename, c"/names/twin", c"/names/moved"), 0);
    assert_eq!(call!(nr::renameat, at, c"moved", at, c"again"), 0);
    assert_eq!(call!(nr::renameat2, at, c"again", at, c"fifo", 1u32), error(Errno::EEXIST));
    assert_eq!(call!(nr::renameat2, at, c"again", at, c"sub", 2u32), 0);
    assert_eq!(mode(c"/names/again"), 0o40700, "they changed places");
    assert_eq!(call!(nr::unlink, c"/names/again"), error(Errno::EISDIR));
    assert_eq!(call!(nr::unlinkat, at, c"again", 0x200u32), 0);
    assert_eq!(call!(nr::unlinkat, at, c"sub", 7u32), error(Errno::EINVAL));
    for name in [c"/names/sub", c"/names/fifo", c"/names/null", c"/names/link", c"/names/other"] {
        assert_eq!(call!(nr::unlink, name), 0, "{name:?}");
    }
    assert_eq!(call!(nr::rmdir, c"/names"), error(Errno::ENOTEMPTY));
    assert_eq!(call!(nr::unlinkat, at, c"followed", 0u32), 0);
    assert_eq!(call!(nr::rmdir, c"/names"), 0);
    close(at);
}

#[test]
fn directories() {
    let _one = process();
    assert_eq!(call!(nr::mkdir, c"/dir", 0o755), 0);
    for name in [c"/dir/a", c"/dir/bb", c"/dir/ccc"] {
        close(open(name, CREATE));
    }
    let fd = open(c"/dir", 0o200000);
    let names = |call_number: u16, buffer: &mut [u8], type_first: bool| {
        let mut names = Vec::new();
        loop {
            let filled = call!(call_number, fd, &mut *buffer);
            if filled <= 0 {
                return (names, filled);
            }
            let mut rest = &buffer[..filled as usize];
            while !rest.is_empty() {
                let length = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
                let start = if type_first { 19 } else { 18 };
                let name = CStr::from_bytes_until_nul(&rest[start..]).unwrap();
                let kind = if type_first { rest[18] } else { rest[length - 1] };
                names.push((name.to_str().unwrap().to_owned(), kind));
                rest = &rest[length..];
            }
        }
    };
    let expected: Vec<_> = [(".", 4), ("..", 4), ("a", 8), ("bb", 8), ("ccc", 8)]
        .map(|(n, k)| (n.to_owned(), k))
        .into();
    assert_eq!(names(nr::getdents64, &mut [0; 500], true), (expected.clone(), 0));
    assert_eq!(call!(nr::lseek, fd, 0i64, 0), 0);
    assert_eq!(names(nr::getdents, &mut [0; 40], false), (expected.clone(), 0), "one by one");
    assert_eq!(call!(nr::lseek, fd, 0i64, 0), 0);
    assert_eq!(names(nr::getdents64, &mut [0; 20], true).1, error(Errno::EINVAL));
    assert_eq!(call!(nr::getdents64, 1, &mut [0u8; 50][..]), error(Errno::ENOTDIR));

    let mut path = [0u8; 20];
    assert_eq!(call!(nr::chdir, c"/dir"), 0);
    assert_eq!(call!(nr::getcwd, &mut path[..]), 5);
    assert_eq!(&path[..5], b"/dir\0");
    assert_eq!(call!(nr::getcwd, &mut path[..4]), error(Errno::ERANGE));
    close(open(c"a", 0));
    assert_eq!(call!(nr::chdir, c"a"), error(Errno::ENOTDIR));
    assert_eq!(call!(nr::chdir, c"/"), 0);
    assert_eq!(call!(nr::fchdir, fd), 0);
    close(open(c"bb", 0));
    assert_eq!(call!(nr::fchdir, 1), error(Errno::ENOTDIR));
    // A root of its own, and back through a descriptor.
    let root = open(c"/", 0o200000);
    assert_eq!(call!(nr::chroot, c"/dir"), 0);
    close(open(c"/ccc", 0));
    assert_eq!(call!(nr::open, c"/dir", 0, 0), error(Errno::ENOENT));
    assert_eq!(call!(nr::fchdir, root), 0);
    assert_eq!(call!(nr::chroot, c"."), 0);
    assert_eq!(call!(nr::chroot, c"/dir/a"), error(Errno::ENOTDIR));
    close(root);
    close(fd);
}
