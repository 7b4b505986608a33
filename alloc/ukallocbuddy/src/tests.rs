use std::time::{Duration, Instant};

use proptest::prelude::*;
use ukalloc::model::{Arena, Reuse, check, edge_cases, trace, trace_of_bytes};
use ukalloc::{AddMemoryError, Alloc, Backend, Heap, PAGE_SIZE, SpinLock};

use super::Buddy;

type BuddyHeap = Heap<Buddy, SpinLock>;

const fn empty() -> BuddyHeap {
    Heap::new(Buddy::new(), SpinLock::new())
}

/// A heap of that many pages, the first at a multiple of 1 MiB.
fn heap(pages: usize) -> &'static BuddyHeap {
    let heap = Box::leak(Box::new(empty()));
    let table = (pages * 32).next_multiple_of(PAGE_SIZE);
    let store = vec![0xeeu8; table + pages * PAGE_SIZE + (1 << 20)].leak();
    let start = (store.as_ptr() as usize + table).next_multiple_of(1 << 20) - table;
    let offset = start - store.as_ptr() as usize;
    // SAFETY: leaked memory that nobody else uses.
    unsafe { heap.add_memory(store[offset..].as_mut_ptr(), table + pages * PAGE_SIZE) }.unwrap();
    assert_eq!(heap.stats().available, pages * PAGE_SIZE);
    heap
}

#[test]
fn a_run_keeps_no_page_beyond_what_it_needs() {
    let heap = heap(16);
    let a = heap.malloc(5 * PAGE_SIZE - 100);
    // SAFETY: live blocks.
    unsafe { assert_eq!(heap.usable_size(a), 5 * PAGE_SIZE) };
    assert_eq!(heap.stats().available, 11 * PAGE_SIZE);
    let (b, c) = (heap.palloc(8), heap.palloc(2));
    assert!(!b.is_null() && !c.is_null(), "the tail of the first run serves others");
    // SAFETY: live blocks.
    unsafe {
        heap.free(b);
        heap.free(a);
        heap.free(c);
    }
    heap.reclaim();
    assert_eq!(heap.stats().largest_free, 16 * PAGE_SIZE, "everything is joined again");
}

#[test]
fn every_order_of_freeing_joins_everything() {
    let heap = heap(16);
    for seed in 0..200usize {
        let mut runs: Vec<_> = [3, 1, 4, 1, 5, 2].iter().map(|n| heap.palloc(*n)).collect();
        let mut random = seed;
        while !runs.is_empty() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let run = runs.swap_remove((random >> 33) % runs.len());
            // SAFETY: a live block.
            unsafe { heap.free(run) };
        }
        heap.reclaim();
        assert_eq!(heap.stats().largest_free, 16 * PAGE_SIZE, "{seed}");
    }
}

#[test]
fn resizing_in_place() {
    let heap = heap(16);
    let a = heap.palloc(2);
    // SAFETY: live blocks.
    unsafe {
        assert_eq!(heap.realloc(a, 7 * PAGE_SIZE), a, "the free buddies above are used");
        assert_eq!(heap.usable_size(a), 7 * PAGE_SIZE);
        assert_eq!(heap.realloc(a, 3 * PAGE_SIZE), a);
        let b = heap.palloc(1);
        assert_eq!(b, a.add(3 * PAGE_SIZE), "what was cut off is free");
        assert_ne!(heap.realloc(a, 4 * PAGE_SIZE), a, "another block is in the way");
        let c = heap.malloc(10);
        assert_eq!(heap.realloc(c, 16), c);
        assert_ne!(heap.realloc(c, 17), c);
    }
}

#[test]
fn small_blocks_share_pages() {
    let heap = heap(16);
    let blocks: Vec<_> = (0..64).map(|_| heap.malloc(64)).collect();
    let page = |b: &*mut u8| *b as usize / PAGE_SIZE;
    assert!(blocks.iter().all(|b| page(b) == page(&blocks[0])));
    assert_ne!(page(&heap.malloc(64)), page(&blocks[0]));
    for (align, size) in [(64, 10), (256, 256), (1024, 100), (2048, 2048)] {
        let block = heap.memalign(align, size);
        // SAFETY: a live block.
        let usable = unsafe { heap.usable_size(block) };
        assert!((block as usize).is_multiple_of(align) && usable == align.max(size));
    }
}

