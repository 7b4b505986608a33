use std::sync::Arc;

use proptest::prelude::*;

use crate::model::{Fixed, Reuse, check, trace, trace_of_bytes};
use crate::*;

fn heap(len: usize) -> &'static Heap<Fixed, SpinLock> {
    let heap = Box::leak(Box::new(Heap::new(Fixed::new(), SpinLock::new())));
    let memory = Box::leak(vec![0u64; len / 8].into_boxed_slice());
    // SAFETY: leaked memory that nobody else uses.
    unsafe { heap.add_memory(memory.as_mut_ptr().cast(), len) }.unwrap();
    heap
}

#[test]
fn edge_cases() {
    model::edge_cases(&Heap::new(Fixed::new(), SpinLock::new()));
}

/// Keeps one block's worth of memory until it is reclaimed.
#[derive(Default)]
struct Miser {
    plain: Fixed,
    reclaimed: usize,
}

// SAFETY: all blocks are the plain back end's.
unsafe impl Backend for Miser {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        // SAFETY: the caller's promise.
        unsafe { self.plain.add_memory(base, len) }
    }
    fn allocate(&mut self, size: usize, align: usize) -> Option<core::ptr::NonNull<u8>> {
        if self.reclaimed == 0 { None } else { self.plain.allocate(size, align) }
    }
    unsafe fn free(&mut self, _: core::ptr::NonNull<u8>) {}
    unsafe fn usable_size(&self, block: core::ptr::NonNull<u8>) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.plain.usable_size(block) }
    }
    fn reclaim(&mut self) -> bool {
        self.reclaimed += 1;
        self.reclaimed == 1
    }
    fn owns(&self, address: *const u8) -> bool {
        self.plain.owns(address)
    }
    fn total_memory(&self) -> usize {
        self.plain.total_memory()
    }
    fn available(&self) -> usize {
        self.plain.available()
    }
    fn largest_free(&self) -> usize {
        self.plain.largest_free()
    }
}

#[test]
fn what_a_back_end_keeps_is_reclaimed_before_failing() {
    let heap = Heap::new(Miser::default(), SpinLock::new());
    let mut memory = [0u64; 64];
    // SAFETY: the memory outlives the heap.
    unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 512) }.unwrap();
    assert!(!heap.malloc(100).is_null());
    assert_eq!(heap.stats().failures, 0);
    assert!(heap.malloc(1000).is_null());
    assert_eq!(heap.stats().failures, 1);
}

#[test]
fn an_account_counts_what_one_library_takes() {
    let heap = heap(1 << 16);
    let account = Account::new("one", heap, SpinLock::new());
    // SAFETY: live blocks.
    unsafe {
        heap.malloc(1000);
        let (a, b) = (account.malloc(100), account.calloc(5, 10));
        assert_eq!(b.add(49).read(), 0);
        let a = account.realloc(a, 400);
        let c = account.memalign(256, 10);
        assert!(account.malloc(1 << 20).is_null() && account.realloc(a, 1 << 20).is_null());
        let in_use: usize = [a, b, c].iter().map(|p| heap.usable_size(*p)).sum();
        let stats = account.stats();
        assert_eq!((stats.allocations, stats.failures, stats.current_bytes), (3, 2, in_use));
        account.free(b);
        assert!(account.realloc(a, 0).is_null());
        account.free(c);
        account.free(core::ptr::null_mut());
        let stats = account.stats();
        assert_eq!((stats.frees, stats.current_bytes, stats.peak_bytes), (3, 0, in_use));
        assert!(heap.stats().current_bytes >= 1000);
    }
}

