use proptest::prelude::*;
use ukalloc::model::{Arena, Reuse, check, edge_cases, trace, trace_of_bytes};
use ukalloc::{AddMemoryError, Alloc, Backend, Heap, SpinLock};

use super::{Config, MAX_PIECES, Tiny};

type TinyHeap = Heap<Tiny, SpinLock>;

const fn empty(bytes_per_block: u64) -> TinyHeap {
    Heap::new(Tiny::new(Config { bytes_per_block }), SpinLock::new())
}

/// A heap with garbage in its memory.
fn heap(len: usize, bytes_per_block: u64) -> &'static TinyHeap {
    let heap = Box::leak(Box::new(empty(bytes_per_block)));
    let store = vec![0x5au8; len].leak();
    // SAFETY: leaked memory that nobody else uses.
    unsafe { heap.add_memory(store.as_mut_ptr(), len) }.unwrap();
    heap
}

#[test]
fn blocks_cost_nothing_in_place() {
    let heap = heap(1 << 16, 512);
    let blocks: Vec<_> = (0..10).map(|_| heap.malloc(4096) as usize).collect();
    assert!(blocks.windows(2).all(|pair| pair[1] - pair[0] == 4096));
}

#[test]
fn the_first_free_block_that_fits_is_taken_and_divided() {
    let heap = heap(1 << 16, 512);
    let blocks: Vec<_> = (0..8).map(|_| heap.malloc(160)).collect();
    // SAFETY: live blocks.
    unsafe {
        for i in [5, 1, 3] {
            heap.free(blocks[i]);
        }
        let a = heap.malloc(100);
        assert_eq!(a, blocks[1]);
        assert_eq!(heap.usable_size(a), 112, "the rest was cut off");
        assert_eq!(heap.malloc(48), a.add(112), "and serves others");
        let b = heap.malloc(150);
        assert_eq!((b, heap.usable_size(b)), (blocks[3], 160), "16 bytes are not worth it");
        assert_eq!(heap.malloc(160), blocks[5]);
    }
}

#[test]
fn freeing_everything_in_any_order_leaves_nothing() {
    let heap = heap(1 << 16, 256);
    let start = heap.stats();
    for seed in 0..100usize {
        let mut blocks: Vec<_> = (1..20).map(|i| heap.malloc(i * 10)).collect();
        let mut random = seed;
        while !blocks.is_empty() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let block = blocks.swap_remove((random >> 33) % blocks.len());
            // SAFETY: a live block.
            unsafe { heap.free(block) };
        }
        assert_eq!(heap.stats().largest_free, start.largest_free, "{seed}");
        assert_eq!(heap.stats().available, start.available);
    }
}

#[test]
fn descriptors_run_out_and_come_back() {
    let heap = heap(8192, 1024);
    let blocks: Vec<_> = (0..8).map(|_| heap.malloc(64)).collect();
    assert!(blocks.iter().all(|b| !b.is_null()));
    assert!(heap.malloc(64).is_null(), "8 KiB at 1 KiB a block are 8 blocks");
    assert_eq!(heap.stats().largest_free, 0);
    // SAFETY: live blocks.
    unsafe {
        heap.free(blocks[3]);
        assert_eq!(heap.stats().largest_free, 64);
        let again = heap.malloc(16);
        assert_eq!(again, blocks[3]);
        assert_eq!(heap.usable_size(again), 64, "no descriptor for the rest");
        heap.free(blocks[7]);
        assert!(!heap.malloc(5000).is_null());
    }
}

#[test]
fn alignments() {
    let heap = heap(1 << 20, 512);
    for log in 4..18 {
        let (odd, block) = (heap.malloc(16), heap.memalign(1 << log, 100));
        assert!(!odd.is_null() && !block.is_null());
        assert!((block as usize).is_multiple_of(1 << log), "{log}");
        // SAFETY: a live block.
        unsafe { heap.free(block) };
    }
    let mut tiny = Tiny::default();
    assert!(tiny.allocate(1, 1 << 63).is_none());
}

#[test]
fn resizing_in_place() {
    let heap = heap(1 << 16, 512);
    let (a, b, c) = (heap.malloc(160), heap.malloc(160), heap.malloc(160));
    let available = heap.stats().available;
    // SAFETY: live blocks.
    unsafe {
        assert_eq!(heap.realloc(c, 1600), c, "the last block has room");
        assert_eq!(heap.realloc(c, 160), c);
        assert_eq!(heap.stats().available, available);
        heap.free(b);
        assert_eq!(heap.realloc(a, 250), a, "the free neighbour is used");
        assert_eq!(heap.malloc(64), a.add(256), "but for the rest of it");
        assert_eq!(heap.realloc(a, 100), a);
        assert_eq!(heap.malloc(144), a.add(112), "what was cut off is free");
        assert_ne!(heap.realloc(a, 10_000), a);
        assert_ne!(heap.realloc(c, 10_000), core::ptr::null_mut());
    }
}

#[test]
fn several_pieces_of_memory() {
    let heap = heap(4096, 512);
    assert!(heap.malloc(8000).is_null());
    let more = vec![0u8; 16_384].leak();
    // SAFETY: leaked memory.
    unsafe { heap.add_memory(more.as_mut_ptr(), 16_384) }.unwrap();
    let (a, b) = (heap.malloc(8000), heap.malloc(100));
    assert!(heap.owns(a) && heap.owns(b) && !heap.owns(core::ptr::null()));
    // SAFETY: live blocks.
    unsafe {
        heap.free(a);
        heap.free(b);
    }
    assert_eq!(heap.stats().total_memory, 4096 + 16_384);
}

