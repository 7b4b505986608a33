use core::alloc::Layout;
use core::ptr::{NonNull, null_mut};
use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use ukalloc::model::{Arena, Fixed, Reuse, check, trace, trace_of_bytes};
use ukalloc::{AddMemoryError, Alloc, Backend, Heap, SpinLock};

use super::*;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A pool with garbage in its memory.
fn pool(size: usize, align: usize, len: usize) -> Pool<SpinLock> {
    let pool = Pool::new(layout(size, align), SpinLock::new());
    let store = vec![0xffu8; len].leak();
    // SAFETY: leaked memory that nobody else uses.
    unsafe { pool.add_range(store.as_mut_ptr(), len) }.unwrap();
    pool
}

fn fixed(object_size: u64, alignment: u64) -> Heap<FixedPool, SpinLock> {
    Heap::new(FixedPool::new(Config { object_size, alignment }), SpinLock::new())
}

#[test]
fn objects_come_back() {
    let pool = pool(100, 1, 10_000);
    let all = pool.count();
    assert_eq!((pool.object_size(), pool.alignment()), (112, 16));
    let objects: Vec<_> = core::iter::from_fn(|| pool.take()).collect();
    assert_eq!((objects.len(), pool.free_count()), (all, 0));
    let addresses: BTreeSet<_> = objects.iter().map(|o| o.as_ptr() as usize).collect();
    assert_eq!(addresses.len(), all, "no object twice");
    for object in &objects {
        // SAFETY: objects of the pool.
        unsafe {
            object.write_bytes(0xff, 100);
            pool.return_one(*object);
        }
    }
    assert_eq!(pool.free_count(), all);
    assert_eq!(pool.take(), objects.last().copied(), "the last one is still in the cache");
}

#[test]
fn batches() {
    let pool = pool(64, 64, 64 * 11);
    let all = pool.count();
    let mut batch = [null_mut(); 16];
    assert_eq!(pool.take_batch(&mut batch[..4]), 4);
    assert_eq!(pool.take_batch(&mut batch[4..]), all - 4, "as many as there are");
    assert!(batch[all..].iter().all(|p| p.is_null()), "the other places are not changed");
    assert_eq!(pool.take_batch(&mut []), 0);
    // SAFETY: objects of the pool.
    unsafe { pool.return_batch(&batch[..all]) };
    assert_eq!(pool.free_count(), all);
}

#[test]
fn every_size_and_alignment_is_kept() {
    for size in (1..200).chain([2048, 2049, 9000]) {
        for align in [1, 16, 64, 512] {
            let pool = pool(size, align, 40_000);
            let objects: Vec<_> = core::iter::from_fn(|| pool.take()).collect();
            assert!(objects.len() >= 40_000 / (size + align + 16) - 1);
            for pair in objects.windows(2) {
                assert!(pair[1].as_ptr() as usize - pair[0].as_ptr() as usize >= size);
            }
            for object in objects {
                assert!((object.as_ptr() as usize).is_multiple_of(align));
                // SAFETY: an object of the pool.
                unsafe { pool.return_one(object) };
            }
        }
    }
}

#[test]
fn memory_is_touched_when_it_is_handed_out() {
    let mut store = vec![0xa5u8; 1 << 20];
    let pool = Pool::new(layout(2048, 64), SpinLock::new());
    // SAFETY: the memory outlives the pool.
    unsafe { pool.add_range(store.as_mut_ptr(), store.len()) }.unwrap();
    assert!(store.iter().all(|b| *b == 0xa5));
    pool.take().unwrap();
    assert!(store.iter().filter(|b| **b != 0xa5).count() <= 16);
}

