use proptest::prelude::*;
use ukalloc::model::{Reuse, check, edge_cases, trace};
use ukalloc::{AddMemoryError, Alloc, Backend, Heap, SpinLock};

use super::Tlsf;

fn heap(bytes: usize) -> &'static Heap<Tlsf, SpinLock> {
    let heap = Box::leak(Box::new(Heap::new(Tlsf::new(), SpinLock::new())));
    let memory = Box::leak(vec![0u64; bytes / 8].into_boxed_slice());
    // SAFETY: leaked memory that nobody else uses.
    unsafe { heap.add_memory(memory.as_mut_ptr().cast(), bytes) }.unwrap();
    heap
}

#[test]
fn a_block_in_use_costs_eight_bytes() {
    let heap = heap(1 << 16);
    let (a, b) = (heap.malloc(24), heap.malloc(24));
    assert_eq!((a as usize).abs_diff(b as usize), 32);
    let (c, d) = (heap.malloc(1000), heap.malloc(1000));
    assert_eq!((c as usize).abs_diff(d as usize), 1008);
}

#[test]
fn neighbours_are_joined_on_both_sides() {
    let heap = heap(1 << 16);
    let before = heap.stats();
    let blocks: Vec<_> = (0..8).map(|_| heap.malloc(500)).collect();
    // SAFETY: live blocks.
    unsafe {
        for i in [1, 3, 2, 7, 0, 5, 6, 4] {
            heap.free(blocks[i]);
        }
    }
    assert_eq!(heap.stats().largest_free, before.largest_free);
}

#[test]
fn an_address_inside_a_block_is_aligned() {
    let mut tlsf = Tlsf::new();
    let mut memory = vec![0u64; 4096];
    // SAFETY: the memory outlives the allocator.
    unsafe { tlsf.add_memory(memory.as_mut_ptr().cast(), 32_768) }.unwrap();
    let available = tlsf.available();
    let mut blocks = Vec::new();
    for (log, offset) in (4..12).flat_map(|log| [(log, 0), (log, 16), (log, 32), (log, 48)]) {
        let block = tlsf.allocate_with_offset(50, 1 << log, offset).unwrap();
        assert!((block.as_ptr() as usize + offset).is_multiple_of(1 << log), "{log} {offset}");
        blocks.push(block);
    }
    for block in blocks {
        // SAFETY: a live block.
        unsafe { tlsf.free(block) };
    }
    assert_eq!(tlsf.available(), available);
}

#[test]
fn blocks_in_use_are_listed_in_order() {
    let mut tlsf = Tlsf::new();
    let mut memory = [vec![0u64; 4096], vec![0u64; 4096]];
    for piece in &mut memory {
        // SAFETY: the memory outlives the allocator.
        unsafe { tlsf.add_memory(piece.as_mut_ptr().cast(), 32_768) }.unwrap();
    }
    let listed = |tlsf: &Tlsf| {
        let mut list = Vec::new();
        tlsf.for_each_used(|payload, size| list.push((payload, size)));
        list
    };
    assert!(listed(&tlsf).is_empty());
    let mut blocks: Vec<_> = (0..50).map(|i| tlsf.allocate(i * 20 + 1, 16).unwrap()).collect();
    for index in (0..25).rev() {
        // SAFETY: a live block, used no more.
        unsafe { tlsf.free(blocks.remove(index * 2)) };
    }
    let list = listed(&tlsf);
    // SAFETY: live blocks.
    assert!(list.iter().all(|(block, size)| unsafe { tlsf.usable_size(*block) } == *size));
    let mut found: Vec<_> = list.iter().map(|(block, _)| *block).collect();
    assert!(found.windows(2).filter(|pair| pair[0] > pair[1]).count() <= 1, "two pieces");
    found.sort_unstable();
    blocks.sort_unstable();
    assert_eq!(found, blocks);
}

#[test]
fn resizing_in_place() {
    let heap = heap(1 << 16);
    let (a, b) = (heap.malloc(200), heap.malloc(200));
    let fence = heap.malloc(10);
    // SAFETY: live blocks.
    unsafe {
        assert_eq!(heap.realloc(a, 100), a);
        heap.free(b);
        assert_eq!(heap.realloc(a, 390), a, "the free neighbour is used");
        assert_ne!(heap.realloc(a, 30_000), a);
        heap.free(fence);
    }
}

#[test]
fn several_pieces_of_memory() {
    let heap = heap(4096);
    assert!(heap.malloc(8000).is_null());
    let more = Box::leak(vec![0u64; 2048].into_boxed_slice());
    // SAFETY: leaked memory.
    unsafe { heap.add_memory(more.as_mut_ptr().cast(), 16_384) }.unwrap();
    let block = heap.malloc(8000);
    assert!(!block.is_null() && heap.owns(block));
    assert_eq!(heap.stats().total_memory, 4096 + 16_384);
    assert!(!heap.owns(core::ptr::null()));
}

#[test]
fn pieces_that_are_too_small_or_large() {
    let mut tlsf = Tlsf::new();
    let mut memory = [0u64; 64];
    let base = memory.as_mut_ptr().cast::<u8>();
    // SAFETY: too small pieces are not touched; the sizes above are refused before they are used.
    unsafe {
        for len in 0..48 {
            assert_eq!(tlsf.add_memory(base, len), Err(AddMemoryError::TooSmall), "{len}");
        }
        assert_eq!(tlsf.add_memory(base, 1 << 41), Err(AddMemoryError::TooLarge));
        tlsf.add_memory(base, 512).unwrap();
    }
    assert!(tlsf.allocate(1 << 39, 16).is_none());
    assert!(tlsf.allocate(usize::MAX >> 1, 16).is_none());
    assert!(tlsf.allocate(100, 1 << 62).is_none());
    assert!(tlsf.allocate(100, 16).is_some());
}

#[test]
fn the_least_piece_has_room_for_a_block() {
    let mut memory = [0u64; 64];
    let base = memory.as_mut_ptr().cast::<u8>();
    let least = (0..512).find(|len| {
        let mut tlsf = Tlsf::new();
        // SAFETY: the memory is used by one allocator at a time.
        unsafe { tlsf.add_memory(base, *len) }.is_ok()
    });
    let mut tlsf = Tlsf::new();
    // SAFETY: as above.
    unsafe { tlsf.add_memory(base, least.unwrap()) }.unwrap();
    let block = tlsf.allocate(24, 16).unwrap();
    // The header that ends the piece lies inside of it.
    assert!(block.as_ptr() as usize + 24 + 8 <= base as usize + least.unwrap());
}

#[test]
#[should_panic(expected = "freed twice")]
fn a_double_free_is_detected() {
    let heap = heap(1 << 16);
    let (a, _fence) = (heap.malloc(100), heap.malloc(100));
    // SAFETY: the second free breaks the contract; the header still says what happened.
    unsafe {
        heap.free(a);
        heap.free(a);
    }
}

#[test]
fn the_largest_free_block_can_be_had() {
    let heap = heap(1 << 20);
    let largest = heap.stats().largest_free;
    let block = heap.malloc(largest);
    assert!(!block.is_null(), "{largest} of {}", 1 << 20);
}

#[test]
fn edge_cases_are_those_of_the_table() {
    edge_cases(&Heap::new(Tlsf::new(), SpinLock::new()));
}

proptest! {
    #[test]
    fn passes_the_suite(calls in trace(), pages in 2usize..300) {
        check(&Heap::new(Tlsf::new(), SpinLock::new()), pages * 4096, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
    }
}
