//! Threads of the host against each other: the real instructions, under load.
#![cfg(all(feature = "host", not(feature = "model"), any(feature = "threads", feature = "smp")))]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use uklock::{
    Barrier, Condvar, IrqSpinLock, Mutex, Once, ReentrantMutex, RwLock, Semaphore, SeqLock,
    SpinLock, WaitQueue, deadline,
};

const THREADS: usize = 4;
const ROUNDS: usize = 5_000;

fn together(f: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for i in 0..THREADS {
            let f = &f;
            scope.spawn(move || f(i));
        }
    });
}

fn soon() -> u64 {
    deadline(Duration::from_micros(20))
}

#[test]
fn mutex_counts() {
    let (count, timed_out) = (Mutex::new(0), AtomicUsize::new(0));
    together(|i| {
        for round in 0..ROUNDS {
            if (i + round) % 5 == 0 {
                match count.lock_until(soon()) {
                    Some(mut count) => *count += 1,
                    None => _ = timed_out.fetch_add(1, Relaxed),
                }
            } else {
                *count.lock() += 1;
            }
        }
    });
    assert_eq!(count.into_inner() + timed_out.into_inner(), THREADS * ROUNDS);
}

#[test]
fn spinlocks_count() {
    let (plain, irq) = (SpinLock::new(0), IrqSpinLock::new(0));
    together(|_| {
        for _ in 0..ROUNDS {
            // One CPU only has one holder at a time: taking a taken one is a mistake there.
            if cfg!(feature = "smp") {
                *plain.lock() += 1;
                *irq.lock() += 1;
            } else {
                *plain.lock() += 1;
            }
        }
    });
    assert_eq!(plain.into_inner(), THREADS * ROUNDS);
}

#[test]
fn recursive_mutex_counts() {
    let count = ReentrantMutex::new(std::cell::Cell::new(0));
    together(|_| {
        for _ in 0..ROUNDS {
            let outer = count.lock();
            count.lock().set(outer.get() + 1);
        }
    });
    assert_eq!(count.into_inner().get(), THREADS * ROUNDS);
}

#[test]
fn semaphore_bounds() {
    let (slots, inside) = (Semaphore::new(2), AtomicUsize::new(0));
    together(|i| {
        for round in 0..ROUNDS {
            let got = if (i + round) % 3 == 0 {
                slots.acquire_until(soon())
            } else {
                slots.acquire();
                true
            };
            if got {
                assert!(inside.fetch_add(1, Relaxed) < 2);
                inside.fetch_sub(1, Relaxed);
                slots.release();
            }
        }
    });
    assert_eq!(slots.permits(), 2);
}

#[test]
fn rwlock_keeps_pairs_equal() {
    let pair = RwLock::new((0, 0));
    together(|i| {
        for round in 0..ROUNDS {
            match (i + round) % 8 {
                0 => {
                    let mut pair = pair.write();
                    pair.0 += 1;
                    pair.1 += 1;
                    let pair = pair.downgrade();
                    assert_eq!(pair.0, pair.1);
                }
                1 => {
                    if let Some(mut pair) = pair.write_until(soon()) {
                        pair.0 += 1;
                        pair.1 += 1;
                    }
                }
                2 => {
                    if let Some(pair) = pair.read_until(soon()) {
                        assert_eq!(pair.0, pair.1);
                    }
                }
                _ => {
                    let pair = pair.read();
                    assert_eq!(pair.0, pair.1);
                }
            }
        }
    });
    assert!(pair.try_write().is_some());
}

#[test]
fn condvar_passes_items() {
    let (items, more, less) = (Mutex::new(0usize), Condvar::new(), Condvar::new());
    together(|i| {
        for _ in 0..ROUNDS {
            let mut items = items.lock();
            if i % 2 == 0 {
                less.wait_while(&mut items, |items| *items == 3);
                *items += 1;
                more.notify_one();
            } else {
                while *items == 0 {
                    more.wait_until(&mut items, deadline(Duration::from_millis(50)));
                }
                *items -= 1;
                less.notify_all();
            }
        }
    });
    assert_eq!(items.into_inner(), 0);
}

#[test]
fn barrier_rounds() {
    let (barrier, arrived, led) = (Barrier::new(THREADS), AtomicUsize::new(0), AtomicUsize::new(0));
    together(|_| {
        for round in 1..=500 {
            arrived.fetch_add(1, Relaxed);
            led.fetch_add(usize::from(barrier.wait()), Relaxed);
            assert!(arrived.load(Relaxed) >= round * THREADS);
        }
    });
    assert_eq!(led.into_inner(), 500);
}

#[test]
fn once_runs_once() {
    for _ in 0..200 {
        let (once, runs) = (Once::new(), AtomicUsize::new(0));
        together(|_| {
            once.call_once(|| _ = runs.fetch_add(1, Relaxed));
            assert_eq!(runs.load(Relaxed), 1);
        });
    }
}

#[test]
fn wait_queue_delivers_all() {
    let (queue, items) = (WaitQueue::new(), AtomicUsize::new(0));
    together(|i| {
        for _ in 0..ROUNDS {
            if i % 2 == 0 {
                items.fetch_add(1, Relaxed);
                queue.wake_one();
            } else {
                queue.wait(|| {
                    items.fetch_update(Relaxed, Relaxed, |items| items.checked_sub(1)).is_ok()
                });
            }
        }
    });
    assert_eq!(items.into_inner(), 0);
}

