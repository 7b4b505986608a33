//! Memory that has an end, for tests.
#![allow(dead_code, reason = "not all tests use all of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator with a limit for the thread that sets one.
struct Limited;

thread_local! {
    /// Bytes in use by this thread, and how many it may use.
    static USED: Cell<isize> = const { Cell::new(0) };
    static LIMIT: Cell<isize> = const { Cell::new(isize::MAX) };
}

fn take(bytes: usize) -> bool {
    let next = USED.get() + bytes as isize;
    let fits = next <= LIMIT.get();
    if fits {
        USED.set(next);
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

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// Does something with so many bytes more than are in use.
pub fn with_limit<R>(bytes: isize, work: impl FnOnce() -> R) -> R {
    LIMIT.set(USED.get() + bytes);
    let result = work();
    LIMIT.set(isize::MAX);
    result
}

/// Bytes that this thread uses.
pub fn used() -> isize {
    USED.get()
}
