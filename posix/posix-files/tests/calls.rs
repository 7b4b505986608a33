//! Every call, as an application makes it. What the calls do is compared with the host's in
//! `fs/ramfs`; here it is about arguments, structures, and errors.

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

/// `struct iovec`s of buffers.
fn vectors(buffers: &[&[u8]]) -> Vec<[usize; 2]> {
    buffers.iter().map(|b| [b.as_ptr() as usize, b.len()]).collect()
}

macro_rules! vectored {
    ($number:expr, $fd:expr, $list:expr $(, $rest:expr)*) => {
        call!($number, $fd, $list.as_ptr() as usize, $list.len() $(, $rest)*)
    };
}

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
fn reading_and_writing() {
    let _one = process();
    let fd = open(c"/rw", CREATE);
    assert_eq!(call!(nr::write, fd, &b"0123456789"[..]), 10);
    assert_eq!(call!(nr::lseek, fd, 2i64, 0), 2);
    let mut two = [0u8; 2];
    assert_eq!(call!(nr::read, fd, &mut two[..]), 2);
    assert_eq!(&two, b"23");
    assert_eq!(call!(nr::lseek, fd, 0i64, 9), error(Errno::EINVAL));
    assert_eq!(call!(nr::pwrite64, fd, &b"ab"[..], 4i64), 2);
    assert_eq!(call!(nr::pread64, fd, &mut two[..], 4i64), 2);
    assert_eq!(&two, b"ab");
    assert_eq!(call!(nr::pread64, fd, &mut two[..], -1i64), error(Errno::EINVAL));

    let list = vectors(&[b"xx", b"", b"yyy"]);
    assert_eq!(vectored!(nr::writev, fd, list), 5);
    assert_eq!(vectored!(nr::pwritev, fd, list, 20i64, 0), 5);
    assert_eq!(vectored!(nr::pwritev2, fd, list, -1i64, 0, 0x10u32), 5, "RWF_APPEND");
    assert_eq!(vectored!(nr::pwritev2, fd, list, 0i64, 0, 0x100u32), error(Errno::EOPNOTSUPP));
    assert_eq!(read_all(fd), b"0123xxyyy9\0\0\0\0\0\0\0\0\0\0xxyyyxxyyy");
    let mut seven = [0u8; 7];
    let at = seven.as_mut_ptr() as usize;
    let list = [[at, 3], [at, 0], [at + 3, 4]];
    assert_eq!(vectored!(nr::preadv, fd, list, 2i64, 0), 7);
    assert_eq!(std::hint::black_box(&mut seven), b"23xxyyy");
    assert_eq!(call!(nr::lseek, fd, 0i64, 0), 0);
    assert_eq!(vectored!(nr::readv, fd, list), 7);
    assert_eq!(std::hint::black_box(&mut seven), b"0123xxy");
    assert_eq!(vectored!(nr::preadv2, fd, list, -1i64, 0, 0u32), 7);
    assert_eq!(std::hint::black_box(&mut seven), b"yy9\0\0\0\0");
    let many = vec![[0usize; 2]; 1025];
    assert_eq!(vectored!(nr::readv, fd, many), error(Errno::EINVAL));
    let bad = [[8usize, 4]];
    assert_eq!(vectored!(nr::writev, fd, bad), error(Errno::EFAULT));
    assert_eq!(call!(nr::read, 999, &mut two[..]), error(Errno::EBADF));
    close(fd);
}

