use core::ops::Range;

use proptest::prelude::*;
use ukalloc::model::{Reuse, check, edge_cases, trace};
use ukalloc::{AddMemoryError, Alloc, Backend, Freed, Heap, SpinLock, TwoStage};

use super::*;

/// A collector, memory for it, and words that are its roots.
struct Host {
    gc: Gc,
    roots: Vec<usize>,
    _memory: Vec<Vec<u64>>,
}

impl Host {
    fn new(bytes: usize) -> Self {
        Self::in_pieces(&[bytes])
    }

    fn in_pieces(sizes: &[usize]) -> Self {
        let mut gc = Gc::new(Config::DEFAULT);
        let mut memory: Vec<_> = sizes.iter().map(|bytes| vec![u64::MAX; bytes / 8]).collect();
        for (piece, bytes) in memory.iter_mut().zip(sizes) {
            // SAFETY: the memory lives as long as the collector.
            unsafe { gc.add_memory(piece.as_mut_ptr().cast(), *bytes) }.unwrap();
        }
        Self { gc, roots: Vec::new(), _memory: memory }
    }

    /// A zeroed block.
    fn block(&mut self, bytes: usize) -> *mut usize {
        let block = self.gc.allocate(bytes, 16).expect("the tests' heaps are large enough");
        // SAFETY: a block of that size.
        unsafe { block.write_bytes(0, bytes) };
        block.as_ptr().cast()
    }

    fn collect(&mut self) -> Freed {
        let roots = self.roots.as_ptr_range();
        let roots = roots.start.addr()..roots.end.addr();
        // SAFETY: the tests use what the roots lead to, and nothing else.
        unsafe { self.gc.collect(|marker| marker.range(roots)) }
    }

    fn live(&self) -> Vec<*mut u8> {
        let mut live = Vec::new();
        self.gc.memory.for_each_used(|payload, _| live.push(payload.as_ptr()));
        live
    }
}

#[test]
fn what_roots_do_not_lead_to_is_freed() {
    let mut host = Host::new(1 << 16);
    let available = host.gc.available();
    let (a, b, c) = (host.block(100), host.block(200), host.block(300));
    // SAFETY: live blocks. `a` leads to `c`; `b` leads to both, and nothing to `b`.
    unsafe {
        a.add(5).write(c.addr());
        b.write(a.addr());
        b.add(1).write(c.addr());
        c.write(c.addr());
    }
    host.roots = vec![3, a.addr(), usize::MAX];
    let freed = host.collect();
    assert_eq!(freed.blocks, 1);
    assert!((200..220).contains(&freed.bytes), "{freed:?}");
    assert_eq!(host.gc.take_freed(), freed);
    assert_eq!(host.gc.take_freed(), Freed::default());
    assert_eq!(host.live(), [a.cast(), c.cast()]);
    assert_eq!(host.collect(), Freed::default());
    host.roots.clear();
    assert_eq!(host.collect().blocks, 2, "a block that leads to itself");
    assert_eq!(host.gc.available(), available);
}

#[test]
fn any_address_in_a_block_keeps_it_and_none_beside_it() {
    let mut host = Host::new(1 << 20);
    let size = 600_000;
    let (before, large, after) = (host.block(40), host.block(size), host.block(40));
    host.roots = vec![before.addr(), after.addr(), 0];
    for inside in [0, 1, 8, 4097, size / 2, size - 1] {
        host.roots[2] = large.addr() + inside;
        assert_eq!(host.collect(), Freed::default(), "{inside}");
    }
    // SAFETY: a live block.
    let usable = unsafe { host.gc.usable_size(NonNull::new(large).unwrap().cast()) };
    host.roots[2] = large.addr() + usable;
    assert_eq!(host.collect(), Freed::default(), "the end of a slice");
    host.roots[2] = large.addr() + usable + 1;
    assert_eq!(host.collect().blocks, 1, "that is the next one's header");
    assert_eq!(host.live().len(), 2);
}

