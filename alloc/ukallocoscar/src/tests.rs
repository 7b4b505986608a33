use std::io::Write as _;
use std::sync::{Mutex, MutexGuard};

use proptest::prelude::*;
use ukalloc::model::{Arena, Reuse, check, edge_cases, trace};
use ukalloc::{AddMemoryError, Alloc, Backend, Heap, PAGE_SIZE, SpinLock};

use super::{Config, Oscar, explain};

/// The window is divided among few heaps, and a process has few mappings: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

type OscarHeap = Heap<Oscar, SpinLock>;

fn empty() -> OscarHeap {
    Heap::new(Oscar::new(Config { freed_blocks: 16 }), SpinLock::new())
}

fn heap() -> (OscarHeap, Arena) {
    let (heap, mut arena) = (empty(), Arena::new(1 << 20, 0));
    // SAFETY: the arena is returned with the heap.
    unsafe { arena.give_to(&heap) }.unwrap();
    (heap, arena)
}

/// Whether a byte can be read, found out by the kernel.
fn readable(address: *const u8) -> bool {
    let (_reader, mut writer) = std::io::pipe().unwrap();
    // SAFETY: only the kernel looks at the byte, and reports when it cannot.
    writer.write(unsafe { std::slice::from_raw_parts(address, 1) }).is_ok()
}

fn said(address: *const u8) -> String {
    let mut text = String::new();
    explain(address as usize, &mut text).unwrap();
    text
}

#[test]
fn edge_cases_are_those_of_the_table() {
    let _turn = alone();
    edge_cases(&empty());
}

#[test]
fn a_freed_block_cannot_be_reached() {
    let _turn = alone();
    let (heap, _arena) = heap();
    let blocks: Vec<_> = [1, 100, 4000, 4096, 20_000].map(|size| (heap.malloc(size), size)).into();
    for (block, size) in &blocks {
        assert!(readable(*block) && readable(block.wrapping_add(size - 1)));
        let past = (*block as usize + size).next_multiple_of(PAGE_SIZE);
        assert!(!readable(past as *const u8), "a guard page follows");
    }
    for (block, size) in blocks {
        // SAFETY: a live block.
        unsafe { heap.free(block) };
        assert!(!readable(block) && !readable(block.wrapping_add(size - 1)));
    }
}

#[test]
fn addresses_are_not_used_again() {
    let _turn = alone();
    let (heap, _arena) = heap();
    let mut last = 0;
    for _ in 0..1000 {
        let block = heap.malloc(10) as usize;
        assert!(block > last);
        last = block;
        // SAFETY: a live block.
        unsafe { heap.free(block as *mut u8) };
    }
}

#[test]
fn blocks_lie_packed_in_memory() {
    let _turn = alone();
    let (heap, _arena) = heap();
    let before = heap.stats().available;
    for _ in 0..100 {
        assert!(!heap.malloc(16).is_null());
    }
    let used = before - heap.stats().available;
    assert!(used <= 100 * (16 + 56), "{used}");
    // A page-aligned page costs little more than a page, too.
    let before = heap.stats().available;
    for _ in 0..20 {
        assert!(!heap.palloc(1).is_null());
    }
    let used = before - heap.stats().available;
    assert!(used <= 20 * (PAGE_SIZE + 64) + PAGE_SIZE, "{used}");
}

#[test]
fn realloc_stays_where_the_shadow_has_room() {
    let _turn = alone();
    let (heap, _arena) = heap();
    // SAFETY: live blocks.
    unsafe {
        let block = heap.malloc(100);
        assert_eq!(heap.realloc(block, 1000), block);
        block.add(99).write(5);
        let moved = heap.realloc(block, 10_000);
        assert_ne!(moved, block);
        assert_eq!(moved.add(99).read(), 5);
        assert!(!readable(block));
        assert!(readable(moved.add(9_000)));
        assert_eq!(heap.realloc(moved, 50), moved, "smaller always fits");
        assert!(!readable(moved.add(9_000)), "what was cut off is taken away");
        assert_eq!(heap.usable_size(moved), 50);
        assert!(said(moved.add(9_000)).contains("long ago"), "{}", said(moved.add(9_000)));
        heap.free(moved);
    }
    let (a, b) = (heap.stats().frees, heap.stats().allocations);
    assert_eq!(a, b);
}

/// A heap with few addresses, so that they are used again and again.
fn short_of_addresses(pages: usize) -> (Oscar, Arena) {
    let mut oscar = Oscar::new(Config { freed_blocks: 4 });
    let mut arena = Arena::new(1 << 19, 0);
    // SAFETY: the arena is returned with the allocator.
    unsafe { oscar.add_memory(arena.base(), 1 << 19) }.unwrap();
    let range = &mut oscar.state_mut().unwrap().addresses.range;
    range.end = range.start + pages * PAGE_SIZE;
    (oscar, arena)
}

