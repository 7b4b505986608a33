//! Checks of locks between threads.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use core::time::Duration;

use uklock::rcu::{self, Rcu};
use uklock::{Barrier, Condvar, Mutex, OnceLock, RwLock, Semaphore, SeqLock, SpinLock, deadline};
use ukplat::println;
use uksched::{Builder, JoinHandle, sleep_until, spawn, yield_now};
use uktest::{Check, ensure};
use uktime::Instant;

pub const CHECKS: [Check; 9] = [
    ("a spinlock keeps CPUs apart", spinning),
    ("what is replaced is dropped when nobody reads it", replacing),
    ("a mutex keeps threads apart", exclusion),
    ("producers and consumers", queue),
    ("semaphores hand permits on", semaphores),
    ("readers share, writers do not starve", readers),
    ("a barrier lets all go at once, again and again", barrier),
    ("waits for locks can time out", timeouts),
    ("made once; read while it changes", once_and_sequence),
];

fn threads<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
    count: u64,
    work: impl Fn(u64) -> F,
) -> Result<Vec<JoinHandle<T>>, &'static str> {
    (0..count)
        .map(|i| spawn("locks", work(i)))
        .collect::<Result<_, _>>()
        .map_err(|_| "a thread could not be made")
}

fn join_all<T>(handles: Vec<JoinHandle<T>>) -> Result<Vec<T>, &'static str> {
    handles.into_iter().map(|h| h.join().map_err(|_| "it ended early")).collect()
}

fn spinning() -> Result<(), &'static str> {
    const ROUNDS: u64 = 500;
    let lock = Arc::new(SpinLock::new((0u64, 0u64)));
    let start = Instant::now();
    let cpus = uksched::cpus();
    let handles: Vec<_> = (0..cpus)
        .map(|cpu| {
            let lock = lock.clone();
            Builder::new("spinner").on_cpu(cpu).spawn(move || {
                for _ in 0..ROUNDS {
                    let mut pair = lock.lock();
                    pair.0 += 1;
                    pair.1 += 3;
                }
            })
        })
        .collect::<Result<_, _>>()
        .map_err(|_| "a thread could not be made")?;
    join_all(handles)?;
    let all = ROUNDS * cpus as u64;
    println!("        taken and released in {} ns", start.elapsed().as_nanos() / u128::from(all));
    ensure(*lock.lock() == (all, 3 * all), "two were inside at once")
}

fn exclusion() -> Result<(), &'static str> {
    const ROUNDS: u64 = 2_000;
    let shared = Arc::new(Mutex::new((0u64, 0u64)));
    let handles = threads(4, |_| {
        let shared = shared.clone();
        move || {
            for round in 0..ROUNDS {
                let mut both = shared.lock();
                both.0 += 1;
                if round % 16 == 0 {
                    // Somebody else runs while the lock is held.
                    yield_now();
                }
                both.1 += 1;
            }
        }
    })?;
    join_all(handles)?;
    let both = *shared.lock();
    ensure(both == (4 * ROUNDS, 4 * ROUNDS), "somebody came between")
}

fn queue() -> Result<(), &'static str> {
    struct Channel {
        items: Mutex<Vec<u64>>,
        filled: Condvar,
        emptied: Condvar,
    }
    const ITEMS: u64 = 3_000;
    let channel = Arc::new(Channel {
        items: Mutex::new(Vec::new()),
        filled: Condvar::new(),
        emptied: Condvar::new(),
    });
    let producers = threads(3, |i| {
        let channel = channel.clone();
        move || {
            for n in (i..ITEMS).step_by(3) {
                let mut items = channel.items.lock();
                channel.emptied.wait_while(&mut items, |items| items.len() >= 4);
                items.push(n);
                channel.filled.notify_one();
            }
        }
    })?;
    let consumers = threads(2, |_| {
        let channel = channel.clone();
        move || {
            let mut sum = 0;
            for _ in 0..ITEMS / 2 {
                let mut items = channel.items.lock();
                channel.filled.wait_while(&mut items, |items| items.is_empty());
                sum += items.pop().unwrap_or(0);
                channel.emptied.notify_one();
            }
            sum
        }
    })?;
    join_all(producers)?;
    let sum: u64 = join_all(consumers)?.into_iter().sum();
    ensure(sum == (0..ITEMS).sum(), "an item is missing")
}

fn semaphores() -> Result<(), &'static str> {
    const ROUNDS: u32 = 10_000;
    let (ping, pong) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let other = {
        let (ping, pong) = (ping.clone(), pong.clone());
        spawn("pong", move || {
            for _ in 0..ROUNDS {
                ping.acquire();
                pong.release();
            }
        })
    };
    let other = other.map_err(|_| "no thread")?;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        ping.release();
        pong.acquire();
    }
    println!("        there and back in {} ns", start.elapsed().as_nanos() / u128::from(ROUNDS));
    other.join().map_err(|_| "it ended early")?;
    ensure(!ping.try_acquire() && !pong.try_acquire(), "permits are left")
}