#[test]
fn addresses_that_lead_nowhere_do_no_harm() {
    let mut host = Host::in_pieces(&[1 << 16, 1 << 17]);
    let block = host.block(64);
    let ranges: Vec<_> = host.gc.pieces().map(Piece::range).collect();
    host.roots = ranges.iter().flat_map(|r| r.clone().step_by(8)).collect();
    host.roots.extend(ranges.iter().flat_map(|r| [r.start - 1, r.end, r.end + 1]));
    assert_eq!(host.collect(), Freed::default());
    // SAFETY: a live block, used no more.
    unsafe { host.gc.free(NonNull::new(block).unwrap().cast()) };
    assert_eq!(host.collect(), Freed::default(), "not freed a second time");
    assert!(host.live().is_empty());
}

#[test]
fn words_count_only_where_they_are_aligned() {
    let mut host = Host::new(1 << 16);
    let block = host.block(64);
    let mut bytes = [0u8; 32];
    let start = bytes.as_ptr().addr();
    let odd = start.next_multiple_of(8) - start + 4;
    bytes[odd..odd + 8].copy_from_slice(&block.addr().to_ne_bytes());
    // SAFETY: the range is readable.
    let freed = unsafe { host.gc.collect(|marker| marker.range(start + 1..start + 31)) };
    assert_eq!(freed.blocks, 1);
}

#[test]
fn long_lists_and_wide_tables_are_followed() {
    const BLOCKS: usize = 20_000;
    let mut host = Host::in_pieces(&[1 << 16, 4 << 20]);
    let table = host.block(BLOCKS * 8);
    let mut last = 0;
    for index in 0..BLOCKS {
        // A block in the table, which leads to one outside.
        let (one, other) = (host.block(24), host.block(24));
        // SAFETY: live blocks.
        unsafe {
            table.add(index).write(one.addr());
            one.write(other.addr());
            other.write(last);
        }
        last = other.addr();
        if index % 2 == 0 {
            host.block(24);
        }
    }
    host.roots = vec![table.addr()];
    assert_eq!(host.collect().blocks, BLOCKS as u64 / 2);
    assert_eq!(host.live().len(), 2 * BLOCKS + 1);
    host.roots = vec![last];
    assert_eq!(host.collect().blocks, BLOCKS as u64 + 1);
    assert_eq!(host.live().len(), BLOCKS, "one list through all");
}

#[test]
fn what_the_list_has_no_room_for_is_found_again() {
    // Tables in tables: each leads to the next with its first word, so that the list grows by what
    // the other words lead to.
    let mut host = Host::in_pieces(&[4 << 20, 1 << 16]);
    let mut next = 0;
    let mut count = 0;
    for _ in 0..200 {
        let table = host.block(64 * 8);
        for index in (0..64).rev() {
            let leaf = host.block(24);
            // SAFETY: live blocks; the last word scanned is the first one followed.
            unsafe { table.add(index).write(if index == 63 { next } else { leaf.addr() }) };
            count += u64::from(index != 63);
        }
        next = table.addr();
        count += 1;
    }
    let garbage = 200;
    // The list that belongs to the larger piece would have room for all.
    host.gc.worklist = host.gc.worklist.cut_to(40);
    host.roots = vec![next];
    assert_eq!(host.collect().blocks, garbage);
    assert_eq!(host.live().len() as u64, count);
}

