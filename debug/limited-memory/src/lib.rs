//! The allocator of tests: counts what a thread takes, and ends where a test says.
//!
//! ```
//! use limited_memory::{Limited, taken, with_limit};
//!
//! #[global_allocator]
//! static ALLOCATOR: Limited = Limited;
//!
//! let (text, taken) = taken(|| String::from("a text"));
//! assert_eq!((taken.blocks, taken.largest), (1, text.len()));
//! let refused = with_limit(10, || Vec::<u8>::new().try_reserve_exact(11));
//! assert!(refused.is_err());
//! ```
//!
//! Each thread is counted on its own: tests run beside each other. Blocks that another thread gives
//! back count there.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted; to be a test's `#[global_allocator]`.
#[derive(Debug)]
pub struct Limited;

/// What a thread took while it did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Number of blocks.
    pub blocks: usize,
    /// Bytes of the largest one.
    pub largest: usize,
}

thread_local! {
    /// Bytes that this thread has, and how many it may have.
    static USED: Cell<isize> = const { Cell::new(0) };
    static LIMIT: Cell<isize> = const { Cell::new(isize::MAX) };
    static TAKEN: Cell<Taken> = const { Cell::new(Taken { blocks: 0, largest: 0 }) };
}

fn take(bytes: usize) -> bool {
    let used = USED.get() + bytes as isize;
    let fits = used <= LIMIT.get();
    if fits {
        USED.set(used);
        let Taken { blocks, largest } = TAKEN.get();
        TAKEN.set(Taken { blocks: blocks + 1, largest: largest.max(bytes) });
    }
    fits
}

// SAFETY: what is given is the system allocator's, or null.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        USED.set(USED.get() - layout.size() as isize);
        // SAFETY: the caller's promise; the block is the system allocator's.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Does something with at most so many bytes more than the thread has; with a negative number it has to give
/// back some before it gets any.
pub fn with_limit<R>(bytes: isize, work: impl FnOnce() -> R) -> R {
    let before = LIMIT.replace(USED.get() + bytes);
    let result = work();
    LIMIT.set(before);
    result
}

/// Does something, and tells what the thread took meanwhile, whether it gave that back or not.
pub fn taken<R>(work: impl FnOnce() -> R) -> (R, Taken) {
    let before = TAKEN.take();
    let result = work();
    let now = TAKEN.get();
    let largest = now.largest.max(before.largest);
    TAKEN.set(Taken { blocks: before.blocks + now.blocks, largest });
    (result, now)
}

/// Bytes that the thread has; less than 0 when it gave back blocks of others.
pub fn used() -> isize {
    USED.get()
}
