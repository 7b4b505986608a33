//! Checks of creation, end, order and bookkeeping.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use ukplat::println;
use uksched::{Builder, Exited, Hook, SpawnError, ThreadRef, current, spawn, yield_now};
use uktest::{Check, ensure};
use uktime::Instant;

pub const CHECKS: [Check; 8] = [
    ("threads give results", results),
    ("threads that yield take turns", turns),
    ("a dropped handle detaches, and results are dropped once", detaching),
    ("a thread can end early", exiting),
    ("names, numbers and counters", bookkeeping),
    ("hooks see every thread, and may refuse", hooks),
    ("what cannot be had is an error", refusals),
    ("100000 threads leave nothing behind", churn),
];

fn results() -> Result<(), &'static str> {
    let handles: Vec<_> = (0..50u64)
        .map(|i| spawn("adder", move || (0..=i).sum::<u64>()))
        .collect::<Result<_, _>>()
        .map_err(|_| "a thread could not be made")?;
    for (i, handle) in (0..50u64).zip(handles) {
        ensure(handle.join() == Ok(i * (i + 1) / 2), "a result is wrong")?;
    }
    let large = spawn("large", || [7u8; 5000]).map_err(|_| "no thread")?;
    ensure(large.join() == Ok([7; 5000]), "a large result is wrong")
}

fn turns() -> Result<(), &'static str> {
    if uksched::is_preemptive() {
        // Slices may end anywhere: no order is promised.
        return Ok(());
    }
    let order = Arc::new((AtomicUsize::new(0), [const { AtomicUsize::new(0) }; 30]));
    let handles: Vec<_> = (1..=3)
        .map(|id| {
            let order = order.clone();
            spawn("turn", move || {
                for _ in 0..10 {
                    let at = order.0.fetch_add(1, SeqCst);
                    order.1[at].store(id, SeqCst);
                    yield_now();
                }
            })
        })
        .collect::<Result<_, _>>()
        .map_err(|_| "a thread could not be made")?;
    for handle in handles {
        handle.join().map_err(|_| "it ended early")?;
    }
    let in_turn = order.1.chunks(3).all(|c| c.iter().map(|x| x.load(SeqCst)).eq([1, 2, 3]));
    ensure(in_turn || uksched::cpus() > 1, "the order is wrong")
}

fn detaching() -> Result<(), &'static str> {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.fetch_add(1, SeqCst);
        }
    }
    // Dropped before the thread has its result, and after.
    drop(spawn("early", || Counted).map_err(|_| "no thread")?);
    let late = spawn("late", || Counted).map_err(|_| "no thread")?;
    let limit = Instant::now() + core::time::Duration::from_secs(5);
    while !late.is_finished() && Instant::now() < limit {
        yield_now();
    }
    drop(late);
    while DROPS.load(SeqCst) < 2 && Instant::now() < limit {
        yield_now();
    }
    ensure(DROPS.load(SeqCst) == 2, "a result was not dropped, or twice")
}

fn exiting() -> Result<(), &'static str> {
    let handle = spawn("leaver", || -> u32 { uksched::exit() }).map_err(|_| "no thread")?;
    ensure(handle.join() == Err(Exited), "it has a result")
}

fn bookkeeping() -> Result<(), &'static str> {
    ensure(current().name().as_str() == "main", "main has another name")?;
    let handle = Builder::new("a name that is far too long to be kept")
        .priority(3)
        .spawn(|| (current(), current().name()))
        .map_err(|_| "no thread")?;
    let thread = handle.thread();
    ensure(thread.priority() == 3 && thread.id() > current().id(), "number or priority")?;
    ensure(uksched::threads().any(|t| t == thread), "it is not listed")?;
    let (inside, name) = handle.join().map_err(|_| "it ended early")?;
    ensure(inside == thread, "it is another one")?;
    ensure(name.as_str() == "a name that is far too ", "the name is wrong")?;
    ensure(thread.stats().switches >= 1, "no switch was counted")
}

static BEGAN: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);
static COUNTING: Hook = Hook {
    created: |_: ThreadRef| {
        BEGAN.fetch_add(1, SeqCst);
        true
    },
    ended: |_: ThreadRef| {
        ENDED.fetch_add(1, SeqCst);
    },
};
static REFUSING: Hook =
    Hook { created: |thread: ThreadRef| thread.name().as_str() != "unwanted", ended: |_| () };

fn hooks() -> Result<(), &'static str> {
    ensure(uksched::add_hook(&COUNTING) && uksched::add_hook(&REFUSING), "no room for hooks")?;
    spawn("seen", || ()).map_err(|_| "no thread")?.join().map_err(|_| "it ended early")?;
    ensure((BEGAN.load(SeqCst), ENDED.load(SeqCst)) == (1, 1), "a hook was not called")?;
    let refused = spawn("unwanted", || ()).err();
    ensure(refused == Some(SpawnError::Refused), "it was not refused")?;
    ensure((BEGAN.load(SeqCst), ENDED.load(SeqCst)) == (2, 2), "the refusal was not undone")
}

fn refusals() -> Result<(), &'static str> {
    let error = |builder: Builder<'_>| builder.spawn(|| ()).err();
    let huge = error(Builder::new("huge").stack_size(1 << 45));
    ensure(huge == Some(SpawnError::OutOfMemory), "an impossible stack")?;
    let far = error(Builder::new("far").on_cpu(64));
    ensure(far == Some(SpawnError::NoSuchCpu), "a CPU that does not exist")?;
    let luggage = [1u8; 12_000];
    let fat = Builder::new("fat").stack_size(12 << 10).spawn(move || luggage.len()).err();
    ensure(fat == Some(SpawnError::StackTooSmall), "a closure larger than the stack")
}

fn churn() -> Result<(), &'static str> {
    const THREADS: u32 = 100_000;
    let heap = ukalloc::default_heap().ok_or("there is no heap")?.alloc;
    // What is kept for the next threads is kept from here on.
    spawn("first", || ()).map_err(|_| "no thread")?.join().map_err(|_| "it ended early")?;
    let before = heap.stats().current_bytes;
    let start = Instant::now();
    for i in 0..THREADS {
        let handle =
            spawn("short", move || Box::new(i)).map_err(|_| "a thread could not be made")?;
        ensure(handle.join().is_ok_and(|b| *b == i), "a result is wrong")?;
    }
    let ns = start.elapsed().as_nanos() / u128::from(THREADS);
    println!("        a thread made, run and joined in {} ns", ns);
    ensure(heap.stats().current_bytes <= before, "memory is missing")
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let local = core::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        0
    } else {
        recurse(depth + 1).wrapping_add(local[(depth % 64) as usize])
    }
}

/// Ends in a crash report that names the thread.
pub fn overflow() -> u8 {
    let handle = spawn("greedy", || recurse(0));
    println!("survived: {}", handle.is_ok_and(|h| h.join().is_ok()));
    1
}
