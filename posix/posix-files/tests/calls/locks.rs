//! Locks of parts of files, and of whole ones.

use super::*;

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
