//! Looking at files of usual number takes no memory.
#![cfg(not(feature = "model"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use fdtab::TABLE;
use posix_eventfd::EventCounter;
use posix_poll as _;
use syscall_shim::{Errno, call, nr};
use ukfile::{Description, OpenFlags};

/// The system's allocator, which gives a thread nothing that says so.
struct Exhaustible;

thread_local! {
    static EXHAUSTED: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: what is given is the system allocator's, or null.
unsafe impl GlobalAlloc for Exhaustible {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if EXHAUSTED.get() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; the block is the system allocator's.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Exhaustible = Exhaustible;

fn without_memory(f: impl FnOnce() -> isize) -> isize {
    EXHAUSTED.set(true);
    let result = f();
    EXHAUSTED.set(false);
    result
}

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
    let result = without_memory(|| select(1024, [&mut read, &mut write, &mut except]));
    assert_eq!((result, read[0].count_ones(), write, except), (24, 8, set, [0; 16]));
    assert!(fds.iter().all(|fd| read[0] >> fd & 1 == u64::from((fd - fds[0]) % 2 == 1)));
    // Descriptors from the count on do not count.
    (read, write) = (set, set);
    let result = select(fds[1] + 1, [&mut read, &mut write, &mut [0; 16]]);
    assert_eq!((result, read[0], write[0]), (3, 1 << fds[1], 3 << fds[0]));
    // More takes memory, and says so when there is none.
    let mut large = [0u64; 17];
    let enomem = Errno::ENOMEM.to_raw();
    let result = without_memory(|| call!(nr::select, 1088, &mut large[0], 0, 0, &now));
    assert_eq!(result, enomem);
    assert_eq!(call!(nr::select, 1088, &mut large[0], 0, 0, &now), 0);
    let mut list: Vec<[u32; 2]> = fds.iter().map(|fd| [*fd as u32, 1]).collect();
    assert_eq!(without_memory(|| call!(nr::poll, &mut list[..], 0)), 8);
}