#[test]
fn memory_from_a_heap() {
    let heap = Heap::new(Fixed::new(), SpinLock::new());
    let mut arena = Arena::new(10_000, 0);
    // SAFETY: the arena lives until the end of this function.
    unsafe { arena.give_to(&heap) }.unwrap();
    let pool = Pool::new(layout(500, 128), SpinLock::new());
    assert_eq!(pool.take(), None);
    assert_eq!(pool.grow(&heap, 100), Err(PoolError::OutOfMemory));
    assert_eq!(pool.grow(&heap, usize::MAX), Err(PoolError::OutOfMemory));
    assert_eq!(pool.grow(&heap, 0), Err(PoolError::TooSmall));
    pool.grow(&heap, 5).unwrap();
    pool.grow(&heap, 3).unwrap();
    assert_eq!(pool.count(), 8);
    let objects: Vec<_> = core::iter::from_fn(|| pool.take()).collect();
    assert_eq!(objects.len(), 8);
    for object in objects {
        assert!(heap.owns(object.as_ptr()) && pool.owns(object.as_ptr()));
        // SAFETY: an object of the pool.
        unsafe { pool.return_one(object) };
    }
    for _ in 2..MAX_PIECES {
        pool.grow(&heap, 1).unwrap();
    }
    assert_eq!(pool.grow(&heap, 1), Err(PoolError::TooManyPieces));
}

#[test]
fn values_live_in_objects() {
    struct Counted<'a>(&'a Cell<usize>, u64);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let dropped = Cell::new(0);
    let pool = TypedPool::new(SpinLock::new());
    let mut memory = [0u64; 8];
    // SAFETY: the memory outlives the pool's use.
    let count = unsafe { pool.untyped().add_range(memory.as_mut_ptr().cast(), 64) }.unwrap();
    let mut objects: Vec<_> = (0..count as u64)
        .map(|i| pool.put(Counted(&dropped, i)).unwrap_or_else(|_| panic!("there is room")))
        .collect();
    assert!(pool.put(Counted(&dropped, 99)).is_err_and(|back| back.1 == 99));
    assert_eq!(dropped.get(), 1, "the one that found no room");
    objects[1].1 += 50;
    assert_eq!(objects[1].1, 51);
    let raw = objects.remove(0).into_raw();
    drop(objects);
    assert_eq!((dropped.get(), pool.untyped().free_count()), (count, count - 1));
    // SAFETY: from `into_raw`.
    drop(unsafe { Object::from_raw(&pool, raw) });
    assert_eq!((dropped.get(), pool.untyped().free_count()), (count + 1, count));
}

#[test]
fn threads_share_a_pool() {
    let pool = pool(64, 64, 64 * 100);
    std::thread::scope(|scope| {
        for id in 0..4u8 {
            let pool = &pool;
            scope.spawn(move || {
                let mut batch = [null_mut::<u8>(); 8];
                for _ in 0..1000 {
                    let taken = pool.take_batch(&mut batch);
                    for object in &batch[..taken] {
                        // SAFETY: an object of 64 bytes, ours until it is returned.
                        unsafe { object.write_bytes(id, 64) };
                    }
                    // SAFETY: as above.
                    unsafe {
                        assert!(batch[..taken].iter().all(|o| o.add(63).read() == id));
                        pool.return_batch(&batch[..taken]);
                    }
                }
            });
        }
    });
    assert_eq!(pool.free_count(), pool.count());
}

#[test]
#[should_panic(expected = "returned twice")]
fn a_double_return_is_detected() {
    let pool = pool(64, 64, 4096);
    let (a, b) = (pool.take().unwrap(), pool.take().unwrap());
    // SAFETY: the last one breaks the contract.
    unsafe {
        pool.return_one(a);
        pool.return_one(b);
        pool.return_one(a);
    }
}

