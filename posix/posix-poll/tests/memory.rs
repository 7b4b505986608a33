//! Looking at files of usual number takes no memory.
#![cfg(not(feature = "model"))]

use fdtab::TABLE;
use limited_memory::{Limited, with_limit};
use posix_eventfd::EventCounter;
use posix_poll as _;
use syscall_shim::{Errno, call, nr};
use ukfile::{Description, OpenFlags};

#[global_allocator]
static ALLOCATOR: Limited = Limited;

#[test]
fn select_and_poll_look_without_memory() {
    let counter = |count| Description::new(EventCounter::new(count, false), OpenFlags::READ_WRITE);
    let fds: Vec<i32> =
        (0..16).map(|n| TABLE.insert(counter(n % 2).unwrap(), false).unwrap()).collect();
    let set = fds.iter().fold([0u64; 16], |mut set, fd| {
        set[0] |= 1 << fd;
        set
    });
    let (mut read, mut write, mut except) = (set, set, set);
    let now = [0i64; 2];
    let select = |count: i32, sets: [&mut [u64; 16]; 3]| {
        let [read, write, except] = sets;
        call!(nr::select, count, read, write, except, &now)
    };
    let result = with_limit(0, || select(1024, [&mut read, &mut write, &mut except]));
    assert_eq!((result, read[0].count_ones(), write, except), (24, 8, set, [0; 16]));
    assert!(fds.iter().all(|fd| read[0] >> fd & 1 == u64::from((fd - fds[0]) % 2 == 1)));
    // Descriptors from the count on do not count.
    (read, write) = (set, set);
    let result = select(fds[1] + 1, [&mut read, &mut write, &mut [0; 16]]);
    assert_eq!((result, read[0], write[0]), (3, 1 << fds[1], 3 << fds[0]));
    // More takes memory, and says so when there is none.
    let mut large = [0u64; 17];
    let enomem = Errno::ENOMEM.to_raw();
    let result = with_limit(0, || call!(nr::select, 1088, &mut large[0], 0, 0, &now));
    assert_eq!(result, enomem);
    assert_eq!(call!(nr::select, 1088, &mut large[0], 0, 0, &now), 0);
    let mut list: Vec<[u32; 2]> = fds.iter().map(|fd| [*fd as u32, 1]).collect();
    assert_eq!(with_limit(0, || call!(nr::poll, &mut list[..], 0)), 8);
}
