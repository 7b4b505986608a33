use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io::{Read, Seek, SeekFrom};

use proptest::prelude::*;
use ukalloc::model::{Arena, Call, Reuse, check, edge_cases, trace, trace_of_bytes};
use ukalloc::{CpuShards, LockedShards, NoLock, ThreadShards};

use super::*;
use crate::piece::MAX_PIECES;

fn single() -> Mi<NoLock> {
    // SAFETY: each heap of these tests is used by one thread.
    Mi::new(unsafe { NoLock::single_threaded() })
}

/// A heap with memory that lives as long.
struct Heap {
    heap: Mi<NoLock>,
    _arena: Arena,
}

fn heap(len: usize) -> Heap {
    let (heap, mut arena) = (single(), Arena::new(len, 8));
    // SAFETY: both live equally long.
    unsafe { arena.give_to(&heap) }.unwrap();
    Heap { heap, _arena: arena }
}

#[test]
fn blocks_have_no_headers() {
    let Heap { heap, .. } = &heap(1 << 18);
    let (a, b) = (heap.malloc(48), heap.malloc(48));
    assert_eq!((a as usize).abs_diff(b as usize), 48);
    // SAFETY: live blocks.
    assert_eq!(unsafe { heap.usable_size(a) }, 48);
}

#[test]
fn a_small_heap_holds_many_sizes() {
    let Heap { heap, .. } = &heap(1 << 20);
    for size in (16..=1024).step_by(16) {
        assert!(!heap.malloc(size).is_null());
    }
    let used = heap.stats().total_memory - heap.stats().available;
    assert!(used <= 400 << 10, "{used} bytes for one block of each size up to 1024");
    for size in (2048..=32 << 10).step_by(2048) {
        assert!(!heap.malloc(size).is_null(), "{size}");
    }
}

#[test]
fn all_memory_can_be_had_as_small_blocks() {
    let Heap { heap, .. } = &heap(1 << 20);
    let mut blocks = Vec::new();
    loop {
        let block = heap.malloc(64);
        if block.is_null() {
            break;
        }
        blocks.push(block);
    }
    assert!(blocks.len() * 64 > (1 << 20) * 96 / 100, "{}", blocks.len());
    assert_eq!(heap.stats().available, 0);
    for block in blocks {
        // SAFETY: live blocks.
        unsafe { heap.free(block) };
    }
    assert!(heap.reclaim());
    assert_eq!(heap.stats().available, heap.stats().largest_free);
}

#[test]
fn the_last_run_that_was_freed_is_kept() {
    let Heap { heap, .. } = &heap(8 << 20);
    let at_start = heap.stats().available;
    let (a, b) = (heap.malloc(100_000), heap.malloc(100_000));
    let large = heap.malloc(1 << 20);
    // SAFETY: live blocks, freed once.
    unsafe {
        heap.free(a);
        heap.free(b);
        assert_eq!(heap.malloc(100_000), b, "b is kept, and a was given back for it");
        heap.free(b);
        // More than a 32nd of memory is not kept.
        heap.free(large);
    }
    assert_eq!(heap.stats().available + (13 << 13), at_start);
    assert!(heap.reclaim() && !heap.reclaim());
    assert_eq!(heap.stats().available, at_start);
    assert_eq!(heap.stats().largest_free, at_start);
}

#[test]
#[should_panic(expected = "freed twice")]
fn a_kept_run_is_not_freed_again() {
    let Heap { heap, .. } = &heap(8 << 20);
    let block = heap.malloc(100_000);
    // SAFETY: that is what is tested: it is noticed before anything is used.
    unsafe {
        heap.free(block);
        heap.free(block);
    }
}

#[test]
fn the_largest_free_block_can_be_had() {
    let Heap { heap, .. } = &heap(1 << 20);
    loop {
        let largest = heap.stats().largest_free;
        if largest == 0 {
            break;
        }
        assert!(!heap.malloc(largest.min(100_000)).is_null(), "{largest}");
        assert!(!heap.malloc(1000).is_null() || heap.stats().largest_free == 0);
    }
}

#[test]
fn resizing_in_place() {
    let Heap { heap, .. } = &heap(1 << 20);
    let (a, b) = (heap.malloc(100_000), heap.malloc(100_000));
    let fence = heap.malloc(100_000);
    // SAFETY: live blocks.
    unsafe {
        assert_eq!(heap.realloc(a, 70_000), a);
        assert_eq!(heap.realloc(a, 100_000), a, "what was cut off is still free");
        heap.free(b);
        assert_eq!(heap.realloc(a, 150_000), a, "the free neighbour is used");
        assert_eq!(heap.realloc(fence, 300_000), fence, "memory never used follows");
        assert_ne!(heap.realloc(a, 250_000), a);
        let c = heap.malloc(500);
        assert_eq!(heap.realloc(c, 512), c);
        assert_eq!(heap.realloc(c, 300), c);
        assert_ne!(heap.realloc(c, 100), c);
    }
}