#[test]
fn what_is_no_object_is_detected() {
    let pool = pool(96, 32, 4096);
    let object = pool.take().unwrap();
    pool.take().unwrap();
    let wrong = |address: *mut u8| {
        let result = std::panic::catch_unwind(|| {
            // A copy, as the lock stays taken.
            let mut objects = crate::objects::Objects::new(96, 32);
            // SAFETY: the memory is that of the pool, which is not used meanwhile.
            unsafe {
                objects.add(object.as_ptr(), 960).unwrap();
                objects.take();
                objects.take();
                objects.give(NonNull::new(address).unwrap());
            }
        });
        assert!(result.is_err(), "{address:?} was accepted, {object:?} is the first object");
    };
    let start = object.as_ptr();
    for offset in (1..96).chain(97..192).chain([192, 288, 960, 1 << 20, 1 << 62]) {
        wrong(start.wrapping_add(offset));
        wrong(start.wrapping_sub(offset));
    }
    wrong(start.wrapping_sub(96));
    wrong(core::ptr::without_provenance_mut(usize::MAX));
}

#[test]
#[should_panic(expected = "written to")]
fn a_write_to_a_free_object_is_detected() {
    let pool = pool(64, 64, 4096);
    let a = pool.take().unwrap();
    // SAFETY: the write breaks the contract.
    unsafe {
        pool.return_one(a);
        a.write_bytes(1, 64);
    }
    pool.take();
}

#[test]
fn a_heap_of_blocks_of_one_size() {
    let heap = fixed(2000, 64);
    let mut arena = Arena::new(100_000, 8);
    // SAFETY: the arena lives until the end of this function.
    unsafe { arena.give_to(&heap) }.unwrap();
    let a = heap.malloc(1);
    // SAFETY: live blocks.
    unsafe {
        assert_eq!(heap.usable_size(a), 2048, "the size is rounded up to the alignment");
        assert_eq!(heap.realloc(a, 2048), a);
        assert!(heap.realloc(a, 2049).is_null());
        heap.free(a);
    }
    assert!(heap.malloc(2049).is_null() && heap.memalign(128, 10).is_null());
    assert!(!heap.memalign(64, 10).is_null());
    let stats = heap.stats();
    let rest = core::iter::from_fn(|| NonNull::new(heap.malloc(2048))).count();
    assert_eq!(rest * 2048, stats.available);
    assert_eq!((heap.stats().available, heap.stats().largest_free), (0, 0));
    assert!(heap.malloc(0).is_null());
}

#[test]
fn pieces_that_do_not_fit() {
    let mut pool = FixedPool::new(Config { object_size: 64, alignment: 64 });
    assert!(pool.allocate(1, 16).is_none());
    // SAFETY: nothing is written when memory is added, and none is asked for.
    unsafe {
        let base = 0x10_0000 as *mut u8;
        assert_eq!(pool.add_memory(base, 63), Err(AddMemoryError::TooSmall));
        assert_eq!(pool.add_memory(base.add(1), 126), Err(AddMemoryError::TooSmall));
        for i in 0..MAX_PIECES {
            pool.add_memory(base.add(i << 20), 1 << 20).unwrap();
        }
        assert_eq!(pool.add_memory(base.add(1 << 30), 4096), Err(AddMemoryError::TooMany));
    }
    assert_eq!(pool.available(), MAX_PIECES << 20);
}

#[test]
fn heaps_lie_in_bss() {
    static HEAP: Heap<FixedPool, SpinLock> =
        Heap::new(FixedPool::new(Config::DEFAULT), SpinLock::new());
    // SAFETY: any bytes may be read as such; padding of a static is zero.
    let bytes =
        unsafe { core::slice::from_raw_parts((&raw const HEAP).cast::<u8>(), size_of_val(&HEAP)) };
    assert!(bytes.iter().all(|b| *b == 0));
}

proptest! {
    #[test]
    fn passes_the_suite(calls in trace(), len in 20_000usize..600_000, size in 16u64..5000, log in 4u32..9) {
        check(&fixed(size, 1 << log), len, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn passes_the_suite_with_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let calls = trace_of_bytes(&bytes);
        check(&fixed(2048, 64), 1 << 20, &calls, Reuse::Coalesces).map_err(TestCaseError::fail)?;
    }
}
