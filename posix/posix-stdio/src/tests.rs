//! The calls by number, as a program makes them.

use syscall_shim::{Errno, call, nr};

#[test]
fn output_goes_to_the_console_and_nowhere_else() {
    let text = &b"text\n"[..];
    assert_eq!(call!(nr::write, 1, text), 5);
    assert_eq!(call!(nr::write, 2, &text[..0]), 0);
    for fd in [0, 3, -1] {
        assert_eq!(call!(nr::write, fd, text), Errno::EBADF.to_raw());
    }
    assert_eq!(call!(nr::write, 1, 0, 5), Errno::EFAULT.to_raw());
    let at = text.as_ptr() as usize;
    let buffers = [[at, 2], [0, 0], [at + 2, 3]];
    assert_eq!(call!(nr::writev, 1, &buffers[..]), 5);
    assert_eq!(call!(nr::writev, 0, &buffers[..]), Errno::EBADF.to_raw());
    assert_eq!(call!(nr::writev, 1, &buffers[..1], 0), 2);
    assert_eq!(call!(nr::writev, 1, &vec![[at, 1]; 1025][..]), Errno::EINVAL.to_raw());
    assert_eq!(call!(nr::writev, 1, &[[0usize, 2]][..]), Errno::EFAULT.to_raw());
}

#[test]
fn input_and_the_rest_know_their_descriptors() {
    let mut room = [0u8; 4];
    assert_eq!(call!(nr::read, 1, &mut room[..]), Errno::EBADF.to_raw());
    assert_eq!(call!(nr::read, 0, &mut room[..0]), 0);
    assert_eq!(call!(nr::readv, 7, 0, 0), Errno::EBADF.to_raw());
    assert_eq!(call!(nr::ioctl, 1, 0x5413, 0), Errno::ENOTTY.to_raw());
    assert_eq!(call!(nr::ioctl, 9, 0x5413, 0), Errno::EBADF.to_raw());
    assert_eq!(call!(nr::lseek, 1, 0, 0), Errno::ESPIPE.to_raw());
    assert_eq!(call!(nr::close, 2), 0);
    assert_eq!(call!(nr::close, 3), Errno::EBADF.to_raw());
}

/// A signal ends the wait for input: one is pending all the time here.
#[test]
fn a_wait_for_input_is_interrupted() {
    static PENDING: uklock::Query = || true;
    uklock::on_interrupted_query(&PENDING);
    let (mut room, mut count) = ([0u8; 4], 7i32);
    assert_eq!(call!(nr::read, 0, &mut room[..]), Errno::EINTR.to_raw());
    let buffers = [[0, 0], [room.as_mut_ptr() as usize, 4]];
    assert_eq!(call!(nr::readv, 0, &buffers[..]), Errno::EINTR.to_raw());
    assert_eq!((call!(nr::ioctl, 0, 0x541b, &mut count), count), (0, 0));
    assert_eq!(call!(nr::ioctl, 0, 0x541b, 0), Errno::EFAULT.to_raw());
}