#[test]
fn copying_between_files() {
    let _one = process();
    let (from, to) = (open(c"/from", CREATE), open(c"/to", CREATE));
    assert_eq!(call!(nr::write, from, &[7u8; 10_000][..]), 10_000);
    let mut offset = 9_990i64;
    assert_eq!(call!(nr::sendfile, to, from, &mut offset, 100usize), 10);
    assert_eq!((offset, call!(nr::lseek, from, 0i64, 1)), (10_000, 10_000));
    assert_eq!(call!(nr::lseek, from, 5i64, 0), 5);
    assert_eq!(call!(nr::sendfile, to, from, 0usize, 5usize), 5);
    assert_eq!(call!(nr::lseek, from, 0i64, 1), 10);
    assert_eq!(read_all(to), [7; 15]);
    let mut ends = [0i32; 2];
    assert_eq!(call!(nr::pipe, &mut ends), 0);
    assert_eq!(call!(nr::sendfile, ends[1], from, 0usize, 50usize), 50);
    assert_eq!(call!(nr::sendfile, to, ends[0], 0usize, 50usize), error(Errno::EINVAL));
    let (mut a, mut b) = (1i64, 100i64);
    assert_eq!(call!(nr::copy_file_range, from, &mut a, to, &mut b, 20usize, 0u32), 20);
    assert_eq!((a, b), (21, 120));
    assert_eq!(
        call!(nr::copy_file_range, from, &mut a, from, &mut b, 200usize, 0u32),
        error(Errno::EINVAL)
    );
    assert_eq!(
        call!(nr::copy_file_range, from, 0usize, to, 0usize, 1usize, 1u32),
        error(Errno::EINVAL)
    );
    assert_eq!(
        call!(nr::copy_file_range, ends[0], 0usize, to, 0usize, 1usize, 0u32),
        error(Errno::EINVAL)
    );
    [from, to, ends[0], ends[1]].into_iter().for_each(close);
}

/// Runs `transfer` in threads of their own, all at once, and waits a while for each.
fn all_end<const N: usize>(transfers: [impl Fn() + Send + 'static; N]) {
    let (tell, told) = mpsc::channel();
    for transfer in transfers {
        let tell = tell.clone();
        std::thread::spawn(move || {
            transfer();
            tell.send(()).unwrap();
        });
    }
    for _ in 0..N {
        told.recv_timeout(Duration::from_secs(60)).expect("a transfer waits for ever");
    }
}

#[test]
fn transfers_wait_for_nobody_who_waits_for_them() {
    let _one = process();
    let (a, b) = (open(c"/a", CREATE), open(c"/b", CREATE));
    for fd in [a, b] {
        assert_eq!(call!(nr::write, fd, &[7u8; 300_000][..]), 300_000);
        assert_eq!(call!(nr::lseek, fd, 0i64, 0), 0);
    }
    // To itself, under another number: what is read and what is written is at one position.
    let twin = call!(nr::dup, a) as i32;
    all_end([move || assert_eq!(call!(nr::sendfile, twin, a, 0usize, 10usize), 10)]);
    assert_eq!(call!(nr::lseek, a, 0i64, 1), 10);
    let there_and_back = [(a, b), (b, a)].map(|(from, to)| {
        move || {
            for _ in 0..500 {
                assert_eq!(call!(nr::sendfile, to, from, &mut 0i64, 20_000usize), 20_000);
                assert!(call!(nr::sendfile, to, from, 0usize, 10usize) >= 0);
                assert_eq!(call!(nr::lseek, from, 0i64, 0), 0);
            }
        }
    });
    all_end(there_and_back);
    // While a transfer waits for room, its file can be used; it goes on with what is there then.
    let mut ends = [0i32; 2];
    assert_eq!(call!(nr::pipe, &mut ends), 0);
    let sends =
        std::thread::spawn(move || call!(nr::sendfile, ends[1], b, &mut 0i64, 250_000usize));
    let mut waiting = 0i32;
    while waiting < 65_536 {
        assert_eq!(call!(nr::ioctl, ends[0], 0x541b, &mut waiting), 0);
        std::thread::yield_now();
    }
    all_end([move || {
        assert_eq!(call!(nr::pwrite64, b, &[8u8; 10][..], 249_990i64), 10);
        assert_eq!(call!(nr::lseek, b, 5i64, 0), 5);
    }]);
    let mut all = Vec::new();
    while all.len() < 250_000 {
        let mut bytes = vec![0u8; 50_000];
        let read = call!(nr::read, ends[0], &mut bytes[..]);
        all.extend_from_slice(&bytes[..read as usize]);
    }
    assert_eq!(sends.join().unwrap(), 250_000);
    assert_eq!((all[249_989], &all[249_990..]), (7, &[8; 10][..]));
    // Who does not want to wait gets what there is room for.
    assert_eq!(call!(nr::fcntl, ends[1], 4, 0o4000), 0);
    assert_eq!(call!(nr::sendfile, ends[1], b, &mut 0i64, 250_000usize), 65_536);
    let full = call!(nr::sendfile, ends[1], b, &mut 0i64, 1usize);
    assert_eq!(full, error(Errno::EAGAIN));
    [a, b, twin, ends[0], ends[1]].into_iter().for_each(close);
}

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
    assert_eq!(
        call!(nr::statx, AT_FDCWD, c"/meta", 0u32, 1u32 << 31, &mut more),
        error(Errno::EINVAL)
    );
    assert_eq!(call!(nr::statx, ends[0], EMPTY, 0x1000u32, 0xfffu32, &mut more), 0);
    assert_eq!(more[0] & birth, 0, "of a pipe nobody knows");

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
    ends.into_iter().for_each(close);

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

/// `struct flock`, which outlives the statement that it is written in.
fn flock(kind: u64, start: u64, length: u64) -> &'static [u64; 4] {
    Box::leak(Box::new([kind, start, length, 0]))
}