#[test]
fn seqlock_is_never_torn() {
    let (lock, done) = (SeqLock::new([0u64; 4]), AtomicBool::new(false));
    together(|i| {
        if i == 0 {
            for _ in 0..ROUNDS {
                lock.update(|value| *value = value.map(|word| word + 1));
            }
            done.store(true, Relaxed);
        } else {
            while !done.load(Relaxed) {
                let value = lock.read();
                assert!(value.iter().all(|word| *word == value[0]));
            }
        }
    });
    assert_eq!(lock.read(), [ROUNDS as u64; 4]);
}

#[cfg(feature = "alloc")]
#[test]
fn rcu_values_live_as_long_as_they_are_read() {
    use uklock::rcu::{self, Rcu};
    let (cell, done) = (Rcu::new(vec![1; 8]), AtomicBool::new(false));
    together(|cpu| {
        if cpu == 0 {
            for i in 2..200 {
                cell.replace_later(vec![i; 8]);
                // SAFETY: outside sections.
                unsafe {
                    cell.update(|old| vec![old[0] + 1; 8]);
                    rcu::reclaim();
                }
            }
            done.store(true, Relaxed);
        } else {
            // SAFETY: this thread stands for that CPU, outside sections.
            unsafe { rcu::online(cpu) };
            while !done.load(Relaxed) {
                let section = rcu::read();
                let value = cell.get(&section);
                assert!(value.iter().all(|v| *v == value[0]));
                drop(section);
                // SAFETY: this thread stands for that CPU, outside sections.
                unsafe { rcu::quiescent(cpu) };
            }
            // SAFETY: this thread stands for that CPU, outside sections.
            unsafe { rcu::offline(cpu) };
        }
    });
}

#[test]
fn timeouts_are_not_early() {
    let (mutex, semaphore) = (Mutex::new(()), Semaphore::new(0));
    let _held = mutex.lock();
    for wait in [1, 5] {
        let deadline = deadline(Duration::from_millis(wait));
        thread::scope(|scope| {
            scope.spawn(|| assert!(mutex.lock_until(deadline).is_none()));
        });
        assert!(ukplat::monotonic_ns() >= deadline);
    }
    let deadline = deadline(Duration::from_millis(2));
    assert!(!semaphore.acquire_until(deadline));
    assert!(ukplat::monotonic_ns() >= deadline);
}

/// Deadlock diagnosis; the tables are those of the process.
#[cfg(any(feature = "diagnose", debug_assertions))]
mod diagnosis {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn message(f: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("no deadlock was found");
        panic.downcast_ref::<String>().cloned().unwrap_or_default()
    }

    #[test]
    fn locking_twice() {
        let lock = Mutex::new(());
        let _held = lock.lock();
        let message = message(|| drop(lock.lock()));
        assert!(message.starts_with("deadlock:\n  thread `"), "{message}");
        assert!(message.contains("locking_twice` waits for mutex 0x"), "{message}");
        assert!(message.contains("threads.rs:"), "{message}");
    }

    #[test]
    fn a_circle_of_two() {
        let (a, b, both) = (Mutex::new(()), Mutex::new(()), Barrier::new(2));
        let messages: Vec<String> = thread::scope(|scope| {
            let lock = |name: &str, first, second| {
                let both = &both;
                let body = move || {
                    let _first = Mutex::lock(first);
                    both.wait();
                    let second = catch_unwind(AssertUnwindSafe(|| drop(Mutex::lock(second))));
                    let text = second.err().and_then(|p| p.downcast_ref::<String>().cloned());
                    text.unwrap_or_default()
                };
                let builder = thread::Builder::new().name(name.to_string());
                builder.spawn_scoped(scope, body).unwrap()
            };
            let threads = [lock("left", &a, &b), lock("right", &b, &a)];
            threads.map(|thread| thread.join().unwrap()).into()
        });
        // The second to wait closes the circle, and lets the first go on by unwinding.
        assert_eq!(messages.iter().filter(|m| !m.is_empty()).count(), 1, "{messages:?}");
        let text = messages.concat();
        assert!(text.contains("`left` waits for mutex"), "{text}");
        assert!(text.contains("`right` waits for mutex"), "{text}");
        assert!(text.contains("which `left` took at"), "{text}");
    }

    #[test]
    fn initialisation_that_needs_itself() {
        let once = Once::new();
        assert!(message(|| once.call_once(|| once.call_once(|| ()))).contains("waits for once"));
        assert!(!once.is_completed());
    }

    #[test]
    fn the_report_names_holders_and_waiters() {
        let lock = RwLock::new(());
        let held = lock.read();
        let mut report = String::new();
        thread::scope(|scope| {
            let writer = || drop(lock.write());
            let writer =
                thread::Builder::new().name("eager".into()).spawn_scoped(scope, writer).unwrap();
            while !report.contains("`eager` waits for rwlock (writing)") {
                report.clear();
                uklock::report(&mut report).unwrap();
                thread::yield_now();
            }
            drop(held);
            writer.join().unwrap();
        });
        let line = report.lines().find(|line| line.contains("`eager` waits")).unwrap();
        assert!(line.contains("held by"), "{report}");
        assert!(report.contains("holds rwlock (reading)"), "{report}");
    }
}
