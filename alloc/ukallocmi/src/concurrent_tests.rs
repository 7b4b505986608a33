//! Threads: real ones under load, and those of a model checker in random order.

use core::cell::Cell;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, mpsc};

use ukalloc::model::{Arena, explore};
use ukalloc::sync::AtomicWord;
use ukalloc::{SpinLock, ThreadShards};

use super::*;

const MEMORY: usize = 8 << 20;

type Threads = Mi<ThreadShards<6>>;

/// A block that says how long it is, full of a byte made of that.
fn block(heap: &impl Alloc, size: usize) -> usize {
    let block = heap.malloc(size);
    assert!(!block.is_null());
    // SAFETY: a live block of that size, which is at least 8.
    unsafe {
        block.write_bytes(size as u8, size);
        block.cast::<usize>().write(size);
    }
    block.addr()
}

/// Frees a block that is as it was made.
///
/// # Safety
/// `address` must be from `block`, and used once.
unsafe fn free(heap: &impl Alloc, address: usize) {
    let block = address as *mut u8;
    // SAFETY: a live block, full of what `block` wrote.
    unsafe {
        let size = block.cast::<usize>().read();
        assert!((8..size).all(|i| block.add(i).read() == size as u8), "{size} bytes changed");
        heap.free(block);
    }
}

/// All of memory is one run again when what is left in pages is reclaimed: at once when the threads
/// are at their end, which `joined` threads may still be before.
fn all_is_back(heap: &impl Alloc, before: &Stats, wait: impl Fn()) {
    for _ in 0..2000 {
        heap.reclaim();
        let after = heap.stats();
        assert_eq!((after.current_blocks(), after.current_bytes), (0, 0));
        if (after.largest_free, after.available) == (before.largest_free, before.available) {
            return;
        }
        wait();
    }
    panic!("{:?} {before:?}", heap.stats());
}

/// Numbers of threads are the process's: other tests may hold that of a shard for a while.
fn wait() {
    std::thread::sleep(std::time::Duration::from_millis(10));
}

#[test]
fn blocks_are_freed_by_other_threads() {
    let mut arena = Arena::new(MEMORY, 0);
    let heap = Threads::new(ThreadShards::new());
    // SAFETY: both live equally long.
    unsafe { arena.give_to(&heap) }.unwrap();
    let before = heap.stats();
    // More threads than shards: some share one.
    std::thread::scope(|scope| {
        for producer in 0..4 {
            let (sender, receiver) = mpsc::sync_channel::<Vec<usize>>(2);
            let heap = &heap;
            scope.spawn(move || {
                for round in 0..60 {
                    let size = |i: usize| 8 + (i * 37 + round * 101 + producer) % 1500;
                    sender.send((0..300).map(|i| block(heap, size(i))).collect()).unwrap();
                }
            });
            scope.spawn(move || {
                for blocks in receiver {
                    for block in blocks {
                        // SAFETY: sent once.
                        unsafe { free(heap, block) };
                    }
                }
            });
        }
    });
    all_is_back(&heap, &before, wait);
    assert!(arena.margins_intact());
}

#[test]
fn threads_replace_blocks_of_all_threads() {
    let mut arena = Arena::new(MEMORY, 0);
    let heap = Threads::new(ThreadShards::new());
    // SAFETY: both live equally long.
    unsafe { arena.give_to(&heap) }.unwrap();
    let before = heap.stats();
    let slots: Vec<_> = (0..200).map(|_| AtomicWord::new(0)).collect();
    for _generation in 0..3 {
        std::thread::scope(|scope| {
            for thread in 0..6usize {
                let (heap, slots) = (&heap, &slots);
                scope.spawn(move || {
                    let mut random = thread + 1;
                    for _ in 0..4000 {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let size =
                            if random >> 60 == 0 { 70_000 } else { 8 + (random >> 40) % 3000 };
                        let old =
                            slots[(random >> 33) % slots.len()].swap(block(heap, size), Acquire);
                        if old != 0 {
                            // SAFETY: taken out of the slot by this thread alone.
                            unsafe { free(heap, old) };
                        }
                    }
                });
            }
        });
    }
    for slot in slots {
        let old = slot.load(Relaxed);
        if old != 0 {
            // SAFETY: the threads are gone.
            unsafe { free(&heap, old) };
        }
    }
    all_is_back(&heap, &before, wait);
    assert!(arena.margins_intact());
}

#[test]
fn a_shard_is_adopted_by_the_next_thread() {
    let mut arena = Arena::new(MEMORY, 0);
    let heap = Threads::new(ThreadShards::new());
    // SAFETY: both live equally long.
    unsafe { arena.give_to(&heap) }.unwrap();
    // However many threads come, one after the other, they need no more than the first.
    let run = || {
        let blocks = std::thread::scope(|scope| {
            scope.spawn(|| (0..100).map(|_| block(&heap, 500)).collect::<Vec<_>>()).join().unwrap()
        });
        for block in blocks {
            // SAFETY: the blocks are given up here.
            unsafe { free(&heap, block) };
        }
        heap.stats().available
    };
    run();
    let after_first = run();
    let least = (0..50).map(|_| run()).min().unwrap();
    // Other tests' threads may take numbers meanwhile: there are five shards to fill.
    assert!(least >= after_first.saturating_sub(5 * (100 << 10)), "{least} {after_first}");
}

/// Two shards, for the threads that a model checker plays: each says in which it is.
struct Played {
    owned: [AtomicWord; 2],
    shared: SpinLock,
}

shuttle::thread_local! {
    static SHARD: Cell<usize> = Cell::new(usize::MAX);
}

impl Played {
    fn new() -> Self {
        Self { owned: [AtomicWord::new(0), AtomicWord::new(0)], shared: SpinLock::new() }
    }