#[test]
fn used_up_addresses_are_no_memory_until_some_come_back() {
    let _turn = alone();
    let (mut oscar, _arena) = short_of_addresses(9);
    let blocks: Vec<_> = std::iter::from_fn(|| oscar.allocate(10, 16)).collect();
    assert_eq!(blocks.len(), 4, "a page and a guard for each");
    let before = oscar.available();
    assert!(oscar.allocate(10, 16).is_none());
    assert_eq!(oscar.available(), before);
    let page = |block: std::ptr::NonNull<u8>| block.as_ptr() as usize / PAGE_SIZE;
    let pages: Vec<_> = blocks.iter().map(|block| page(*block)).collect();
    // SAFETY: live blocks.
    unsafe {
        oscar.free(blocks[1]);
        let again = oscar.allocate(10, 16).unwrap();
        assert_eq!(page(again), pages[1]);
        oscar.free(blocks[3]);
        oscar.free(blocks[0]);
        // Upwards from the last one.
        assert_eq!(oscar.allocate(10, 16).map(page), Some(pages[3]));
        assert_eq!(oscar.allocate(10, 16).map(page), Some(pages[0]));
        oscar.free(blocks[2]);
        oscar.free(again);
        assert!(oscar.allocate(6 * PAGE_SIZE, 16).is_none());
        // What failed has not moved on.
        assert_eq!(oscar.allocate(10, 16).map(page), Some(pages[1]));
    }
}

