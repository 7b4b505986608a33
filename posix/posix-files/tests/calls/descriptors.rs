//! Descriptors, and the console behind the first three.

use super::*;

#[test]
fn opening_and_closing() {
    let _one = process();
    let a = open(c"/open", CREATE);
    assert_eq!(call!(nr::creat, c"/open", 0o600), a as isize + 1, "the lowest number");
    close(a + 1);
    let again = call!(nr::openat, a, c"/open", 0, 0);
    assert_eq!(again, a as isize + 1, "an absolute path needs no directory");
    assert_eq!(call!(nr::openat, a, c"relative", 0, 0), error(Errno::ENOTDIR));
    assert_eq!(call!(nr::openat, 999, c"relative", 0, 0), error(Errno::EBADF));
    assert_eq!(call!(nr::openat, 999, EMPTY, 0, 0), error(Errno::ENOENT), "before the descriptor");
    assert_eq!(call!(nr::open, c"/missing", 0, 0), error(Errno::ENOENT));
    assert_eq!(call!(nr::open, 0usize, 0, 0), error(Errno::EFAULT));
    let long = CString::new(vec![b'x'; 5000]).unwrap();
    assert_eq!(call!(nr::open, long.as_c_str(), 0, 0), error(Errno::ENAMETOOLONG));
    close(a + 1);
    assert_eq!(call!(nr::close, a + 1), error(Errno::EBADF));
    let more: Vec<i32> = (0..4).map(|_| open(c"/open", 0)).collect();
    assert_eq!(call!(nr::close_range, more[0], more[1], 8), error(Errno::EINVAL));
    assert_eq!(call!(nr::close_range, more[1], more[0], 0), error(Errno::EINVAL));
    assert_eq!(call!(nr::close_range, more[1], more[2], 4), 0);
    assert_eq!(call!(nr::fcntl, more[2], 1, 0), 1, "marked");
    assert_eq!(call!(nr::close_range, more[0], u32::MAX, 0), 0);
    assert_eq!(call!(nr::close, more[3]), error(Errno::EBADF));
    close(a);
}

#[test]
fn without_a_number_nothing_is_opened() {
    let _one = process();
    let kept = open(c"/kept", CREATE);
    assert_eq!(call!(nr::write, kept, &b"of value"[..]), 8);
    let limit = fdtab::TABLE.limit();
    fdtab::TABLE.set_limit(kept as usize + 1);
    let full: Vec<i32> = std::iter::from_fn(|| i32::try_from(call!(nr::dup, kept)).ok())
        .take_while(|fd| *fd >= 0)
        .collect();
    let (truncate, exclusive) = (0o1001u32, 0o302u32);
    let results = [
        call!(nr::open, c"/kept", truncate, 0),
        call!(nr::creat, c"/kept", 0o600),
        call!(nr::open, c"/made", exclusive, 0o600),
        call!(nr::open, c"/missing", 0, 0),
    ];
    fdtab::TABLE.set_limit(limit);
    assert_eq!(results, [error(Errno::EMFILE); 4]);
    assert_eq!(read_all(kept), b"of value");
    assert_eq!(call!(nr::access, c"/made", 0), error(Errno::ENOENT));
    // What fails afterwards gives the number back.
    let next = open(c"/kept", 0);
    close(next);
    assert_eq!(call!(nr::open, c"/missing", 0, 0), error(Errno::ENOENT));
    assert_eq!(open(c"/kept", 0), next);
    [next, kept].into_iter().chain(full).for_each(close);
}