#[test]
fn blocks_that_are_left_alone_stay_unread_until_they_are_freed() {
    let mut host = Host::new(1 << 20);
    let page = |host: &mut Host| host.gc.allocate(8192, 4096).unwrap();
    let (one, other) = (page(&mut host), page(&mut host));
    let (small, left_over) = (host.block(100), host.block(50));
    // SAFETY: live blocks.
    unsafe {
        assert!(!host.gc.leave_alone(NonNull::new(small).unwrap().cast()), "no page starts there");
        one.cast::<usize>().add(10).write(left_over.addr());
        other.cast::<usize>().add(10).write(left_over.addr());
        assert!(host.gc.leave_alone(one));
    }
    // With and without being reached, and with everything marked being read again.
    host.roots = vec![one.addr().get(), other.addr().get()];
    assert_eq!(host.collect().blocks, 1, "the small one");
    host.roots[1] = 0;
    host.gc.worklist = Worklist::EMPTY;
    assert_eq!(host.collect().blocks, 2, "the other page, and what only the first leads to");
    host.roots.clear();
    assert_eq!(host.collect(), Freed::default());
    assert_eq!(host.live(), [one.as_ptr()]);
    // SAFETY: a live block, used no more.
    unsafe { host.gc.free(one) };
    let again = page(&mut host);
    assert_eq!(again, one);
    assert_eq!(host.collect().blocks, 1, "another block at the same place");
}

#[test]
fn registered_ranges_are_roots() {
    let mut host = Host::new(1 << 16);
    let place = [host.block(10).addr(), host.block(10).addr()];
    host.block(10);
    let range = place.as_ptr_range();
    let range: Range<usize> = range.start.addr()..range.end.addr();
    // SAFETY: the place outlives its registration.
    unsafe { add_root(range.clone()) }.unwrap();
    // SAFETY: registered ranges are readable.
    let collect = |host: &mut Host| unsafe { host.gc.collect(roots::mark_registered) };
    assert_eq!(collect(&mut host).blocks, 1);
    assert!(remove_root(&range) && !remove_root(&range));
    assert_eq!(collect(&mut host).blocks, 2);
    // SAFETY: readable, as above.
    let full = (0..1000).find(|_| unsafe { add_root(range.clone()) }.is_err());
    assert_eq!(full, Some(32));
    while remove_root(&range) {}
}

#[test]
fn the_thread_is_asked_when_blocks_in_use_grow() {
    let mut host = Host::new(1 << 20);
    assert!(host.gc.trigger > 0);
    let before = host.gc.available();
    let mut freed = 0;
    while host.gc.trigger != 0 {
        let block = host.block(1000);
        if freed < 4 << 20 {
            // SAFETY: a live block, used no more.
            unsafe { host.gc.free(NonNull::new(block).unwrap().cast()) };
            freed += 1000;
        }
    }
    let grown = before - host.gc.available();
    assert!(((1 << 18) - 1000..(1 << 18) + 3000).contains(&grown), "{grown}");
    host.collect();
    assert!(host.gc.trigger > 0);
}

#[test]
fn statistics_count_what_was_collected() {
    /// Collects everything when it is asked to reclaim.
    struct Everything(Gc);
    // SAFETY: all blocks are the collector's.
    unsafe impl Backend for Everything {
        unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
            // SAFETY: the caller's promise.
            unsafe { self.0.add_memory(base, len) }
        }
        fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
            self.0.allocate(size, align)
        }
        unsafe fn free(&mut self, block: NonNull<u8>) {
            // SAFETY: the caller's promise.
            unsafe { self.0.free(block) }
        }
        unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
            // SAFETY: the caller's promise.
            unsafe { self.0.usable_size(block) }
        }
        fn reclaim(&mut self) -> bool {
            // SAFETY: the test uses no block after a collection.
            unsafe { self.0.collect(|_| {}) }.blocks > 0
        }
        fn take_freed(&mut self) -> Freed {
            self.0.take_freed()
        }
        fn owns(&self, address: *const u8) -> bool {
            self.0.owns(address)
        }
        fn total_memory(&self) -> usize {
            self.0.total_memory()
        }
        fn available(&self) -> usize {
            self.0.available()
        }
        fn largest_free(&self) -> usize {
            self.0.largest_free()
        }
    }
    let heap = Heap::new(Everything(Gc::default()), SpinLock::new());
    let mut memory = vec![0u64; 1 << 14];
    // SAFETY: the memory outlives the heap.
    unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 1 << 17) }.unwrap();
    for _ in 0..1000 {
        assert!(!heap.malloc(1000).is_null(), "garbage makes room");
    }
    let stats = heap.stats();
    assert_eq!((stats.allocations, stats.failures), (1000, 0));
    assert!(stats.frees > 800 && stats.current_bytes < 1 << 17, "{stats:?}");
    assert!(heap.reclaim() && !heap.reclaim());
    let stats = heap.stats();
    assert_eq!((stats.frees, stats.current_bytes), (1000, 0));
}