#[test]
fn few_empty_slabs_are_kept_until_reclaimed() {
    let heap = heap(256);
    let mut blocks = Vec::new();
    for size in [16, 100, 1000, 2000] {
        blocks.extend((0..100).map(|_| heap.malloc(size)));
    }
    // SAFETY: live blocks.
    blocks.into_iter().for_each(|b| unsafe { heap.free(b) });
    assert_eq!(heap.stats().available, 256 * PAGE_SIZE, "a kept slab counts as free");
    assert!(heap.reclaim());
    assert_eq!(heap.stats().largest_free, 256 * PAGE_SIZE);
    assert!(!heap.reclaim(), "nothing is left to reclaim");
    let all = heap.palloc(256);
    assert!(!all.is_null());
}

#[test]
fn what_is_kept_serves_large_blocks_before_they_fail() {
    let heap = heap(16);
    let (page, small) = (heap.palloc(1), heap.malloc(100));
    // SAFETY: live blocks.
    unsafe {
        heap.free(page);
        heap.free(small);
    }
    assert!(!heap.palloc(16).is_null());
    assert_eq!(heap.stats().failures, 0);
}

#[test]
fn large_alignments() {
    let heap = heap(64);
    for log in 4..=16 {
        let block = heap.memalign(1 << log, 5000);
        assert!(!block.is_null() && (block as usize).is_multiple_of(1 << log));
        // SAFETY: a live block.
        unsafe { heap.free(block) };
    }
    let mut buddy = Buddy::new();
    assert!(
        buddy.allocate(1, 1 << 63).is_none() && buddy.allocate(isize::MAX as usize, 16).is_none()
    );
}

#[test]
fn several_pieces_of_memory() {
    let heap = heap(4);
    assert!(heap.palloc(8).is_null());
    let more = vec![1u64; 16 * 1024].leak();
    // SAFETY: leaked memory.
    unsafe { heap.add_memory(more.as_mut_ptr().cast(), 128 * 1024) }.unwrap();
    let (a, b) = (heap.palloc(8), heap.palloc(4));
    assert!(!a.is_null() && !b.is_null() && heap.owns(a) && heap.owns(b));
    assert!(!heap.owns(core::ptr::null()));
    // SAFETY: live blocks.
    unsafe {
        heap.free(a);
        heap.free(b);
    }
}

#[test]
fn pieces_of_all_sizes_and_places() {
    let mut memory = vec![0u8; 64 * 1024];
    let base = memory.as_mut_ptr();
    for offset in [0, 1, 31, 32, 4095, 4096, 5000] {
        for len in (0..40_000).step_by(997) {
            let mut buddy = Buddy::new();
            // SAFETY: the memory is used by one allocator at a time.
            let result = unsafe { buddy.add_memory(base.add(offset), len) };
            if len < PAGE_SIZE {
                assert_eq!(result, Err(AddMemoryError::TooSmall));
            }
            let pages = core::iter::from_fn(|| buddy.allocate(PAGE_SIZE, 16)).count();
            assert_eq!(result.is_ok(), pages > 0);
            // The table and the ends of the piece cost two pages at most.
            assert!(pages + 2 >= len / PAGE_SIZE && pages * PAGE_SIZE <= len, "{offset} {len}");
        }
    }
}

#[test]
fn pieces_that_are_too_large_or_too_many() {
    let mut buddy = Buddy::new();
    // SAFETY: nothing is written when memory is added, and none is asked for.
    unsafe {
        let base = 0x10_0000 as *mut u8;
        assert_eq!(buddy.add_memory(base, 1 << 46), Err(AddMemoryError::TooLarge));
        for i in 0..16 {
            buddy.add_memory(base.add(i << 20), 1 << 20).unwrap();
        }
        assert_eq!(buddy.add_memory(base.add(1 << 30), 1 << 20), Err(AddMemoryError::TooMany));
    }
}

#[test]
fn adding_memory_writes_nothing_and_use_writes_little() {
    const LEN: usize = 32 << 20;
    let mut store = vec![0xa5u8; LEN];
    let heap = empty();
    // SAFETY: the memory outlives the heap.
    unsafe { heap.add_memory(store.as_mut_ptr(), LEN) }.unwrap();
    assert!(store.iter().all(|b| *b == 0xa5), "adding memory wrote to it");
    let block = heap.malloc(100);
    assert!(!block.is_null());
    let pages = store.chunks(PAGE_SIZE).filter(|page| page.iter().any(|b| *b != 0xa5)).count();
    assert!(pages <= 4, "a small block touched {pages} pages");
}

