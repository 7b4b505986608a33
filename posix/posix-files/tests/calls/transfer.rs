//! Reading, writing and copying.

use super::torn::{Torn, TornFs};
use super::*;

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
fn sending_from_devices() {
    let _one = process();
    devfs::register().unwrap();
    assert_eq!(call!(nr::mkdir, c"/devices", 0o755), 0);
    for (name, minor) in [(c"/devices/null", 3u32), (c"/devices/zero", 5), (c"/devices/random", 8)]
    {
        assert_eq!(call!(nr::mknod, name, 0o020_666, 0x100 | minor), 0);
    }
    let mut ends = [0i32; 2];
    assert_eq!(call!(nr::pipe2, &mut ends, 0o4000u32), 0);
    let zero = open(c"/devices/zero", 0);
    let mut bytes = [1u8; 10];
    assert_eq!(call!(nr::sendfile, ends[1], zero, 0usize, 10usize), 10);
    assert_eq!((call!(nr::read, ends[0], &mut bytes[..]), bytes), (10, [0; 10]));
    let mut offset = 3i64;
    let random = open(c"/devices/random", 0);
    assert_eq!(call!(nr::sendfile, ends[1], random, &mut offset, 10usize), 10);
    assert_eq!((call!(nr::read, ends[0], &mut bytes[..]), offset), (10, 13));
    assert_ne!(bytes, [0; 10]);
    assert_eq!(
        call!(nr::sendfile, ends[1], zero, 0usize, 1usize << 20),
        1 << 16,
        "until it is full"
    );
    assert_eq!(call!(nr::sendfile, ends[1], zero, 0usize, 1usize << 20), error(Errno::EAGAIN));
    let file = open(c"/devices/file", CREATE);
    assert_eq!(call!(nr::sendfile, file, zero, 0usize, 100_000usize), 100_000);
    assert_eq!(stat(c"/devices/file")[6], 100_000);
    let null = open(c"/devices/null", 2);
    assert_eq!(call!(nr::sendfile, null, zero, 0usize, 100_000usize), 100_000);
    assert_eq!(call!(nr::sendfile, null, file, 0usize, 10usize), 0, "at the end");
    let directory = open(c"/devices", 0);
    assert_eq!(call!(nr::sendfile, null, directory, 0usize, 10usize), error(Errno::EINVAL));
    assert_eq!(
        call!(nr::sendfile, null, 1, &mut offset, 10usize),
        error(Errno::ESPIPE),
        "the console"
    );
    [ends[0], ends[1], zero, random, file, null, directory].into_iter().for_each(close);
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