#[test]
fn small_pieces_are_refused() {
    let mut gc = Gc::default();
    let mut memory = vec![0u64; 1 << 12];
    let base = memory.as_mut_ptr().cast::<u8>();
    for len in [0, 100, 4096, 16 << 10] {
        // SAFETY: the memory outlives the collector.
        assert_eq!(unsafe { gc.add_memory(base, len) }, Err(AddMemoryError::TooSmall), "{len}");
    }
    // SAFETY: as above.
    unsafe { gc.add_memory(base.add(1), 20 << 10) }.unwrap();
    // SAFETY: as above; another part. The collector has its stack.
    unsafe { gc.add_memory(base.add(20 << 10 | 8), 1 << 10) }.unwrap();
    assert_eq!(gc.total_memory(), 21 << 10);
}

#[test]
fn edge_cases_hold() {
    edge_cases(&Heap::new(Gc::default(), SpinLock::new()));
}

fn region() -> Heap<ukallocregion::Region, SpinLock> {
    Heap::new(ukallocregion::Region::new(), SpinLock::new())
}

/// What lives in a random graph, by following its edges.
fn reachable(edges: &[Vec<usize>], roots: &[usize]) -> Vec<bool> {
    let mut seen = vec![false; edges.len()];
    let mut next = roots.to_vec();
    while let Some(node) = next.pop() {
        if !std::mem::replace(&mut seen[node], true) {
            next.extend(&edges[node]);
        }
    }
    seen
}

proptest! {
    #[test]
    fn passes_the_suite(calls in trace(), pages in 8usize..300) {
        let gc = Heap::new(Gc::default(), SpinLock::new());
        check(&gc, pages * 4096, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn passes_the_suite_as_the_second_stage(calls in trace(), pages in 8usize..300) {
        let both = TwoStage::new(region(), Heap::new(Gc::default(), SpinLock::new()), 4096);
        ukalloc::Staged::switch(&both);
        check(&both, (pages + 1) * 4096, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
    }

    /// Graphs with edges in random places of blocks of random sizes, to random bytes of others.
    #[test]
    fn collections_leave_exactly_what_is_reachable(
        sizes in prop::collection::vec(8usize..3000, 1..150),
        edges in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<usize>()), 0..300),
        roots in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        pieces in prop::collection::vec(1usize << 19..1 << 20, 1..4),
    ) {
        let mut host = Host::in_pieces(&pieces);
        let blocks: Vec<_> = sizes.iter().map(|size| host.block(*size)).collect();
        let mut graph = vec![Vec::new(); sizes.len()];
        for (from, to, place) in &edges {
            let (from, to) = (from.index(sizes.len()), to.index(sizes.len()));
            let word = blocks[from].wrapping_add(place % (sizes[from] / 8));
            // SAFETY: a word of a live block.
            unsafe {
                if word.read() != 0 {
                    continue;
                }
                word.write(blocks[to].addr() + place % sizes[to]);
            }
            graph[from].push(to);
        }
        let roots: Vec<_> = roots.iter().map(|r| r.index(sizes.len())).collect();
        host.roots = roots.iter().map(|r| blocks[*r].addr()).collect();
        let expected = reachable(&graph, &roots);
        host.collect();
        let mut expected: Vec<_> =
            blocks.iter().zip(expected).filter(|(_, live)| *live).map(|(b, _)| b.cast()).collect();
        let mut live = host.live();
        expected.sort_unstable();
        live.sort_unstable();
        prop_assert_eq!(live, expected);
        host.roots.clear();
        host.collect();
        prop_assert!(host.live().is_empty());
    }
}