    /// The current thread owns a shard while `work` goes on, as from its start to its end.
    fn own<R>(&self, shard: usize, work: impl FnOnce() -> R) -> R {
        while self.owned[shard].swap(1, Acquire) != 0 {}
        SHARD.with(|s| s.set(shard));
        let result = work();
        SHARD.with(|s| s.set(usize::MAX));
        self.owned[shard].store(0, Release);
        result
    }
}

// SAFETY: a shard is owned by one thread at a time.
unsafe impl Shards for Played {
    const COUNT: usize = 2;
    const CONCURRENT: bool = true;
    type Array<T> = [T; 2];

    fn enter(&self) -> usize {
        let shard = SHARD.with(Cell::get);
        assert!(shard < 2, "only owners of a shard enter");
        shard
    }
    unsafe fn leave(&self, _shard: usize) {}
    fn adopt(&self, shard: usize) -> bool {
        self.owned[shard].swap(1, Acquire) == 0
    }
    unsafe fn abandon(&self, shard: usize) {
        self.owned[shard].store(0, Release);
    }
    fn lock(&self) {
        ukalloc::RawLock::acquire(&self.shared);
    }
    unsafe fn unlock(&self) {
        ukalloc::RawLock::release(&self.shared);
    }
}

/// Plays `test` in many random orders with a fresh heap, and looks at the heap after that.
fn play(slices: usize, test: impl Fn(&Arc<Mi<Played>>) + Send + Sync + 'static) {
    explore(shuttle::thread::yield_now, || {
        let run = move || {
            let mut arena = Arena::new(slices * (SLICE + 80) + 2 * SLICE, 0);
            let heap = Arc::new(Mi::new(Played::new()));
            // `give_to` enters a shard.
            // SAFETY: the arena lives until the end of this run, as the heap does.
            heap.flows.own(0, || unsafe { arena.give_to(&*heap) }).unwrap();
            let before = heap.flows.own(0, || heap.stats());
            test(&heap);
            heap.flows
                .own(1, || all_is_back(&*heap, &before, || panic!("all threads are at their end")));
            assert!(arena.margins_intact());
        };
        let mut config = shuttle::Config::new();
        config.stack_size = 1 << 18;
        config.max_steps = shuttle::MaxSteps::None;
        let scheduler = shuttle::scheduler::RandomScheduler::new(500);
        shuttle::Runner::new(scheduler, config).run(run);
    });
}

/// A page of eight blocks becomes full, is freed from outside, and is used again.
#[test]
fn model_of_frees_into_a_full_page() {
    play(8, |heap| {
        let mail = Arc::new(Mutex::new(Vec::new()));
        let (h, m) = (heap.clone(), mail.clone());
        let owner = shuttle::thread::spawn(move || {
            h.flows.own(0, || {
                for _ in 0..3 {
                    let blocks: Vec<_> = (0..9).map(|_| block(&*h, 1024)).collect();
                    let (own, others) = blocks.split_at(2);
                    m.lock().unwrap().extend_from_slice(others);
                    for block in own {
                        // SAFETY: the rest was given away.
                        unsafe { free(&*h, *block) };
                    }
                }
            });
        });
        let (h, m) = (heap.clone(), mail.clone());
        let other = shuttle::thread::spawn(move || {
            h.flows.own(1, || {
                for _ in 0..15 {
                    let block = m.lock().unwrap().pop();
                    if let Some(block) = block {
                        // SAFETY: taken out by this thread alone.
                        unsafe { free(&*h, block) };
                    }
                    shuttle::thread::yield_now();
                }
            });
        });
        owner.join().unwrap();
        other.join().unwrap();
        heap.flows.own(1, || {
            for block in mail.lock().unwrap().drain(..) {
                // SAFETY: nobody else is there.
                unsafe { free(&**heap, block) };
            }
        });
    });
}

/// A shard goes from a thread that ends to one that starts, while a third frees its blocks.
#[test]
fn model_of_adoption() {
    play(8, |heap| {
        let h = heap.clone();
        let first = shuttle::thread::spawn(move || {
            h.flows.own(0, || (0..8).map(|_| block(&*h, 1024)).collect::<Vec<_>>())
        });
        let mut blocks = first.join().unwrap();
        let rest = blocks.split_off(4);
        let h = heap.clone();
        let other = shuttle::thread::spawn(move || {
            h.flows.own(1, || {
                for block in blocks {
                    // SAFETY: these are this thread's.
                    unsafe { free(&*h, block) };
                }
                // Reclaims; the other shard may be owned or not.
                assert!(h.malloc(1 << 20).is_null());
            });
        });
        let h = heap.clone();
        let next = shuttle::thread::spawn(move || {
            h.flows.own(0, || {
                let more = block(&*h, 1024);
                for block in rest.into_iter().chain([more]) {
                    // SAFETY: these are this thread's.
                    unsafe { free(&*h, block) };
                }
            });
        });
        other.join().unwrap();
        next.join().unwrap();
    });
}

/// Two shards take and give runs, until there are none left.
#[test]
fn model_of_shared_runs() {
    play(5, |heap| {
        let work = |shard: usize, heap: Arc<Mi<Played>>| {
            move || {
                heap.flows.own(shard, || {
                    for size in [70_000, 3000, 20_000] {
                        let block = heap.malloc(size);
                        // SAFETY: a live block or null.
                        unsafe { heap.free(block) };
                    }
                });
            }
        };
        let one = shuttle::thread::spawn(work(0, heap.clone()));
        let two = shuttle::thread::spawn(work(1, heap.clone()));
        one.join().unwrap();
        two.join().unwrap();
    });
}