#[test]
fn two_stages() {
    let both = stages(4096);
    assert_eq!(both.stats(), Stats::default());
    let mut memory = vec![0u64; 9 << 10];
    let base = memory.as_mut_ptr().cast::<u8>();
    // SAFETY: the memory outlives the allocator's use.
    unsafe {
        assert_eq!(both.add_memory(base, 4095), Err(AddMemoryError::TooSmall));
        both.add_memory(base, 72 << 10).unwrap();
    }
    let early = both.early_memory();
    let is_early = |block: *mut u8| early.contains(&block.addr());
    assert_eq!(early, memory.as_ptr().addr()..memory.as_ptr().addr() + 4096);
    let (first, other) = (both.malloc(50), both.calloc(5, 10));
    assert!(is_early(first) && is_early(other));
    assert!(both.malloc(5000).is_null(), "the early stage has 4096 bytes");
    let stats = both.stats();
    assert_eq!((stats.total_memory, stats.allocations, stats.failures), (72 << 10, 2, 1));
    assert!(stats.largest_free < 4096 && stats.available > 60 << 10);
    // SAFETY: live blocks.
    unsafe {
        first.write_bytes(9, 50);
        both.switch();
        assert!(both.stats().largest_free > 4096);
        let (second, third) = (both.malloc(50), both.memalign(64, 50));
        assert!(!is_early(second) && both.owns(first) && both.owns(second) && both.owns(third));
        let moved = both.realloc(first, 5000);
        assert!(!is_early(moved));
        assert_eq!(moved.add(49).read(), 9);
        assert!(both.realloc(other, 1 << 20).is_null());
        assert_eq!(both.usable_size(other).min(50), 50, "a block that cannot move stays");
        assert!(both.realloc(other, 0).is_null());
        assert!(both.leave_alone(second) && !both.leave_alone(memory.as_mut_ptr().cast()));
        both.free(second);
        both.free(core::ptr::null_mut());
        let stats = both.stats();
        assert_eq!((stats.allocations, stats.frees), (5, 3));
        assert_eq!(stats.current_bytes, both.usable_size(moved) + both.usable_size(third));
    }
}

fn stages(early_size: usize) -> TwoStage<Heap<Fixed, SpinLock>, Heap<Fixed, SpinLock>> {
    let heap = || Heap::new(Fixed::new(), SpinLock::new());
    TwoStage::new(heap(), heap(), early_size)
}

#[test]
fn edge_cases_in_either_stage() {
    model::edge_cases(&stages((1 << 20) - 4096));
    let switched = stages(4096);
    switched.switch();
    model::edge_cases(&switched);
}

#[test]
fn global_keeps_large_alignments() {
    use core::alloc::{GlobalAlloc, Layout};
    let global = Global(heap(1 << 16));
    let layout = Layout::from_size_align(100, 1024).unwrap();
    // SAFETY: the contract of GlobalAlloc is kept.
    unsafe {
        let a = global.alloc(layout);
        a.write_bytes(3, 100);
        let b = global.realloc(a, layout, 3000);
        assert!((b as usize).is_multiple_of(1024));
        assert_eq!(b.add(99).read(), 3);
        global.dealloc(b, layout);
    }
}

#[test]
#[should_panic(expected = "a heap was entered again")]
fn entering_twice_is_detected() {
    // SAFETY: this test is one flow of control.
    let lock = unsafe { NoLock::single_threaded() };
    lock.acquire();
    lock.acquire();
}

