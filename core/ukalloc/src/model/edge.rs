//! The edge cases of the POSIX interface, as the table in the crate's documentation has them.

use core::ptr::null_mut;

use crate::model::Arena;
use crate::{Alloc, AllocError, PAGE_SIZE};

/// Goes through the table of edge cases with a fresh allocator, which is given 1 MiB.
///
/// # Panics
/// When one is not as the table says.
pub fn edge_cases<A: Alloc>(alloc: &A) {
    let mut arena = Arena::new(1 << 20, 0);
    // SAFETY: the arena lives until the end of this function, as the blocks do.
    unsafe { arena.give_to(alloc) }.expect("1 MiB is enough to start with");

    let (a, b) = (alloc.malloc(0), alloc.malloc(0));
    assert!(!a.is_null() && !b.is_null() && a != b, "malloc(0) gives blocks of their own");
    for size in [usize::MAX, isize::MAX as usize + 1, isize::MAX as usize, 1 << 20] {
        assert!(alloc.malloc(size).is_null(), "malloc({size:#x})");
        assert!(alloc.memalign(64, size).is_null(), "memalign(64, {size:#x})");
    }
    assert!(alloc.calloc(usize::MAX, 2).is_null() && alloc.calloc(1 << 33, 1 << 33).is_null());
    for align in [0, 3, 24, PAGE_SIZE + 1, usize::MAX] {
        assert!(alloc.memalign(align, 8).is_null(), "memalign({align}, 8)");
        assert_eq!(alloc.posix_memalign(align, 8), Err(AllocError::InvalidAlignment), "{align}");
    }
    assert!(alloc.memalign(1 << 62, 8).is_null() && alloc.memalign(1 << 63, 1).is_null());
    assert_eq!(alloc.posix_memalign(4, 8), Err(AllocError::InvalidAlignment));
    assert_eq!(alloc.posix_memalign(8, 1 << 20), Err(AllocError::OutOfMemory));
    assert!(alloc.posix_memalign(8, 0).is_ok());
    assert!(alloc.palloc(usize::MAX).is_null() && alloc.palloc(usize::MAX / PAGE_SIZE).is_null());
    for log in 0..17 {
        let block = alloc.memalign(1 << log, 100);
        assert!(!block.is_null() && (block as usize).is_multiple_of(1 << log), "{log}");
        // SAFETY: a live block of 100 bytes.
        unsafe {
            block.write_bytes(1, 100);
            assert!(alloc.usable_size(block) >= 100);
            alloc.free(block);
        }
    }
    let pages = alloc.palloc(3);
    assert!(!pages.is_null() && (pages as usize).is_multiple_of(PAGE_SIZE));
    // SAFETY: live blocks and null.
    unsafe {
        pages.write_bytes(2, 3 * PAGE_SIZE);
        alloc.pfree(pages, 3);
        alloc.free(a);
        alloc.free(b);
        alloc.free(null_mut());
        assert_eq!(alloc.usable_size(null_mut()), 0);
        let c = alloc.realloc(null_mut(), 10);
        assert!(!c.is_null(), "realloc(null, n) is malloc(n)");
        c.write_bytes(7, 10);
        assert!(alloc.realloc(c, 1 << 20).is_null());
        assert!(alloc.realloc(c, usize::MAX).is_null());
        assert_eq!(c.add(9).read(), 7, "a failed realloc keeps the block");
        let c = alloc.realloc(c, 9000);
        assert!(!c.is_null() && c.add(9).read() == 7);
        assert!(alloc.realloc(c, 0).is_null(), "realloc(p, 0) frees");
    }
    runs_out(alloc);
    assert!(arena.margins_intact());
}

/// No memory left is an ordinary result: the allocator goes on with what comes back.
fn runs_out<A: Alloc>(alloc: &A) {
    let failures = alloc.stats().failures;
    let mut blocks = Vec::new();
    loop {
        let block = alloc.malloc(5000);
        if block.is_null() {
            break;
        }
        blocks.push(block);
    }
    assert!(blocks.len() > 50, "only {} blocks of 5000 bytes in 1 MiB", blocks.len());
    assert!(alloc.malloc(5000).is_null() && alloc.calloc(50, 100).is_null());
    if cfg!(feature = "stats") {
        assert_eq!(alloc.stats().failures, failures + 3);
    }
    // SAFETY: live blocks. The last one goes first: some designs take back only that.
    unsafe {
        while let Some(block) = blocks.pop() {
            alloc.free(block);
        }
    }
    let again = alloc.malloc(5000);
    assert!(!again.is_null(), "nothing can be had after everything was freed");
    // SAFETY: a live block.
    unsafe { alloc.free(again) };
}
