//! Models: shuttle runs small programs under many random schedules, some with few but well placed
//! preemptions (PCT). A lost wake-up is found as a state in which nobody can go on.
#![cfg(feature = "model")]

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Poll, Waker};

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;
use ukasync::Executor;

fn check(model: impl Fn() + Send + Sync + 'static) {
    let model = Arc::new(model);
    let again = model.clone();
    shuttle::check_random(move || again(), 1000);
    shuttle::check_pct(move || model(), 500, 3);
}

fn executor() -> &'static Executor {
    Box::leak(Box::new(Executor::new()))
}

/// A count, and who waits for it to grow.
#[derive(Default)]
struct Counter {
    count: AtomicUsize,
    waiter: Mutex<Option<Waker>>,
}

impl Counter {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        let waiter = self.waiter.lock().unwrap().take();
        if let Some(waker) = waiter {
            waker.wake();
        }
    }

    async fn reaches(&self, count: usize) {
        poll_fn(|context| {
            *self.waiter.lock().unwrap() = Some(context.waker().clone());
            if self.count.load(Ordering::SeqCst) >= count {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }
}

#[test]
fn no_wake_up_of_the_root_is_lost() {
    check(|| {
        let counter = Arc::new(Counter::default());
        let others: Vec<_> = (0..2)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || counter.add())
            })
            .collect();
        executor().run(counter.reaches(2));
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn no_wake_up_of_a_task_is_lost() {
    check(|| {
        let counter = Arc::new(Counter::default());
        let others: Vec<_> = (0..2)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || counter.add())
            })
            .collect();
        executor().run(async {
            let task = ukasync::spawn(async move { counter.reaches(2).await });
            task.unwrap().await;
        });
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn tasks_from_other_threads_all_run() {
    check(|| {
        let executor = executor();
        let counter = Arc::new(Counter::default());
        let others: Vec<_> = (0..2)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || {
                    executor.spawn(move || async move { counter.add() }).unwrap();
                })
            })
            .collect();
        executor.run(counter.reaches(2));
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// Counts what is dropped. Its drops are no switching points.
struct Dropped(Arc<std::sync::atomic::AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_task_is_freed_once_whoever_drops_the_last_waker() {
    check(|| {
        let drops = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = Arc::new(Counter::default());
        let other = thread::spawn({
            let counter = counter.clone();
            move || {
                counter.add();
                // Perhaps the waker of a task that has ended meanwhile.
                drop(counter.waiter.lock().unwrap().take());
            }
        });
        executor().run(async {
            let result = Dropped(drops.clone());
            let task = ukasync::spawn(async move {
                counter.reaches(1).await;
                result
            });
            task.unwrap().detach();
            while drops.load(SeqCst) == 0 {
                thread::yield_now();
                ukasync::yield_now().await;
            }
        });
        other.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1);
    });
}