#[test]
fn threads_share_a_locked_heap() {
    let heap = heap(1 << 20);
    let counter = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for id in 0..4u8 {
            let counter = counter.clone();
            scope.spawn(move || {
                for _ in 0..500 {
                    let block = heap.malloc(64);
                    assert!(!block.is_null());
                    // SAFETY: a live block of 64 bytes.
                    unsafe {
                        block.write_bytes(id, 64);
                        assert_eq!(block.add(63).read(), id);
                    }
                    counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(heap.stats().allocations, 2000);
}

/// Called by the test that sets the registry up, which a process can do once.
#[cfg(feature = "c-abi")]
pub fn c_interface() {
    use crate::c_abi::*;
    use core::ptr::{null, null_mut};
    let a = uk_alloc_get_default();
    assert!(!a.is_null());
    // SAFETY: handles and blocks are live; null is allowed everywhere.
    unsafe {
        assert_ne!(uk_alloc_get(c"net".as_ptr()), a);
        assert!(uk_alloc_get(c"none".as_ptr()).is_null() && uk_alloc_get(null()).is_null());
        let block = uk_malloc(a, 10);
        assert!(uk_malloc_usable_size(a, block) >= 10);
        let block = uk_realloc(a, block, 100);
        uk_free(a, block);
        let mut out = null_mut();
        assert_eq!(uk_posix_memalign(a, &mut out, 64, 10), 0);
        assert!((out as usize).is_multiple_of(64));
        assert_eq!(uk_posix_memalign(a, &mut out, 3, 10), 22);
        assert_eq!(uk_posix_memalign(null(), &mut out, 64, 10), 12);
        assert!(!uk_calloc(a, 2, 8).is_null() && !uk_memalign(a, 32, 1).is_null());
        uk_pfree(a, uk_palloc(a, 1), 1);
        assert!(uk_malloc(null(), 1).is_null() && uk_alloc_availmem(a) > 0);
        uk_free(null(), null_mut());
        assert_eq!(uk_alloc_addmem(a, null_mut(), 0), -95);
        assert_eq!(uk_alloc_addmem(null(), null_mut(), 0), -22);
    }
}

proptest! {
    #[test]
    fn the_plain_back_end_passes_the_suite(calls in trace()) {
        check(&Heap::new(Fixed::new(), SpinLock::new()), 1 << 20, &calls, Reuse::Never).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn either_stage_passes_the_suite(calls in trace(), switched: bool) {
        let both = stages(if switched { 4096 } else { (1 << 20) - 4096 });
        if switched {
            both.switch();
        }
        check(&both, 1 << 20, &calls, Reuse::Never).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn all_bytes_are_traces(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let calls = trace_of_bytes(&bytes);
        prop_assert_eq!(calls.len(), bytes.len() / 5);
        check(&Heap::new(Fixed::new(), SpinLock::new()), 1 << 16, &calls, Reuse::Never)
            .map_err(TestCaseError::fail)?;
    }
}

/// Threads played by a model checker, in many random orders.
#[test]
fn model_of_a_locked_heap() {
    model::explore(shuttle::thread::yield_now, || {
        let run = || {
            let heap = Arc::new(Heap::new(Fixed::new(), SpinLock::new()));
            let memory = Box::leak(vec![0u64; 128].into_boxed_slice());
            // SAFETY: leaked memory that nobody else uses.
            unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 1024) }.unwrap();
            let threads = [1u8, 2, 3].map(|id| {
                let heap = heap.clone();
                shuttle::thread::spawn(move || {
                    for _ in 0..3 {
                        let block = heap.malloc(64);
                        assert!(!block.is_null());
                        // SAFETY: a live block of 64 bytes.
                        unsafe {
                            block.write_bytes(id, 64);
                            shuttle::thread::yield_now();
                            assert!((0..64).all(|i| block.add(i).read() == id));
                            heap.free(block);
                        }
                    }
                })
            });
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!((heap.stats().allocations, heap.stats().current_bytes), (9, 0));
        };
        shuttle::check_random(run, 300);
    });
}

/// Numbers are unique, and come back.
#[test]
fn model_of_thread_numbers() {
    use crate::shards::Numbers;
    model::explore(shuttle::thread::yield_now, || {
        let run = || {
            let numbers = Arc::new(Numbers::new());
            let held = Arc::new(std::sync::Mutex::new([false; 4]));
            let threads = [(); 3].map(|()| {
                let (numbers, held) = (numbers.clone(), held.clone());
                shuttle::thread::spawn(move || {
                    for _ in 0..3 {
                        let number = numbers.claim().unwrap();
                        assert!(!std::mem::replace(&mut held.lock().unwrap()[number], true));
                        assert!(!numbers.claim_one(number));
                        held.lock().unwrap()[number] = false;
                        numbers.release(number);
                    }
                })
            });
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(numbers.claim(), Some(0));
        };
        shuttle::check_random(run, 300);
    });
}