#[test]
fn alignments_beyond_a_slice() {
    let Heap { heap, .. } = &heap(1 << 20);
    let before = heap.stats();
    let blocks: Vec<_> = (0..18).map(|log| heap.memalign(1 << log, 3000)).collect();
    for (log, block) in blocks.iter().enumerate() {
        assert!(!block.is_null() && block.addr().is_multiple_of(1 << log), "{log}");
    }
    for block in blocks {
        // SAFETY: live blocks.
        unsafe { heap.free(block) };
    }
    heap.reclaim();
    assert_eq!(heap.stats().largest_free, before.largest_free);
}

#[test]
fn several_pieces_of_memory() {
    let Heap { heap, .. } = &heap(1 << 16);
    assert!(heap.malloc(100_000).is_null());
    let mut more: Vec<_> = (0..MAX_PIECES - 1).map(|i| Arena::new(1 << 18, i)).collect();
    for arena in &mut more {
        // SAFETY: the heap does not outlive it.
        unsafe { arena.give_to(heap) }.unwrap();
    }
    // SAFETY: refused.
    let refused = unsafe { Arena::new(1 << 16, 0).give_to(heap) };
    assert_eq!(refused, Err(AddMemoryError::TooMany));
    let blocks: Vec<_> = (0..MAX_PIECES - 1).map(|_| heap.malloc(200_000)).collect();
    assert_eq!(heap.stats().total_memory, (1 << 16) + (MAX_PIECES - 1) * (1 << 18));
    for block in blocks {
        assert!(heap.owns(block) && heap.owns(block.wrapping_add(199_999)));
        // SAFETY: live blocks.
        unsafe { heap.free(block) };
    }
    assert!(!heap.owns(core::ptr::null()) && !heap.owns((&raw const blocks_end).cast()));
    assert!(more.iter().all(Arena::margins_intact));
}
#[expect(non_upper_case_globals, reason = "an address that is not the heap's")]
static blocks_end: u8 = 0;

#[test]
fn pieces_that_are_too_small_or_large() {
    let heap = single();
    let mut arena = vec![0u64; 4096];
    let base = arena.as_mut_ptr().cast::<u8>();
    // SAFETY: sizes that are refused are not used.
    unsafe {
        for len in [0, 1, 64, 8192, 8255] {
            assert_eq!(heap.add_memory(base, len), Err(AddMemoryError::TooSmall), "{len}");
        }
        assert_eq!(heap.add_memory(base, 1 << 41), Err(AddMemoryError::TooLarge));
        assert_eq!(heap.add_memory(base, usize::MAX), Err(AddMemoryError::TooLarge));
        heap.add_memory(base, 4096 * 8).unwrap();
    }
    assert!(!heap.malloc(16).is_null());
}

/// Pages of the process that were touched in a range.
fn touched_pages(base: *mut u8, len: usize) -> usize {
    let mut map = std::fs::File::open("/proc/self/pagemap").unwrap();
    map.seek(SeekFrom::Start((base.addr() / 4096 * 8) as u64)).unwrap();
    let mut entries = vec![0; len / 4096 * 8];
    map.read_exact(&mut entries).unwrap();
    entries.as_chunks::<8>().0.iter().filter(|e| u64::from_le_bytes(**e) >> 63 != 0).count()
}

#[test]
fn a_large_piece_is_not_touched() {
    let layout = Layout::from_size_align(1 << 30, 1 << 20).unwrap();
    // SAFETY: the memory is given back when the heap is used no more.
    unsafe {
        let base = alloc_zeroed(layout);
        let heap = single();
        let before = touched_pages(base, layout.size());
        heap.add_memory(base, layout.size()).unwrap();
        assert_eq!(touched_pages(base, layout.size()), before);
        for _ in 0..100 {
            assert!(!heap.malloc(100).is_null());
        }
        let large = heap.malloc(900 << 20);
        assert!(!large.is_null());
        heap.free(large);
        let touched = touched_pages(base, layout.size()) - before;
        assert!(touched <= 10, "{touched} pages");
        dealloc(base, layout);
    }
}

