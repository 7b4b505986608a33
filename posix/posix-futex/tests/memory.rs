//! Threads that room was made for can wait when there is no memory left; without threads, the program.
#![cfg(not(feature = "model"))]

use limited_memory::{Limited, with_limit};
use syscall_shim::{Errno, call, nr};

const WAIT: i32 = 0;
const WAKE: i32 = 1;
const LOCK_PI: i32 = 6;

#[global_allocator]
static ALLOCATOR: Limited = Limited;

static THREADS: posix_futex::Threads = posix_futex::Threads { current: || 7, exists: |_| true };

/// Waits for a word and for a lock that another thread has, each for a moment, without memory.
fn wait() -> [isize; 2] {
    let (word, lock) = (3u32, 9u32);
    let (moment, past) = ([0i64, 1], [0i64, 1]);
    with_limit(0, || {
        [
            call!(nr::futex, &word, WAIT, 3u32, &moment, 0, 0),
            call!(nr::futex, &lock, LOCK_PI, 0, &past, 0, 0),
        ]
    })
}

#[test]
fn whom_room_was_made_for_can_wait() {
    posix_futex::set_threads(&THREADS);
    // What the host keeps of a thread is made at its first lock.
    assert_eq!(call!(nr::futex, &3u32, WAKE, 1, 0, 0, 0), 0);
    // Nobody could wake the only thread, so that there is nothing to remember.
    assert_eq!(wait(), [Errno::ETIMEDOUT, Errno::ENOMEM].map(Errno::to_raw));
    assert_eq!(with_limit(0, || posix_futex::reserve(1)), Err(Errno::ENOMEM));
    assert_eq!(posix_futex::reserve(1), Ok(()));
    assert_eq!(wait(), [Errno::ETIMEDOUT.to_raw(); 2]);
}