#[test]
fn pieces_of_all_sizes_and_places() {
    let mut memory = vec![0x77u8; 8192];
    for offset in [0, 1, 7, 15, 16] {
        for len in 0..3000 {
            let mut tiny = Tiny::default();
            // SAFETY: the memory is used by one allocator at a time.
            let result = unsafe { tiny.add_memory(memory.as_mut_ptr().add(offset), len) };
            assert!(result.is_ok() || len < 64, "{len}");
            if result.is_err() {
                continue;
            }
            let largest = tiny.largest_free();
            let block = tiny.allocate(largest, 16).unwrap();
            let end = block.as_ptr() as usize + largest;
            assert!(end <= memory.as_ptr() as usize + offset + len);
            assert!(tiny.allocate(1, 16).is_none());
        }
    }
    let mut tiny = Tiny::default();
    // SAFETY: nothing is written when memory is added, and none is asked for.
    unsafe {
        let base = 0x10_0000 as *mut u8;
        assert_eq!(tiny.add_memory(base, 1 << 40), Err(AddMemoryError::TooLarge));
        for i in 0..MAX_PIECES {
            tiny.add_memory(base.add(i << 20), 1 << 20).unwrap();
        }
        assert_eq!(tiny.add_memory(base, 1 << 20), Err(AddMemoryError::TooMany));
    }
}

#[test]
fn adding_memory_writes_nothing_and_use_writes_little() {
    let mut store = vec![0xa5u8; 32 << 20];
    let heap = empty(512);
    // SAFETY: the memory outlives the heap.
    unsafe { heap.add_memory(store.as_mut_ptr(), store.len()) }.unwrap();
    assert!(store.iter().all(|b| *b == 0xa5), "adding memory wrote to it");
    assert!(!heap.malloc(100).is_null());
    assert!(store.iter().filter(|b| **b != 0xa5).count() <= 32, "one descriptor, one place");
}

#[test]
fn a_place_of_the_hash_table_may_hold_anything() {
    // The table is full of what looks like the index of the first block.
    let heap = Box::leak(Box::new(empty(512)));
    let store = vec![0u8; 1 << 16].leak();
    // SAFETY: leaked memory.
    unsafe { heap.add_memory(store.as_mut_ptr(), 1 << 16) }.unwrap();
    let blocks: Vec<_> = (0..100).map(|i| heap.malloc(16 + i % 50)).collect();
    for block in &blocks {
        // SAFETY: a live block.
        assert!(unsafe { heap.usable_size(*block) } >= 16);
    }
    // SAFETY: live blocks.
    blocks.into_iter().rev().for_each(|block| unsafe { heap.free(block) });
}

#[test]
fn heaps_lie_in_bss() {
    static HEAP: TinyHeap = empty(Config::DEFAULT.bytes_per_block);
    // SAFETY: any bytes may be read as such; padding of a static is zero.
    let bytes = unsafe {
        core::slice::from_raw_parts((&raw const HEAP).cast::<u8>(), size_of::<TinyHeap>())
    };
    assert!(bytes.iter().all(|b| *b == 0));
}

#[test]
#[should_panic(expected = "freed twice")]
fn a_double_free_is_detected() {
    let heap = heap(1 << 16, 512);
    let (a, _fence) = (heap.malloc(100), heap.malloc(100));
    // SAFETY: the second free breaks the contract.
    unsafe {
        heap.free(a);
        heap.free(a);
    }
}

#[test]
#[should_panic(expected = "its address is wrong")]
fn an_address_inside_a_block_is_detected() {
    let heap = heap(1 << 16, 512);
    let a = heap.malloc(100);
    // SAFETY: breaks the contract.
    unsafe { heap.free(a.add(16)) };
}

#[test]
#[should_panic(expected = "not of this heap")]
fn a_foreign_block_is_detected() {
    let mut tiny = Tiny::default();
    let mut other = [0u64; 8];
    // SAFETY: breaks the contract.
    unsafe { tiny.free(core::ptr::NonNull::from(&mut other).cast()) };
}

#[test]
fn edge_cases_are_those_of_the_table() {
    edge_cases(&empty(512));
}

proptest! {
    #[test]
    fn passes_the_suite(calls in trace(), len in 2_000usize..1_200_000, per_block in 32u64..5000) {
        check(&empty(per_block), len, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn passes_the_suite_with_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let calls = trace_of_bytes(&bytes);
        check(&empty(512), 4 << 20, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn passes_the_suite_in_pieces(calls in trace(), lens in prop::collection::vec(0usize..70_000, 1..7)) {
        let heap = empty(256);
        let mut arenas: Vec<_> = lens.iter().map(|len| Arena::new(*len, len % 97)).collect();
        for arena in &mut arenas {
            // SAFETY: the arenas live until the end of this function. Small ones are refused.
            let _ = unsafe { arena.give_to(&heap) };
        }
        check(&heap, 100_000, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
        prop_assert!(arenas.iter().all(Arena::margins_intact));
    }
}