proptest! {
    #[test]
    fn passes_the_suite(calls in trace(), pages in 12usize..300) {
        let _turn = alone();
        check(&empty(), pages * PAGE_SIZE, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
    }

    /// Rounds and rounds through few addresses: live blocks keep theirs, others do not overlap
    /// them, each has a guard, and none is refused while the addresses have a gap that fits.
    #[test]
    fn recycled_addresses_are_free(
        steps in prop::collection::vec((1usize..9000, 0u32..15, any::<prop::sample::Index>(), 0u8..5), 1..120)
    ) {
        let _turn = alone();
        let (mut oscar, _arena) = short_of_addresses(40);
        let range = oscar.state().unwrap().addresses.range.clone();
        let mut live: Vec<(usize, usize, u8)> = Vec::new();
        for (size, align, which, kind) in steps {
            if kind < 2 && !live.is_empty() {
                let (block, size, mark) = live.swap_remove(which.index(live.len()));
                // SAFETY: a live block of that size.
                unsafe {
                    prop_assert_eq!((block as *const u8).read(), mark);
                    prop_assert_eq!((block as *const u8).add(size - 1).read(), mark);
                    oscar.free(std::ptr::NonNull::new(block as *mut u8).unwrap());
                }
                continue;
            }
            let pages = |(block, size, _): &(usize, usize, u8)| {
                let pages = crate::object::Pages::of(*block, *size);
                pages.start..pages.end + PAGE_SIZE
            };
            let Some(block) = oscar.allocate(size, 1 << align) else {
                // The largest gap between live blocks, by brute force. A header may take a page
                // of its own, alignment 8 - 1 more.
                let mut taken: Vec<_> = live.iter().map(pages).collect();
                taken.sort_by_key(|r| r.start);
                taken.push(range.end..range.end);
                let mut at = range.start;
                let mut gap = 0;
                for range in taken {
                    gap = gap.max(range.start - at);
                    at = range.end;
                }
                let needed = size.next_multiple_of(PAGE_SIZE) + (3 + 7) * PAGE_SIZE;
                prop_assert!(gap < needed, "{size} refused, {gap} there");
                continue;
            };
            let block = block.as_ptr() as usize;
            let mark = block as u8 ^ (block >> 12) as u8;
            prop_assert!(block.is_multiple_of(1 << align.max(4)));
            let new = (block, size, mark);
            let own = pages(&new);
            prop_assert!(range.start <= own.start && own.end <= range.end);
            for other in live.iter().map(pages) {
                prop_assert!(own.end <= other.start || other.end <= own.start);
            }
            // SAFETY: a live block of that size.
            unsafe { (block as *mut u8).write_bytes(mark, size) };
            live.push(new);
        }
        prop_assert_eq!(oscar.state().unwrap().addresses.live, live.len());
    }
}

#[test]
fn addresses_are_explained() {
    let _turn = alone();
    let (heap, _arena) = heap();
    let (a, b) = (heap.malloc(100), heap.malloc(200));
    // SAFETY: live blocks.
    unsafe { heap.free(a) };
    assert_eq!(said(a.wrapping_add(4)), "use after free of a 100-byte block, at offset 4");
    assert_eq!(said(a.wrapping_add(100)), "access past the end of a freed 100-byte block");
    assert_eq!(said(a.wrapping_sub(1)), "access before the start of a freed 100-byte block");
    let guard = (b as usize).next_multiple_of(PAGE_SIZE);
    let distance = guard - b as usize - 200;
    assert_eq!(
        said(guard as *const u8),
        format!("access past the end of a 200-byte block, {distance} bytes after it")
    );
    assert_eq!(said(b), "inside a 200-byte block that is in use");
    let never = (b as usize + 10 * PAGE_SIZE) as *const u8;
    assert_eq!(said(never), "an address of the heap that no block has had");
    assert_eq!(said(&0u8), "");
    for _ in 0..16 {
        // SAFETY: a live block.
        unsafe { heap.free(heap.malloc(1)) };
    }
    assert_eq!(said(a), "use of a block that was freed long ago");
}

#[test]
#[should_panic(expected = "heap corrupted: written past the end of a 100-byte block")]
fn writing_a_byte_too_far_is_found_by_free() {
    let _turn = alone();
    let (heap, _arena) = heap();
    let block = heap.malloc(100);
    // SAFETY: none: one byte too far, but within the block of canonical memory.
    unsafe {
        block.add(100).write_volatile(0);
        heap.free(block);
    }
}

#[test]
#[should_panic(expected = "heap corrupted: written past the end of a 30-byte block")]
fn writing_a_byte_too_far_is_found_by_realloc() {
    let _turn = alone();
    let (heap, _arena) = heap();
    let block = heap.malloc(30);
    // SAFETY: none: as above.
    unsafe {
        block.add(31).write_volatile(b'x');
        heap.realloc(block, 40);
    }
}

#[test]
#[should_panic(expected = "heap corrupted: not the start of a block")]
fn freeing_the_middle_of_a_block_is_found() {
    let _turn = alone();
    let (heap, _arena) = heap();
    let block = heap.malloc(300);
    // SAFETY: none: not what was allocated.
    unsafe {
        block.write_bytes(0, 300);
        heap.free(block.add(128));
    }
}

#[test]
#[should_panic(expected = "heap corrupted: a block was given back that is of another heap")]
fn a_block_of_another_heap_is_found() {
    let _turn = alone();
    let ((heap, _arena), (other, _other_arena)) = (heap(), heap());
    // SAFETY: none: not from this heap.
    unsafe { heap.free(other.malloc(10)) };
}

#[test]
fn heaps_have_addresses_of_their_own_until_there_are_too_many() {
    let _turn = alone();
    let heaps: Vec<_> = (0..ukplat::vm::PARTS).map(|_| heap()).collect();
    let blocks: Vec<_> = heaps.iter().map(|(heap, _)| heap.malloc(100)).collect();
    for (i, (heap, _)) in heaps.iter().enumerate() {
        let owned: Vec<bool> = blocks.iter().map(|block| heap.owns(*block)).collect();
        assert_eq!(owned.iter().position(|o| *o), Some(i));
        assert_eq!(owned.iter().filter(|o| **o).count(), 1);
    }
    let (one_more, mut arena) = (empty(), Arena::new(1 << 20, 0));
    // SAFETY: the arena lives as long as the heap.
    assert_eq!(unsafe { arena.give_to(&one_more) }, Err(AddMemoryError::TooMany));
    assert!(one_more.malloc(1).is_null());
    assert_eq!(one_more.stats().total_memory, 0);
    drop(heaps);
    // SAFETY: as above; it was not taken before.
    unsafe { arena.give_to(&one_more) }.unwrap();
    assert!(!one_more.malloc(1).is_null());
}

#[test]
fn pieces_that_are_too_small() {
    let _turn = alone();
    let heap = empty();
    for len in [0, 100, PAGE_SIZE, 8 * PAGE_SIZE] {
        let mut arena = Arena::new(len, 0);
        // SAFETY: refused, so that nothing is used.
        assert_eq!(unsafe { arena.give_to(&heap) }, Err(AddMemoryError::TooSmall));
    }
}

#[test]
fn several_pieces_of_memory() {
    let _turn = alone();
    let (heap, _arena) = heap();
    assert!(heap.malloc(1 << 20).is_null());
    let before = heap.stats().total_memory;
    // One page, and one that is large enough for the block; both at odd addresses.
    let mut more = [Arena::new(2 * PAGE_SIZE, 100), Arena::new(2 << 20, 1000)];
    for arena in &mut more {
        // SAFETY: the arenas live as long as the heap.
        unsafe { arena.give_to(&heap) }.unwrap();
    }
    assert_eq!(heap.stats().total_memory, before + (2 << 20));
    let block = heap.malloc(1 << 20);
    // SAFETY: a live block.
    unsafe {
        block.write_bytes(7, 1 << 20);
        heap.free(block);
    }
    assert!(more.iter().all(Arena::margins_intact));
}

#[test]
fn the_host_s_limit_of_mappings_is_out_of_memory() {
    let _turn = alone();
    let (heap, mut arena) = (empty(), Arena::new(16 << 20, 0));
    // SAFETY: the arena lives as long as the heap.
    unsafe { arena.give_to(&heap) }.unwrap();
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let limit = limit.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65_530);
    if limit > 150_000 {
        return;
    }
    let mut blocks = Vec::new();
    loop {
        let block = heap.malloc(16);
        if block.is_null() {
            break;
        }
        blocks.push(block);
    }
    assert!(blocks.len() > limit / 2 && blocks.len() <= limit, "{} blocks", blocks.len());
    assert!(heap.stats().largest_free > 1 << 20);
    for block in blocks {
        // SAFETY: live blocks.
        unsafe { heap.free(block) };
    }
    assert!(!heap.malloc(16).is_null());
}