#[test]
fn locks_side_by_side_are_one() {
    const SET: i32 = 37;
    const GET: i32 = 36;
    let _one = process();
    let (a, b) = (open(c"/joined", CREATE), open(c"/joined", CREATE));
    let of_a = |kind, start, length| call!(nr::fcntl, a, SET, flock(kind, start, length));
    let found = || {
        let mut found = *flock(1, 0, 0);
        assert_eq!(call!(nr::fcntl, b, GET, &mut found), 0);
        found
    };
    for at in [1, 3, 0, 2, 4] {
        assert_eq!(of_a(1, at, 1), 0);
    }
    assert_eq!(found()[..3], [1, 0, 5]);
    assert_eq!(of_a(0, 5, 5), 0);
    assert_eq!(found()[..3], [1, 0, 5], "of another kind");
    assert_eq!(of_a(0, 2, 1), 0);
    assert_eq!(of_a(1, 2, 4), 0);
    assert_eq!(found()[..3], [1, 0, 6]);
    assert_eq!(of_a(2, 0, 6), 0);
    assert_eq!(found()[..3], [0, 6, 4]);
    [a, b].into_iter().for_each(close);
}

#[test]
fn locks() {
    let _one = process();
    let (a, b) = (open(c"/locks", CREATE), open(c"/locks", CREATE));
    const SET: i32 = 37;
    const GET: i32 = 36;
    assert_eq!(call!(nr::fcntl, a, SET, flock(1, 10, 10)), 0);
    assert_eq!(call!(nr::fcntl, b, SET, flock(0, 15, 1)), error(Errno::EAGAIN));
    assert_eq!(call!(nr::fcntl, b, SET, flock(1, 20, 0)), 0, "to the end");
    let mut found = *flock(0, 0, 0);
    assert_eq!(call!(nr::fcntl, b, GET, &mut found), 0);
    assert_eq!(found, [1, 10, 10, u32::MAX.into()]);
    // The middle is freed, the ends stay.
    assert_eq!(call!(nr::fcntl, a, SET, flock(2, 13, 2)), 0);
    assert_eq!(call!(nr::fcntl, b, SET, flock(1, 13, 2)), 0);
    assert_eq!(call!(nr::fcntl, b, SET, flock(1, 12, 1)), error(Errno::EAGAIN));
    assert_eq!(call!(nr::fcntl, b, SET, flock(1, 15, 1)), error(Errno::EAGAIN));
    // Locks of the process see those of open files, and go when any descriptor does.
    assert_eq!(call!(nr::fcntl, a, 6, flock(1, 0, 5)), 0);
    assert_eq!(call!(nr::fcntl, b, 6, flock(1, 0, 5)), 0, "its own");
    assert_eq!(call!(nr::fcntl, b, SET, flock(0, 4, 1)), error(Errno::EAGAIN));
    let mut found = *flock(1, 0, 11);
    assert_eq!(call!(nr::fcntl, b, 5, &mut found), 0);
    assert_eq!(found[1..3], [10, 3]);
    close(open(c"/locks", 0));
    assert_eq!(call!(nr::fcntl, b, SET, flock(0, 4, 1)), 0);
    let waiting = std::thread::spawn(move || call!(nr::fcntl, b, 38, flock(1, 10, 1)));
    std::thread::sleep(std::time::Duration::from_millis(20));
    close(a);
    assert_eq!(waiting.join().unwrap(), 0);
    assert_eq!(call!(nr::fcntl, b, SET, flock(9, 0, 1)), error(Errno::EINVAL));
    assert_eq!(call!(nr::fcntl, b, SET, &[1u64 | (7 << 16), 0, 1, 0]), error(Errno::EINVAL));
    assert_eq!(call!(nr::fcntl, b, SET, 0), error(Errno::EFAULT));
    let reader = open(c"/locks", 0);
    assert_eq!(call!(nr::fcntl, reader, SET, flock(1, 500, 1)), error(Errno::EBADF));

    let (shared, exclusive, no_wait, unlock) = (1u32, 2u32, 4u32, 8u32);
    assert_eq!(call!(nr::flock, b, shared), 0);
    assert_eq!(call!(nr::flock, reader, shared), 0);
    assert_eq!(call!(nr::flock, b, exclusive | no_wait), error(Errno::EAGAIN));
    assert_eq!(call!(nr::flock, reader, unlock), 0);
    assert_eq!(call!(nr::flock, b, exclusive | no_wait), 0);
    assert_eq!(call!(nr::flock, b, 3u32), error(Errno::EINVAL));
    close(b);
    assert_eq!(call!(nr::flock, reader, exclusive | no_wait), 0);
    close(reader);
}