#[test]
fn a_heap_is_all_zeros() {
    // SAFETY: nobody uses it.
    static HEAP: Mi<NoLock> = Mi::new(unsafe { NoLock::single_threaded() });
    // Read as a file, for the padding's sake.
    let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
    memory.seek(SeekFrom::Start((&raw const HEAP).addr() as u64)).unwrap();
    let mut bytes = vec![1; size_of_val(&HEAP)];
    memory.read_exact(&mut bytes).unwrap();
    assert!(bytes.iter().all(|b| *b == 0));
    assert!(bytes.len() <= 6 << 10, "{} bytes", bytes.len());
}

fn dies(expected: &str, work: impl FnOnce(&Mi<NoLock>)) {
    let Heap { heap, .. } = &heap(1 << 18);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(heap)));
    let cause = result.expect_err("must be detected");
    let cause = cause.downcast_ref::<String>().unwrap();
    assert!(cause.contains(expected), "{cause}");
}

// What follows breaks the contract of `free` on purpose; the heaps are not used after that.

#[test]
fn double_frees_are_detected() {
    dies("freed twice", |heap| {
        let a = heap.malloc(100);
        // SAFETY: see above.
        unsafe {
            heap.free(a);
            heap.free(a);
        }
    });
    dies("freed twice", |heap| {
        let (a, _b) = (heap.malloc(100_000), heap.malloc(100_000));
        // SAFETY: see above.
        unsafe {
            heap.free(a);
            heap.free(a);
        }
    });
    dies("outside of the heap was freed", |heap| {
        let a = heap.malloc(100_000);
        // SAFETY: see above.
        unsafe {
            heap.free(a);
            heap.free(a);
        }
    });
}

#[test]
fn addresses_that_are_no_block_are_detected() {
    // SAFETY: see above.
    dies("outside", |heap| unsafe { heap.free((&raw const blocks_end).cast_mut().cast()) });
    // SAFETY: see above.
    dies("inside", |heap| unsafe { heap.free(heap.malloc(100_000).add(16)) });
    // SAFETY: see above.
    dies("inside", |heap| unsafe { _ = heap.usable_size(heap.malloc(100).add(16)) });
    dies("written to", |heap| {
        let a = heap.malloc(2000);
        // SAFETY: see above.
        unsafe {
            heap.free(a);
            a.write_bytes(0x55, 2000);
        }
        for _ in 0..20 {
            heap.malloc(2000);
        }
    });
}

#[test]
fn edge_cases_are_those_of_the_table() {
    edge_cases(&single());
    // SAFETY: there is one flow here.
    edge_cases(&Mi::new(unsafe { CpuShards::<4>::new(|| 2) }));
    edge_cases(&Mi::new(LockedShards::<3>::new(|| 7)));
    edge_cases(&Mi::new(ThreadShards::<4>::new()));
}

fn passes<A: Alloc>(alloc: &A, kib: usize, calls: &[Call]) -> Result<(), TestCaseError> {
    check(alloc, kib << 10, calls, Reuse::Coalesces).map_err(TestCaseError::fail)
}

#[test]
fn pages_that_other_shards_emptied_are_reclaimed() {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static SHARD: AtomicUsize = AtomicUsize::new(0);
    let heap = Mi::new(LockedShards::<2>::new(|| SHARD.load(Relaxed)));
    let mut arena = ukalloc::model::Arena::new(128 << 10, 0);
    // SAFETY: the arena lives until the end of this function, as the blocks do.
    unsafe { arena.give_to(&heap) }.unwrap();
    // Pages of one block each, of which the first shard keeps the last.
    let mut blocks = Vec::new();
    while heap.stats().largest_free > 0 {
        blocks.push(heap.malloc(8192));
    }
    SHARD.store(1, Relaxed);
    blocks.pop();
    for block in blocks {
        // SAFETY: a live block.
        unsafe { heap.free(block) };
    }
    assert!(!heap.malloc(100).is_null(), "{:?}", heap.stats());
    assert!(!heap.malloc(50_000).is_null(), "{:?}", heap.stats());
}

proptest! {
    #[test]
    fn passes_the_suite(calls in trace(), kib in 32usize..1500) {
        passes(&single(), kib, &calls)?;
    }

    #[test]
    fn passes_the_suite_on_changing_shards(calls in trace(), kib in 64usize..1500) {
        use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
        static TURN: AtomicUsize = AtomicUsize::new(0);
        passes(&Mi::new(LockedShards::<4>::new(|| TURN.fetch_add(1, Relaxed) / 3)), kib, &calls)?;
    }

    #[test]
    fn passes_the_suite_with_bytes(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        passes(&single(), 1024, &trace_of_bytes(&bytes))?;
    }
}