#[test]
fn descriptors() {
    let _one = process();
    let fd = open(c"/fds", CREATE);
    let twin = call!(nr::dup, fd) as i32;
    assert_eq!(call!(nr::write, fd, &b"abc"[..]), 3);
    assert_eq!(call!(nr::lseek, twin, 0i64, 1), 3, "one position");
    assert_eq!(call!(nr::dup2, fd, 100), 100);
    assert_eq!(call!(nr::dup2, 100, 100), 100);
    assert_eq!(call!(nr::dup2, 999, 999), error(Errno::EBADF));
    assert_eq!(call!(nr::dup3, fd, 101, 0o2000000u32), 101);
    assert_eq!(call!(nr::dup3, fd, fd, 0u32), error(Errno::EINVAL));
    assert_eq!(call!(nr::dup3, fd, 101, 1u32), error(Errno::EINVAL));
    assert_eq!((call!(nr::fcntl, 100, 1, 0), call!(nr::fcntl, 101, 1, 0)), (0, 1));
    assert_eq!(call!(nr::fcntl, 100, 2, 1), 0);
    assert_eq!(call!(nr::fcntl, 100, 1, 0), 1);
    assert_eq!(call!(nr::fcntl, fd, 0, 200), 200);
    assert_eq!(call!(nr::fcntl, fd, 1030, 200), 201);
    assert_eq!(call!(nr::fcntl, 201, 1, 0), 1);
    assert_eq!(call!(nr::fcntl, fd, 0, -1), error(Errno::EINVAL));
    assert_eq!(call!(nr::fcntl, fd, 3, 0), 0o100002);
    assert_eq!(call!(nr::fcntl, fd, 4, 0o2000), 0);
    assert_eq!(call!(nr::fcntl, twin, 3, 0), 0o102002);
    assert_eq!(call!(nr::fcntl, fd, 77, 0), error(Errno::EINVAL));
    assert_eq!(call!(nr::ioctl, fd, 0x5451u32, 0), 0, "FIOCLEX");
    assert_eq!(call!(nr::fcntl, fd, 1, 0), 1);
    assert_eq!(call!(nr::ioctl, fd, 0x5450u32, 0), 0);
    assert_eq!(call!(nr::ioctl, fd, 0x5421u32, &1i32), 0, "FIONBIO");
    assert_eq!(call!(nr::fcntl, fd, 3, 0), 0o106002);
    let mut bytes = 0i32;
    assert_eq!(call!(nr::lseek, fd, 1i64, 0), 1);
    assert_eq!((call!(nr::ioctl, fd, 0x541bu32, &mut bytes), bytes), (0, 2), "FIONREAD");
    assert_eq!(call!(nr::ioctl, fd, 0x5401u32, 0), error(Errno::ENOTTY), "TCGETS");
    let path_only = open(c"/fds", 0o10000000);
    assert_eq!(call!(nr::ioctl, path_only, 0x541bu32, &mut bytes), error(Errno::EBADF));
    assert_eq!(call!(nr::fcntl, path_only, 4, 0), error(Errno::EBADF));
    let mut ends = [0i32; 2];
    assert_eq!(call!(nr::pipe2, &mut ends, 1u32), error(Errno::EINVAL));
    assert_eq!(call!(nr::pipe2, &mut ends, 0o2000000u32), 0);
    assert_eq!(call!(nr::fcntl, ends[1], 1031, 100_000), 131_072);
    assert_eq!(call!(nr::fcntl, ends[1], 1032, 0), 131_072);
    assert_eq!(call!(nr::mknod, c"/named", 0o010_600, 0u64), 0);
    let named = open(c"/named", 2);
    assert_eq!(call!(nr::fcntl, named, 1032, 0), 65_536);
    assert_eq!(call!(nr::fcntl, named, 1031, 1), 4096);
    assert_eq!(call!(nr::fcntl, named, 1032, 0), 4096);
    close(named);
    let file = open(c"/no pipe", CREATE);
    assert_eq!(call!(nr::fcntl, file, 1032, 0), error(Errno::EBADF));
    assert_eq!(call!(nr::fcntl, file, 1031, 1), error(Errno::EBADF));
    close(file);
    assert_eq!(call!(nr::write, ends[1], &b"abcd"[..]), 4);
    assert_eq!((call!(nr::ioctl, ends[0], 0x541bu32, &mut bytes), bytes), (0, 4));
    assert_eq!(call!(nr::lseek, ends[0], 0i64, 0), error(Errno::ESPIPE));
    let memory = call!(nr::memfd_create, c"name", 1u32) as i32;
    assert_eq!(call!(nr::write, memory, &b"in memory"[..]), 9);
    assert_eq!(read_all(memory), b"in memory");
    assert_eq!(call!(nr::memfd_create, c"name", 0x100u32), error(Errno::EINVAL));
    // `F_ADD_SEALS` and `F_GET_SEALS`.
    assert_eq!(call!(nr::fcntl, memory, 1034, 0), 1);
    let sealed = call!(nr::memfd_create, c"name", 2u32) as i32;
    assert_eq!(call!(nr::write, sealed, &b"in memory"[..]), 9);
    assert_eq!(call!(nr::fcntl, sealed, 1033, 4), 0);
    assert_eq!(call!(nr::write, sealed, &b"x"[..]), error(Errno::EPERM), "it would grow");
    assert_eq!(call!(nr::fallocate, sealed, 0, 5i64, 5i64), error(Errno::EPERM));
    assert_eq!(call!(nr::pwrite64, sealed, &b"on"[..], 0i64), 2);
    assert_eq!(call!(nr::fcntl, sealed, 1033, 0x20), error(Errno::EINVAL));
    assert_eq!(call!(nr::fcntl, sealed, 1033, 8 | 1), 0);
    assert_eq!(call!(nr::pwrite64, sealed, &b"in"[..], 0i64), error(Errno::EPERM));
    assert_eq!(call!(nr::fallocate, sealed, 3, 0i64, 5i64), error(Errno::EPERM), "a hole");
    assert_eq!(call!(nr::ftruncate, sealed, 2i64), 0);
    assert_eq!(read_all(sealed), b"on");
    assert_eq!(call!(nr::fcntl, sealed, 1033, 2), error(Errno::EPERM));
    assert_eq!(call!(nr::fcntl, sealed, 1034, 0), 1 | 4 | 8);
    assert_eq!(call!(nr::close_range, fd, u32::MAX, 0), 0);
}

