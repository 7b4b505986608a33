use proptest::prelude::*;
use ukalloc::model::{Reuse, check, edge_cases, trace};
use ukalloc::{AddMemoryError, Alloc, Backend, Heap, SpinLock};

use super::{MAX_PIECES, Region};

#[test]
fn the_last_block_comes_back_and_grows() {
    let mut memory = [0u64; 512];
    let heap = Heap::new(Region::new(), SpinLock::new());
    // SAFETY: the memory outlives the heap; blocks are used while they live.
    unsafe {
        heap.add_memory(memory.as_mut_ptr().cast(), 4096).unwrap();
        let a = heap.malloc(100);
        let b = heap.malloc(100);
        heap.free(b);
        assert_eq!(heap.malloc(50), b, "the place of the last block is used again");
        assert_eq!(heap.realloc(b, 2000), b, "the last block grows in place");
        assert_ne!(heap.realloc(a, 200), a, "another one moves");
        let before = heap.stats().available;
        heap.free(a);
        assert_eq!(heap.stats().available, before);
    }
}

#[test]
fn blocks_freed_from_the_last_on_all_come_back() {
    let mut memory = [0u64; 4096];
    let heap = Heap::new(Region::new(), SpinLock::new());
    // SAFETY: the memory outlives the heap; blocks are freed once.
    unsafe {
        heap.add_memory(memory.as_mut_ptr().cast(), 32_768).unwrap();
        heap.malloc(1);
        let before = heap.stats().available;
        let blocks: Vec<_> = (1..100).map(|size| heap.malloc(size)).collect();
        for block in blocks.into_iter().rev() {
            heap.free(block);
        }
        assert_eq!(heap.stats().available, before);
    }
}

#[test]
fn pieces_are_limited() {
    let mut memory = [0u64; 64];
    let mut region = Region::new();
    let base = memory.as_mut_ptr().cast::<u8>();
    // SAFETY: pieces do not overlap.
    unsafe {
        assert_eq!(region.add_memory(base, 8), Err(AddMemoryError::TooSmall));
        for i in 0..MAX_PIECES {
            region.add_memory(base.add(i * 64), 64).unwrap();
        }
        assert_eq!(region.add_memory(base, 64), Err(AddMemoryError::TooMany));
    }
    assert_eq!(region.total_memory(), MAX_PIECES * 64);
    let got = (0..).take_while(|_| region.allocate(40, 8).is_some()).count();
    assert_eq!(got, MAX_PIECES, "every piece is used");
}

#[test]
fn pieces_side_by_side_stay_apart() {
    let mut memory = [0u64; 64];
    let base = memory.as_mut_ptr().cast::<u8>();
    let mut region = Region::new();
    // SAFETY: the pieces are halves of the memory; the block lives.
    unsafe {
        region.add_memory(base.add(256), 256).unwrap();
        region.add_memory(base, 256).unwrap();
        let high = region.allocate(200, 16).unwrap();
        let low = region.allocate(200, 16).unwrap();
        assert!(low < high);
        region.free(high);
        let whole = region.largest_free();
        // The low block takes all up to where the memory of the high piece starts, which is empty.
        let rest = base as usize + 256 - low.as_ptr() as usize;
        assert!((0..rest).rev().find(|size| region.resize_in_place(low, *size)) > Some(rest - 24));
        assert_eq!(region.largest_free(), whole);
        let high = region.allocate(200, 16).unwrap();
        region.free(high);
        region.free(low);
        assert!(region.available() > 512 - 6 * 16, "both pieces are whole again");
        assert!(region.allocate(200, 16).is_some() && region.allocate(200, 16).is_some());
    }
}

#[test]
fn edge_cases_are_those_of_the_table() {
    edge_cases(&Heap::new(Region::new(), SpinLock::new()));
}

proptest! {
    #[test]
    fn passes_the_suite(calls in trace(), pages in 1usize..300) {
        check(&Heap::new(Region::new(), SpinLock::new()), pages * 4096, &calls, Reuse::Never).map_err(TestCaseError::fail)?;
    }
}
