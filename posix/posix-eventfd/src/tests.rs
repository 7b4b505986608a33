//! The calls by number, as a program makes them.

use fdtab::TABLE;
use syscall_shim::{call, nr};
use ukerrno::Errno;

const NONBLOCK: u32 = 0o4000;
const CLOSE_ON_EXEC: u32 = 0o2_000_000;
const ABSOLUTE: u32 = 1;
const MONOTONIC: i32 = 1;

fn read(fd: i32) -> Result<u64, Errno> {
    let mut bytes = [0; 8];
    TABLE.get(fd)?.read(&mut [&mut bytes])?;
    Ok(u64::from_ne_bytes(bytes))
}

fn opened(result: isize) -> i32 {
    assert!(result >= 0, "{result}");
    result as i32
}

#[test]
fn counters() {
    let fd = opened(call!(nr::eventfd, 5u32));
    assert_eq!(read(fd), Ok(5));
    TABLE.get(fd).unwrap().write(&[&7u64.to_ne_bytes()]).unwrap();
    assert_eq!(read(fd), Ok(7));
    let semaphore = opened(call!(nr::eventfd2, 2u32, 1 | NONBLOCK | CLOSE_ON_EXEC));
    assert_eq!([(); 3].map(|()| read(semaphore)), [Ok(1), Ok(1), Err(Errno::EAGAIN)]);
    assert_eq!(call!(nr::eventfd2, 0, 2u32), Errno::EINVAL.to_raw());
    for fd in [fd, semaphore] {
        TABLE.close(fd).unwrap();
    }
}

#[test]
fn timers() {
    let fd = opened(call!(nr::timerfd_create, MONOTONIC, NONBLOCK));
    // Interval and time to the first expiration, in seconds and nanoseconds.
    let (mut was, far, off) = ([9i64; 4], [3i64, 4, 100, 0], [0i64; 4]);
    assert_eq!(call!(nr::timerfd_settime, fd, 0, &far, &mut was), 0);
    assert_eq!(was, off);
    assert_eq!(read(fd), Err(Errno::EAGAIN));
    assert_eq!(call!(nr::timerfd_gettime, fd, &mut was), 0);
    assert!(was[..2] == far[..2] && (90..100).contains(&was[2]), "{was:?}");
    // A time that is over; it was set once, so nothing follows.
    let past = [0i64, 0, 0, 1];
    assert_eq!(call!(nr::timerfd_settime, fd, ABSOLUTE, &past, 0), 0);
    assert_eq!((read(fd), read(fd)), (Ok(1), Err(Errno::EAGAIN)));
    assert_eq!(call!(nr::timerfd_settime, fd, 0, &off, &mut was), 0);
    assert_eq!(was, off);

    let errors = [
        (call!(nr::timerfd_create, 99, 0), Errno::EINVAL),
        (call!(nr::timerfd_create, MONOTONIC, 1u32), Errno::EINVAL),
        (call!(nr::timerfd_settime, fd, 8u32, &off, 0), Errno::EINVAL),
        (call!(nr::timerfd_settime, fd, 0, &[0i64, 0, 0, 1_000_000_000], 0), Errno::EINVAL),
        (call!(nr::timerfd_settime, fd, 0, 0, 0), Errno::EFAULT),
        (call!(nr::timerfd_settime, 999, 0, &off, 0), Errno::EBADF),
        (call!(nr::timerfd_gettime, 999, &mut was), Errno::EBADF),
        (call!(nr::timerfd_gettime, fd, 0), Errno::EFAULT),
    ];
    for (number, (result, error)) in errors.into_iter().enumerate() {
        assert_eq!(result, error.to_raw(), "error {number}");
    }
    let counter = opened(call!(nr::eventfd, 0));
    assert_eq!(call!(nr::timerfd_gettime, counter, &mut was), Errno::EINVAL.to_raw());
    for fd in [fd, counter] {
        TABLE.close(fd).unwrap();
    }
}
