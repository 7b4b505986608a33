//! Waking, joining and locks between schedulers.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use core::time::Duration;

use uklock::rcu::{self, Rcu};
use uklock::{Barrier, Condvar, Mutex, RwLock, Semaphore};
use uksched::{Builder, JoinHandle, Wakeup, current, park, yield_now};
use uktest::{Check, ensure};

pub const CHECKS: [Check; 5] = [
    ("a token travels round all schedulers", ring),
    ("a mutex keeps them all apart", exclusion),
    ("a queue feeds the data plane", queue),
    ("what all read can be replaced", replacing),
    ("deadlines end waits everywhere", deadlines),
];

/// A CPU of each scheduler.
const CPUS: [usize; 3] = [1, 2, 3];

/// Runs a function on a CPU of each scheduler.
fn everywhere<T: Send + 'static>(
    work: impl Fn(usize) -> T + Clone + Send + 'static,
) -> Result<Vec<T>, &'static str> {
    let handles: Vec<JoinHandle<T>> = CPUS
        .into_iter()
        .map(|cpu| {
            let work = work.clone();
            Builder::new("member").on_cpu(cpu).spawn(move || work(cpu))
        })
        .collect::<Result<_, _>>()
        .map_err(|_| "no thread")?;
    handles.into_iter().map(|h| h.join().map_err(|_| "it ended early")).collect()
}

fn ring() -> Result<(), &'static str> {
    const ROUNDS: u32 = 500;
    let turns: Arc<[Semaphore; 3]> = Arc::new([const { Semaphore::new(0) }; 3]);
    turns[0].release();
    let shared = turns.clone();
    let counts = everywhere(move |cpu| {
        let at = cpu - CPUS[0];
        let limit = uklock::deadline(Duration::from_secs(60));
        (0..ROUNDS)
            .take_while(|_| {
                let got = shared[at].acquire_until(limit);
                shared[(at + 1) % 3].release();
                got
            })
            .count() as u32
    })?;
    ensure(counts == [ROUNDS; 3], "the token was lost")
}

fn exclusion() -> Result<(), &'static str> {
    const TURNS: u64 = 5_000;
    let shared = Arc::new((Mutex::new((0u64, 0u64)), RwLock::new(0u64), Barrier::new(3)));
    let again = shared.clone();
    everywhere(move |_| {
        again.2.wait();
        for _ in 0..TURNS {
            let mut pair = again.0.lock();
            pair.0 += 1;
            pair.1 += 3;
            drop(pair);
            *again.1.write() += 1;
        }
    })?;
    let both = (*shared.0.lock(), *shared.1.read());
    ensure(both == ((3 * TURNS, 9 * TURNS), 3 * TURNS), "two were inside at once")
}

fn queue() -> Result<(), &'static str> {
    const ITEMS: u64 = 2_000;
    let shared = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let source = shared.clone();
    let consumer = Builder::new("consumer").on_cpu(3).spawn(move || {
        let mut sum = 0u64;
        for _ in 0..ITEMS {
            let mut queue = source.0.lock();
            source.1.wait_while(&mut queue, |queue: &mut Vec<u64>| queue.is_empty());
            sum += queue.pop().unwrap_or(0);
        }
        sum
    });
    let consumer = consumer.map_err(|_| "no thread")?;
    for item in 1..=ITEMS {
        shared.0.lock().push(item);
        shared.1.notify_one();
        if item % 16 == 0 {
            yield_now();
        }
    }
    ensure(consumer.join() == Ok(ITEMS * (ITEMS + 1) / 2), "items are missing")
}

fn replacing() -> Result<(), &'static str> {
    let cell = Arc::new((Rcu::new(Arc::new(0u64)), AtomicBool::new(false)));
    let shared = cell.clone();
    let readers: Vec<_> = CPUS
        .into_iter()
        .map(|cpu| {
            let shared = shared.clone();
            Builder::new("reader").on_cpu(cpu).spawn(move || {
                let (mut last, mut good) = (0, true);
                while !shared.1.load(SeqCst) {
                    let section = rcu::read();
                    let number = **shared.0.get(&section);
                    drop(section);
                    good &= number >= last;
                    last = number;
                    // On the data plane too: it says that nothing is being read.
                    yield_now();
                }
                good
            })
        })
        .collect::<Result<_, _>>()
        .map_err(|_| "no thread")?;
    let values: Vec<Arc<u64>> = (1..=50).map(Arc::new).collect();
    for value in &values {
        cell.0.replace_later(value.clone());
        yield_now();
    }
    rcu::synchronize();
    let limit = uklock::deadline(Duration::from_secs(20));
    let left = || values.iter().filter(|value| Arc::strong_count(value) > 1).count();
    while left() > 1 && ukplat::monotonic_ns() < limit {
        uksched::sleep_until(uklock::deadline(Duration::from_millis(1)));
    }
    let left = left();
    cell.1.store(true, SeqCst);
    for reader in readers {
        ensure(reader.join() == Ok(true), "an older value came back")?;
    }
    ensure(left == 1, "values that nobody reads are still there")
}

fn deadlines() -> Result<(), &'static str> {
    let good = everywhere(|_| {
        let deadline = uklock::deadline(Duration::from_millis(5));
        // A token of an earlier wait may be left.
        while park(Some(deadline)) == Wakeup::Token {}
        let late = ukplat::monotonic_ns() >= deadline;
        current().unpark();
        late && park(None) == Wakeup::Token
    })?;
    ensure(good.iter().all(|good| *good), "one woke too early")
}