/// Whether the call on another thread returns 0 before long.
fn ends_well(call: impl FnOnce() -> isize + Send + 'static) -> bool {
    let (done, end) = mpsc::channel();
    std::thread::spawn(move || done.send(call()));
    end.recv_timeout(Duration::from_secs(10)) == Ok(0)
}

#[test]
fn locks_end_with_the_last_user_whoever_that_is() {
    let _one = process();
    let exclusive = 2u32;
    let (set_wait, whole) = (38, flock(1, 0, 0));
    for of_bytes in [false, true] {
        let (a, b) = (open(c"/last", CREATE), open(c"/last", CREATE));
        let lock = move |fd: i32| match of_bytes {
            true => call!(nr::fcntl, fd, set_wait, whole),
            false => call!(nr::flock, fd, exclusive),
        };
        assert_eq!(lock(a), 0);
        // As a mapping does, or a call that began before.
        let user = fdtab::TABLE.get(a).unwrap();
        close(a);
        let (begun, start) = mpsc::channel();
        let waits = std::thread::spawn(move || {
            begun.send(()).unwrap();
            ends_well(move || lock(b))
        });
        start.recv().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waits.is_finished(), "it is locked still");
        drop(user);
        assert!(waits.join().unwrap());
        close(b);
    }
}

#[test]
fn closing_what_has_no_locks_asks_nothing() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Counted(Arc<AtomicU32>);
    impl ukfile::File for Counted {
        fn metadata(&self) -> Result<ukfile::Metadata, Errno> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(ukfile::Metadata::default())
        }
    }

    let _one = process();
    let locked = open(c"/locked", CREATE);
    assert_eq!(call!(nr::fcntl, locked, 6, flock(1, 0, 5)), 0);
    let asked = Arc::new(AtomicU32::new(0));
    let file = ukfile::Description::new(Counted(asked.clone()), ukfile::OpenFlags::READ_WRITE);
    let fd = fdtab::TABLE.insert(file.unwrap(), false).unwrap();
    assert_eq!(call!(nr::dup2, locked, fd), fd as isize);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    // Each such file has locks of its own.
    let new = || ukfile::Description::new(Counted(asked.clone()), ukfile::OpenFlags::READ_WRITE);
    let [a, b] = [(); 2].map(|()| fdtab::TABLE.insert(new().unwrap(), false).unwrap());
    assert_eq!((call!(nr::flock, a, 6u32), call!(nr::flock, b, 6u32)), (0, 0));
    [locked, fd, a, b].into_iter().for_each(close);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

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

/// A file whose contents cannot be read to their end, on a file system of its own.
struct Torn(std::sync::atomic::AtomicUsize);

impl vfs::Node for Torn {
    fn kind(&self) -> ukfile::Kind {
        ukfile::Kind::Regular
    }
    fn metadata(&self) -> Result<ukfile::Metadata, Errno> {
        Ok(ukfile::Metadata { size: 1 << 20, ..ukfile::Metadata::default() })
    }
    fn read(&self, at: u64, buffers: &mut [&mut [u8]], _: bool) -> Result<usize, Errno> {
        if at < 65536 { Ok(ukfile::total_mut(buffers)) } else { Err(Errno::EIO) }
    }
}