#[test]
fn flags_that_are_set_later() {
    const GET_FLAGS: u32 = 3;
    const SET_FLAGS: u32 = 4;
    const NONBLOCK: u32 = 0o4000;
    const ASYNC: u32 = 0o20000;
    const DIRECT: u32 = 0o40000;
    const NO_ATIME: u32 = 0o1_000_000;
    let _one = process();
    let fd = open(c"/later", CREATE);
    let mut ends = [0i32; 2];
    assert_eq!(call!(nr::pipe, &mut ends), 0);
    let set = |fd: i32, flags: u32| call!(nr::fcntl, fd, SET_FLAGS, flags);
    let flags = |fd: i32| call!(nr::fcntl, fd, GET_FLAGS, 0) as u32;
    assert_eq!((set(fd, DIRECT | NONBLOCK), flags(fd)), (0, 0o100002 | DIRECT | NONBLOCK));
    assert_eq!((set(fd, 0), flags(fd)), (0, 0o100002));
    for other in [ends[0], 1] {
        assert_eq!(set(other, DIRECT), error(Errno::EINVAL));
        assert_eq!((set(other, ASYNC), flags(other) & ASYNC), (0, 0), "nothing would be sent");
    }
    assert_eq!(call!(nr::setresuid, 1u32, 1u32, 0u32), 0);
    let others = (set(fd, NO_ATIME | NONBLOCK), flags(fd));
    assert_eq!(call!(nr::setresuid, 0u32, 0u32, 0u32), 0);
    assert_eq!(others, (error(Errno::EPERM), 0o100002));
    assert_eq!((set(fd, NO_ATIME), flags(fd)), (0, 0o100002 | NO_ATIME));
    assert_eq!(call!(nr::setresuid, 1u32, 1u32, 0u32), 0);
    let kept = set(fd, NO_ATIME | NONBLOCK);
    assert_eq!(call!(nr::setresuid, 0u32, 0u32, 0u32), 0);
    assert_eq!((kept, flags(fd)), (0, 0o100002 | NO_ATIME | NONBLOCK));
    [fd, ends[0], ends[1]].into_iter().for_each(close);
}

#[test]
fn who_is_sent_signals_about_a_file() {
    const SET_OWNER: u32 = 8;
    const GET_OWNER: u32 = 9;
    const SET_SIGNAL: u32 = 10;
    const GET_SIGNAL: u32 = 11;
    let _one = process();
    let fd = open(c"/owned", CREATE);
    let twin = call!(nr::dup, fd) as i32;
    let process = call!(nr::getpid);
    let owner = || call!(nr::fcntl, twin, GET_OWNER, 0);
    assert_eq!(owner(), 0);
    for who in [process, -process, 0] {
        assert_eq!((call!(nr::fcntl, fd, SET_OWNER, who), owner()), (0, who));
    }
    assert_eq!(call!(nr::fcntl, fd, SET_OWNER, 99_999), error(Errno::ESRCH));
    assert_eq!(call!(nr::fcntl, fd, SET_OWNER, i32::MIN), error(Errno::EINVAL));
    assert_eq!((call!(nr::fcntl, fd, GET_SIGNAL, 0), call!(nr::fcntl, fd, SET_SIGNAL, 0)), (0, 0));
    assert_eq!(call!(nr::fcntl, fd, SET_SIGNAL, 10), error(Errno::EINVAL), "none is sent");
    let path_only = open(c"/owned", 0o10000000);
    assert_eq!(call!(nr::fcntl, path_only, GET_OWNER, 0), error(Errno::EBADF));
    [path_only, twin, fd].into_iter().for_each(close);
}

#[test]
fn the_console_is_open() {
    let _one = process();
    assert_eq!(call!(nr::write, 1, &b""[..]), 0);
    let mut result = [0u64; 18];
    for fd in 0..3 {
        assert_eq!(call!(nr::fstat, fd, &mut result), 0);
        assert_eq!(result[3] as u32, 0o20600);
    }
    assert_eq!(call!(nr::lseek, 0, 0i64, 0), error(Errno::ESPIPE));
    assert_eq!(call!(nr::fcntl, 0, 4, 0o4000), 0);
    assert_eq!(call!(nr::read, 0, &mut [0u8; 4][..]), error(Errno::EAGAIN));
    assert_eq!(call!(nr::fcntl, 0, 4, 0), 0);
}