fn readers() -> Result<(), &'static str> {
    let lock = Arc::new(RwLock::new(0u64));
    let writers = threads(2, |_| {
        let lock = lock.clone();
        move || {
            for _ in 0..300 {
                *lock.write() += 1;
                yield_now();
            }
        }
    })?;
    let readers = threads(3, |_| {
        let lock = lock.clone();
        move || {
            let mut last = 0;
            // Ends only when the writers get through.
            while last < 600 {
                let value = lock.read();
                if *value < last {
                    return false;
                }
                last = *value;
                yield_now();
            }
            true
        }
    })?;
    join_all(writers)?;
    ensure(join_all(readers)?.into_iter().all(|good| good), "the value went back")
}

fn barrier() -> Result<(), &'static str> {
    let shared = Arc::new((Barrier::new(3), Mutex::new([0u32; 20])));
    let handles = threads(3, |_| {
        let shared = shared.clone();
        move || {
            let mut leaders = 0;
            for round in 0..20 {
                shared.1.lock()[round] += 1;
                leaders += u32::from(shared.0.wait());
                if shared.1.lock()[round] != 3 {
                    return Err("one went too early");
                }
            }
            Ok(leaders)
        }
    })?;
    let leaders: Vec<u32> = join_all(handles)?.into_iter().collect::<Result<_, _>>()?;
    ensure(leaders.iter().sum::<u32>() == 20, "not one leader in each round")
}

fn timeouts() -> Result<(), &'static str> {
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock();
    let shared = lock.clone();
    let other = spawn("late", move || {
        let start = Instant::now();
        let got = shared.lock_until(deadline(Duration::from_millis(5))).is_some();
        (got, start.elapsed())
    });
    let other = other.map_err(|_| "no thread")?;
    sleep_until(deadline(Duration::from_millis(30)));
    let (got, time) = other.join().map_err(|_| "it ended early")?;
    ensure(!got && time >= Duration::from_millis(5), "it got the mutex, or gave up too early")?;
    drop(held);
    ensure(lock.lock_until(deadline(Duration::from_secs(5))).is_some(), "the mutex is lost")?;
    let semaphore = Semaphore::new(0);
    let gave_up = !semaphore.acquire_until(deadline(Duration::from_millis(2)));
    ensure(gave_up, "a permit came from nowhere")
}

fn once_and_sequence() -> Result<(), &'static str> {
    static MADE: OnceLock<u64> = OnceLock::new();
    let handles = threads(4, |i| {
        move || {
            *MADE.get_or_init(|| {
                yield_now();
                i + 100
            })
        }
    })?;
    let seen = join_all(handles)?;
    ensure(seen.iter().all(|v| *v == seen[0]), "it was made twice")?;
    let pair = Arc::new(SeqLock::new([0u64; 2]));
    let shared = pair.clone();
    let writer = spawn("writer", move || {
        for i in 1..=2_000 {
            shared.write([i, i * 3]);
            if i % 50 == 0 {
                yield_now();
            }
        }
    });
    let writer = writer.map_err(|_| "no thread")?;
    while !writer.is_finished() {
        let [a, b] = pair.read();
        ensure(b == a * 3, "half of a value was read")?;
        yield_now();
    }
    writer.join().map_err(|_| "it ended early")
}

static DROPS: AtomicU64 = AtomicU64::new(0);

/// A value that says when it is gone.
struct Value([u64; 2]);

impl Value {
    fn new(number: u64) -> Self {
        Self([number, !number])
    }

    fn is_whole(&self) -> bool {
        self.0[0] == !self.0[1]
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.0 = [1, 1];
        DROPS.fetch_add(1, SeqCst);
    }
}

fn replacing() -> Result<(), &'static str> {
    const VALUES: u64 = 200;
    let cell = Arc::new((Rcu::new(Value::new(0)), AtomicU64::new(0)));
    let handles = threads(4, |_| {
        let shared = cell.clone();
        move || {
            let mut good = true;
            while shared.1.load(SeqCst) == 0 {
                let section = rcu::read();
                let value = shared.0.get(&section);
                good &= value.is_whole();
                core::hint::spin_loop();
                good &= value.is_whole();
                drop(section);
                yield_now();
            }
            good
        }
    })?;
    for number in 1..=VALUES {
        cell.0.replace_later(Value::new(number));
        if number % 8 == 0 {
            yield_now();
        }
    }
    // Nobody calls anything: a thread of the library does it.
    let limit = deadline(Duration::from_secs(20));
    while DROPS.load(SeqCst) < VALUES && ukplat::monotonic_ns() < limit {
        sleep_until(deadline(Duration::from_millis(1)));
    }
    let dropped = DROPS.load(SeqCst);
    cell.1.store(1, SeqCst);
    let good = join_all(handles)?;
    ensure(good.iter().all(|good| *good), "a value went while it was read")?;
    ensure(dropped == VALUES, "values were left, or dropped twice")
}