#[test]
fn a_gigabyte_is_ready_at_once() {
    // Not touched, so never there.
    let mut memory = Vec::<u8>::with_capacity(1 << 30);
    let heap = empty();
    let best = (0..5).map(|_| {
        let heap = empty();
        let start = Instant::now();
        // SAFETY: the memory outlives the heap.
        unsafe { heap.add_memory(memory.as_mut_ptr(), 1 << 30) }.unwrap();
        start.elapsed()
    });
    // The promise is 30 µs; the test only makes sure that nothing grows with the size.
    assert!(best.min().unwrap() < Duration::from_millis(1));
    // SAFETY: the memory outlives the heap.
    unsafe { heap.add_memory(memory.as_mut_ptr(), 1 << 30) }.unwrap();
    assert!(heap.stats().largest_free >= 1 << 28);
    let half = heap.malloc(1 << 28);
    assert!(!half.is_null());
}

#[test]
fn heaps_lie_in_bss() {
    static HEAP: BuddyHeap = empty();
    // SAFETY: any bytes may be read as such; padding of a static is zero.
    let bytes = unsafe {
        core::slice::from_raw_parts((&raw const HEAP).cast::<u8>(), size_of::<BuddyHeap>())
    };
    assert!(bytes.iter().all(|b| *b == 0));
}

#[test]
#[should_panic(expected = "freed twice")]
fn a_double_free_of_a_small_block_is_detected() {
    let heap = heap(16);
    let (a, b, _c) = (heap.malloc(100), heap.malloc(100), heap.malloc(100));
    // SAFETY: the last free breaks the contract.
    unsafe {
        heap.free(a);
        heap.free(b);
        heap.free(a);
    }
}

#[test]
#[should_panic(expected = "freed twice")]
fn a_double_free_of_the_last_small_block_is_detected() {
    let heap = heap(16);
    let (a, _other_size) = (heap.malloc(100), heap.malloc(1000));
    // SAFETY: the second free breaks the contract.
    unsafe {
        heap.free(a);
        heap.free(a);
    }
}

#[test]
#[should_panic(expected = "freed twice")]
fn a_double_free_of_pages_is_detected() {
    let heap = heap(16);
    let (a, b) = (heap.palloc(2), heap.palloc(2));
    // SAFETY: the last free breaks the contract.
    unsafe {
        heap.free(a);
        heap.free(b);
        heap.free(b);
    }
}

#[test]
#[should_panic(expected = "a freed block was written to")]
fn a_write_to_a_freed_block_is_detected() {
    let heap = heap(16);
    let (a, _b) = (heap.malloc(100), heap.malloc(100));
    // SAFETY: the write breaks the contract.
    unsafe {
        heap.free(a);
        a.write_bytes(0x41, 100);
    }
    heap.malloc(100);
}

#[test]
#[should_panic(expected = "not of this heap")]
fn a_foreign_block_is_detected() {
    let heap = heap(16);
    let mut other = [0u64; 8];
    // SAFETY: breaks the contract.
    unsafe { heap.free(other.as_mut_ptr().cast()) };
}

#[test]
fn old_contents_do_not_look_like_a_double_free() {
    let heap = heap(16);
    let (a, _b) = (heap.malloc(100), heap.malloc(100));
    // SAFETY: live blocks; the first word of a free block is copied, as a use after free would.
    unsafe {
        heap.free(a);
        let word = a.cast::<u64>().read();
        let a = heap.malloc(100);
        a.cast::<u64>().write(word);
        heap.free(a);
    }
}

#[test]
fn edge_cases_are_those_of_the_table() {
    edge_cases(&empty());
}

proptest! {
    #[test]
    fn passes_the_suite(calls in trace(), len in 9_000usize..1_200_000) {
        check(&empty(), len, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn passes_the_suite_with_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let calls = trace_of_bytes(&bytes);
        check(&empty(), 4 << 20, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn passes_the_suite_in_pieces(calls in trace(), lens in prop::collection::vec(0usize..70_000, 1..8)) {
        let heap = empty();
        let mut arenas: Vec<_> = lens.iter().map(|len| Arena::new(*len, len % 97)).collect();
        for arena in &mut arenas {
            // SAFETY: the arenas live until the end of this function. Small ones are refused.
            let _ = unsafe { arena.give_to(&heap) };
        }
        check(&heap, 100_000, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
        prop_assert!(arenas.iter().all(Arena::margins_intact));
    }
}
