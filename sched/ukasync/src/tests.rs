//! Tasks on the development machine, whose threads are the other CPUs.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::{pending, poll_fn};
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::future::{Either, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::{Elapsed, Event, Executor, SpawnError, sleep, spawn, timeout, yield_now};

/// An executor of its own for each test: tests run side by side, on threads that are all CPU 0.
fn run<F: Future>(future: F) -> F::Output {
    static ONE_AT_A_TIME: std::sync::Mutex<Option<&'static Executor>> = std::sync::Mutex::new(None);
    let mut executor = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    executor.get_or_insert_with(|| Box::leak(Box::new(Executor::new()))).run(future)
}

/// Counts what is dropped.
#[derive(Clone, Default)]
struct Drops(Rc<Cell<usize>>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn tasks_take_turns_in_order() {
    let order = Rc::new(RefCell::new(Vec::new()));
    run(async {
        let tasks = (0..3).map(|i| {
            let order = order.clone();
            spawn(async move {
                for round in 0..3 {
                    order.borrow_mut().push((round, i));
                    yield_now().await;
                }
                i
            })
            .unwrap()
        });
        assert_eq!(join_all(tasks.collect::<Vec<_>>()).await, [0, 1, 2]);
    });
    let expected: Vec<_> = (0..3).flat_map(|round| (0..3).map(move |i| (round, i))).collect();
    assert_eq!(*order.borrow(), expected);
}

#[test]
fn futures_and_results_are_dropped_once() {
    let drops = Drops::default();
    let count = drops.0.clone();
    run(async move {
        // Awaited; detached and ended; detached with its handle dropped after the end.
        let awaited = spawn({
            let (future, result) = (drops.clone(), drops.clone());
            async move {
                drop(future);
                result
            }
        });
        drop(awaited.unwrap().await);
        assert_eq!(count.get(), 2);
        let result = drops.clone();
        spawn(async move { result }).unwrap().detach();
        let result = drops.clone();
        let kept = spawn(async move { result }).unwrap();
        yield_now().await;
        yield_now().await;
        assert!(kept.is_finished());
        assert_eq!(count.get(), 3, "what has a handle is kept");
        drop(kept);
        yield_now().await;
        yield_now().await;
        assert_eq!(count.get(), 4);
        drop(drops);
        assert_eq!(count.get(), 5);
    });
}

#[test]
fn sleeps_end_in_order_and_can_be_given_up() {
    run(async {
        let mut sleeps = FuturesUnordered::new();
        for ms in [30, 10, 20, 0] {
            sleeps.push(async move {
                sleep(Duration::from_millis(ms)).await;
                ms
            });
        }
        let mut order = Vec::new();
        while let Some(ms) = sleeps.next().await {
            order.push(ms);
        }
        assert_eq!(order, [0, 10, 20, 30]);

        let long = Box::pin(sleep(Duration::from_secs(3600)));
        let short = Box::pin(sleep(Duration::from_millis(1)));
        assert!(matches!(select(long, short).await, Either::Right(_)));
        assert_eq!(timeout(Duration::from_millis(1), pending::<()>()).await, Err(Elapsed));
        assert_eq!(timeout(Duration::from_secs(3600), async { 7 }).await, Ok(7));
    });
}

#[test]
fn ten_thousand_tasks_sleep() {
    run(async {
        let done = Rc::new(Cell::new(0));
        for i in 0..10_000u64 {
            let done = done.clone();
            let time = Duration::from_micros(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50);
            let task = spawn(async move {
                sleep(time).await;
                done.set(done.get() + 1);
            });
            task.unwrap().detach();
        }
        while done.get() < 10_000 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn other_threads_wake_and_spawn() {
    run(async {
        const ROUNDS: usize = 1000;
        static THERE: Event = Event::new();
        static BACK: AtomicUsize = AtomicUsize::new(0);
        let other = std::thread::spawn(|| {
            for round in 1..=ROUNDS {
                THERE.set();
                while BACK.load(Relaxed) < round {
                    std::thread::yield_now();
                }
            }
        });
        for _ in 0..ROUNDS {
            THERE.wait().await;
            BACK.fetch_add(1, Relaxed);
        }
        other.join().unwrap();

        let executor = Executor::current().unwrap();
        let sum = Arc::new(AtomicUsize::new(0));
        let spawned = sum.clone();
        let other = std::thread::spawn(move || {
            for i in 1..=100 {
                let sum = spawned.clone();
                let make = move || async move {
                    yield_now().await;
                    sum.fetch_add(i, Relaxed);
                };
                executor.spawn(make).unwrap();
            }
        });
        while sum.load(Relaxed) < 5050 {
            sleep(Duration::from_micros(100)).await;
        }
        other.join().unwrap();
    });
}

#[test]
fn tasks_that_have_not_ended_go_on_in_the_next_run() {
    let seen = Rc::new(Cell::new(0));
    let counter = seen.clone();
    run(async {
        let task = spawn(async move {
            for _ in 0..5 {
                counter.set(counter.get() + 1);
                yield_now().await;
            }
        });
        task.unwrap().detach();
        yield_now().await;
    });
    assert!(seen.get() < 5);
    run(async {
        while seen.get() < 5 {
            yield_now().await;
        }
    });
}

#[test]
fn a_waker_may_outlive_its_task() {
    run(async {
        let kept = Rc::new(RefCell::new(None));
        let keeper = kept.clone();
        let task = spawn(async move {
            poll_fn(|context| {
                *keeper.borrow_mut() = Some(context.waker().clone());
                Poll::Ready(())
            })
            .await
        });
        task.unwrap().await;
        let waker = kept.borrow_mut().take().unwrap();
        waker.wake_by_ref();
        std::thread::spawn(move || drop(waker)).join().unwrap();
        yield_now().await;
    });
}

#[test]
fn spawning_needs_an_executor() {
    std::thread::spawn(|| assert!(matches!(spawn(async {}), Err(SpawnError::NoExecutor))));
}

#[test]
fn waiting_uses_no_cpu() {
    run(async {
        let before = Executor::stats().unwrap();
        sleep(Duration::from_millis(50)).await;
        let after = Executor::stats().unwrap();
        assert!(after.polls - before.polls <= 3, "{before:?} {after:?}");
        assert!(after.waits - before.waits <= 5, "{before:?} {after:?}");
    });
}