struct TornFs(Arc<Torn>);

impl vfs::FileSystem for TornFs {
    fn name(&self) -> &'static str {
        "torn"
    }
    fn root(&self) -> vfs::NodeRef {
        self.0.clone()
    }
    fn statistics(&self) -> Result<vfs::Statistics, Errno> {
        Ok(vfs::Statistics::default())
    }
    fn sync(&self) -> Result<(), Errno> {
        self.0.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn what_was_copied_before_an_error_is_told() {
    let _one = process();
    let fs = Arc::new(TornFs(Arc::new(Torn(0.into()))));
    let mount = vfs::Mount::new(fs, b"torn", vfs::MountFlags::empty()).unwrap();
    let open_torn = || {
        let location = vfs::Location::root_of(mount.clone());
        let file = vfs::describe(location, ukfile::OpenFlags::READ_ONLY).unwrap();
        fdtab::TABLE.insert(file, false).unwrap()
    };
    let to = open(c"/copied", CREATE);
    let torn = open_torn();
    assert_eq!(call!(nr::sendfile, to, torn, 0usize, 1usize << 20), 65536);
    assert_eq!(call!(nr::lseek, torn, 0i64, 1), 65536);
    assert_eq!(stat(c"/copied")[6], 65536);
    assert_eq!(call!(nr::sendfile, to, torn, 0usize, 1usize), error(Errno::EIO));
    [to, torn].into_iter().for_each(close);
}

#[test]
fn a_file_behind_a_device_is_sent_to() {
    let _one = process();
    let file = open(c"/behind", CREATE);
    assert_eq!(call!(nr::write, file, &b"abc"[..]), 3);
    assert_eq!(call!(nr::mknod, c"/number", 0o020_600, 240u64 << 8 | file as u64), 0);
    let to = open(c"/number", 2);
    let mut at = 1i64;
    assert_eq!(call!(nr::sendfile, to, file, &mut at, 2usize), 2);
    assert_eq!(read_all(file), b"bcc");
    [file, to].into_iter().for_each(close);
}

#[test]
fn parts_of_a_file_are_copied_up_to_its_end() {
    let _one = process();
    let fd = open(c"/parts", CREATE);
    assert_eq!(call!(nr::write, fd, &[7u8; 100][..]), 100);
    let copy = |mut from: i64, mut to: i64, length: usize| {
        call!(nr::copy_file_range, fd, &mut from, fd, &mut to, length, 0u32)
    };
    assert_eq!(copy(0, 200, 1 << 20), 100);
    assert_eq!(copy(0, 299, 1 << 20), error(Errno::EINVAL));
    assert_eq!(copy(300, 300, 10), 0);
    assert_eq!(copy(1, 0, usize::MAX), error(Errno::EOVERFLOW));
    assert_eq!(call!(nr::lseek, fd, 0i64, 2), 300);
    assert_eq!(call!(nr::copy_file_range, fd, 0usize, fd, 0usize, 10usize, 0u32), 0);
    close(fd);
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
fn mounts() {
    let _one = process();
    assert_eq!(call!(nr::mkdir, c"/mnt", 0o755), 0);
    let mount = |source: &CStr, target: &CStr, kind: &CStr, flags: u64, options: &CStr| {
        call!(nr::mount, source, target, kind, flags, options)
    };
    assert_eq!(mount(c"none", c"/mnt", c"ramfs", 0, c"size=8K"), 0);
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
    assert_eq!(call!(nr::open, c"/bound/new", CREATE, 0o600), error(Errno::EROFS), "as its source");
    assert_eq!(call!(nr::umount2, c"/bound", 0u32), 0);
    assert_eq!(call!(nr::umount2, c"/mnt", 2u32), 0);
    assert_eq!(call!(nr::open, c"/mnt/file", 0, 0), error(Errno::ENOENT));
    assert_eq!(call!(nr::umount2, c"/mnt", 0u32), error(Errno::EINVAL));
    assert_eq!(call!(nr::umount2, c"/mnt", 64u32), error(Errno::EINVAL));
    assert_eq!(mount(c"none", c"/mnt", c"nofs", 0, c""), error(Errno::ENODEV));
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
