//! Models: shuttle runs small programs under many random schedules, some with few but well placed
//! preemptions (PCT). A lost wake-up or a deadlock is found as a state in which nobody can go on.
#![cfg(all(feature = "model", any(feature = "threads", feature = "smp")))]

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use shuttle::thread;
use uklock::{
    Condvar, Mutex, Once, OnceLock, RawBarrier, RawMutex, RawRwLock, RawSemaphore, ReentrantMutex,
    RwLock, SeqLock, SpinLock, WaitQueue,
};

/// One model at a time where they share variables: with priority inheritance.
fn turn() -> Option<std::sync::MutexGuard<'static, ()>> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    cfg!(feature = "inherit").then(|| TURN.lock().unwrap_or_else(|error| error.into_inner()))
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let _turn = turn();
    let model = Arc::new(model);
    let again = model.clone();
    shuttle::check_random(move || again(), 600);
    shuttle::check_pct(move || model(), 300, 3);
}

/// Runs `threads` copies of `f` and waits for them.
fn together(threads: usize, f: impl Fn(usize) + Send + Sync + 'static) {
    let f = Arc::new(f);
    let handles: Vec<_> = (0..threads)
        .map(|i| {
            let f = f.clone();
            thread::spawn(move || {
                #[cfg(feature = "inherit")]
                uklock::set_priority(i as u8 % 3);
                f(i);
                // Whatever it held, nothing of it is left, once those that gave up have said so.
                #[cfg(feature = "inherit")]
                while uklock::current_priority() != i as u8 % 3 {
                    thread::yield_now();
                }
            })
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
}

/// Says when two are inside at once.
#[derive(Default)]
struct Inside(AtomicUsize);

impl Inside {
    fn alone(&self) {
        assert_eq!(self.0.fetch_add(1, Relaxed), 0, "two inside");
        thread::yield_now();
        assert_eq!(self.0.fetch_sub(1, Relaxed), 1, "two inside");
    }
}

const SOON: u64 = 1;

#[test]
fn mutex_excludes_and_loses_no_wakeup() {
    check(|| {
        let (mutex, inside) = (RawMutex::new(), Inside::default());
        let shared = Arc::new((mutex, inside));
        together(3, move |_| {
            for _ in 0..2 {
                shared.0.lock();
                shared.1.alone();
                // SAFETY: locked above.
                unsafe { shared.0.unlock() };
            }
        });
    });
}

#[test]
fn mutex_timeouts_race_with_unlock() {
    check(|| {
        let shared = Arc::new((Mutex::new(0), AtomicUsize::new(0)));
        let again = shared.clone();
        together(4, move |i| {
            if i % 2 == 0 {
                *again.0.lock() += 1;
                again.1.fetch_add(1, Relaxed);
            } else if let Some(mut count) = again.0.lock_until(SOON) {
                *count += 1;
                again.1.fetch_add(1, Relaxed);
            }
        });
        assert_eq!(*shared.0.lock(), shared.1.load(Relaxed));
        assert!(shared.0.try_lock().is_some());
    });
}

/// The scheduler that is worst for fairness: the thread that waits runs only while the other one,
/// which locks again and again, holds the mutex.
struct Adversary {
    runs: usize,
    holding: Arc<AtomicUsize>,
}

impl shuttle::scheduler::Scheduler for Adversary {
    fn new_execution(&mut self) -> Option<shuttle::scheduler::Schedule> {
        self.runs += 1;
        (self.runs == 1).then(|| shuttle::scheduler::Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&shuttle::scheduler::Task],
        _current: Option<shuttle::scheduler::TaskId>,
        _is_yielding: bool,
    ) -> Option<shuttle::scheduler::TaskId> {
        let ids = runnable.iter().map(|task| task.id());
        if self.holding.load(Relaxed) == 1 { ids.max() } else { ids.min() }
    }

    fn next_u64(&mut self) -> u64 {
        // No early return of `park`, no random end of spinning.
        u64::MAX / 2
    }
}

#[test]
fn mutex_is_handed_to_a_thread_that_came_too_late_once() {
    let _turn = turn();
    let holding = Arc::new(AtomicUsize::new(0));
    let adversary = Adversary { runs: 0, holding: holding.clone() };
    let mut config = shuttle::Config::new();
    config.max_steps = shuttle::MaxSteps::FailAfter(100_000);
    shuttle::Runner::new(adversary, config).run(move || {
        let shared = Arc::new((RawMutex::new(), AtomicUsize::new(0)));
        let other = shared.clone();
        let waiter = thread::spawn(move || {
            other.0.lock();
            other.1.store(1, Relaxed);
            // SAFETY: locked above.
            unsafe { other.0.unlock() };
        });
        let mut overtaken = 0;
        loop {
            shared.0.lock();
            if shared.1.load(Relaxed) == 1 {
                break;
            }
            overtaken += 1;
            holding.store(1, Relaxed);
            // The other one runs until it waits.
            for _ in 0..100 {
                thread::yield_now();
            }
            holding.store(0, Relaxed);
            // SAFETY: locked above.
            unsafe { shared.0.unlock() };
        }
        // SAFETY: locked above.
        unsafe { shared.0.unlock() };
        waiter.join().unwrap();
        // Once when it had not come yet, once when it was woken and came too late.
        assert!(overtaken <= 2, "overtaken {overtaken} times");
    });
}

#[test]
fn recursive_mutex() {
    check(|| {
        let lock = Arc::new((ReentrantMutex::new(()), Inside::default()));
        together(2, move |_| {
            let outer = lock.0.lock();
            let inner = lock.0.lock_until(SOON).expect("it is held");
            lock.1.alone();
            drop(inner);
            lock.1.alone();
            drop(outer);
        });
    });
}

#[test]
fn spinlock_excludes() {
    check(|| {
        let lock = Arc::new(SpinLock::new(0));
        let again = lock.clone();
        together(3, move |_| *again.lock() += 1);
        assert_eq!(*lock.lock(), 3);
    });
}

#[test]
fn semaphore_permits_are_never_lost() {
    check(|| {
        let shared = Arc::new((RawSemaphore::new(1), Inside::default()));
        let again = shared.clone();
        together(3, move |i| {
            if i != 2 {
                again.0.acquire();
            }
            if i != 2 || again.0.acquire_until(SOON) {
                again.1.alone();
                again.0.release();
            }
        });
        assert_eq!(shared.0.permits(), 1);
    });
}

#[test]
fn semaphore_may_go_when_acquired() {
    // The waiting thread frees the semaphore as soon as it has the permit, as completions on the
    // stack do; the releasing one must not touch it any more.
    struct Freed(Arc<AtomicUsize>, RawSemaphore);
    impl Drop for Freed {
        fn drop(&mut self) {
            self.0.store(1, Relaxed);
        }
    }
    check(|| {
        let freed = Arc::new(AtomicUsize::new(0));
        let completion = Box::into_raw(Box::new(Freed(freed.clone(), RawSemaphore::new(0))));
        let address = completion.expose_provenance();
        let releaser = thread::spawn(move || {
            let completion = std::ptr::with_exposed_provenance::<Freed>(address);
            // SAFETY: freed by the other thread after this call has released.
            unsafe { (*completion).1.release() };
        });
        // SAFETY: made above.
        unsafe { (*completion).1.acquire() };
        // SAFETY: made above by `Box::into_raw`, not used any more.
        drop(unsafe { Box::from_raw(completion) });
        assert_eq!(freed.load(Relaxed), 1);
        releaser.join().unwrap();
    });
}

#[test]
fn rwlock_excludes_writers_and_lets_readers_share() {
    check(|| {
        let shared = Arc::new((RwLock::new((0, 0)), AtomicUsize::new(0)));
        let again = shared.clone();
        together(4, move |i| {
            if i < 2 {
                let mut pair = again.0.write();
                pair.0 += 1;
                thread::yield_now();
                pair.1 += 1;
                if i == 1 {
                    let pair = pair.downgrade();
                    thread::yield_now();
                    assert_eq!(pair.0, pair.1);
                }
            } else {
                let pair = again.0.read();
                thread::yield_now();
                assert_eq!(pair.0, pair.1);
            }
        });
        assert_eq!(*shared.0.read(), (2, 2));
        assert!(shared.0.try_write().is_some());
    });
}

#[test]
fn rwlock_timeouts_leave_nobody_behind() {
    check(|| {
        let lock = Arc::new(RwLock::new(0));
        let again = lock.clone();
        together(5, move |i| match i {
            0 | 1 => {
                let value = again.read();
                thread::yield_now();
                drop(value);
            }
            2 => {
                if let Some(mut value) = again.write_until(SOON) {
                    *value += 1;
                }
            }
            3 => drop(again.read_until(SOON)),
            _ => *again.write() += 1,
        });
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn rwlock_starves_neither_side() {
    // Two readers that overlap for ever do not keep a writer out; two writers that follow each
    // other for ever do not keep a reader out.
    check(|| {
        let shared = Arc::new((RawRwLock::new(), AtomicUsize::new(0)));
        let again = shared.clone();
        together(4, move |i| {
            let (lock, done) = (&again.0, &again.1);
            let side = |write: bool| {
                // SAFETY: taken just before.
                unsafe {
                    if write {
                        lock.write();
                        thread::yield_now();
                        lock.unlock_write();
                    } else {
                        lock.read();
                        thread::yield_now();
                        lock.unlock_read();
                    }
                }
            };
            match i {
                0 => {
                    side(true);
                    done.fetch_add(1, Relaxed);
                }
                1 => {
                    side(false);
                    done.fetch_add(1, Relaxed);
                }
                _ => {
                    while done.load(Relaxed) < 2 {
                        side(i == 3);
                    }
                }
            }
        });
    });
}

#[test]
fn condvar_one_and_all() {
    check(|| {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let again = shared.clone();
        let waiters = thread::spawn(move || {
            together(3, move |_| {
                let mut tokens = again.0.lock();
                again.1.wait_while(&mut tokens, |tokens| *tokens == 0);
                *tokens -= 1;
            });
        });
        *shared.0.lock() += 1;
        shared.1.notify_one();
        {
            let mut tokens = shared.0.lock();
            *tokens += 2;
            shared.1.notify_all();
        }
        waiters.join().unwrap();
        assert_eq!(*shared.0.lock(), 0);
    });
}

#[test]
fn condvar_timeouts_do_not_swallow_notifications() {
    check(|| {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let again = shared.clone();
        let waiters = thread::spawn(move || {
            together(2, move |i| {
                let mut tokens = again.0.lock();
                if i == 0 {
                    while *tokens == 0 {
                        if !again.1.wait_until(&mut tokens, SOON) {
                            break;
                        }
                    }
                } else {
                    again.1.wait_while(&mut tokens, |tokens| *tokens == 0);
                }
                if *tokens > 0 {
                    *tokens -= 1;
                }
            });
        });
        for _ in 0..2 {
            *shared.0.lock() += 1;
            shared.1.notify_one();
        }
        waiters.join().unwrap();
    });
}

#[test]
fn barrier_is_used_again() {
    check(|| {
        let shared = Arc::new((RawBarrier::new(3), AtomicUsize::new(0), AtomicUsize::new(0)));
        let again = shared.clone();
        together(3, move |_| {
            for round in 1..=2 {
                again.1.fetch_add(1, Relaxed);
                if again.0.wait() {
                    again.2.fetch_add(1, Relaxed);
                }
                assert!(again.1.load(Relaxed) >= 3 * round, "left before all were there");
            }
        });
        assert_eq!(shared.2.load(Relaxed), 2, "one leader a round");
    });
}

#[test]
fn once_runs_once_and_again_after_a_panic() {
    check(|| {
        let shared = Arc::new((Once::new(), AtomicUsize::new(0), UnsafeCellSync::default()));
        let again = shared.clone();
        together(3, move |i| {
            let (once, runs, value) = (&again.0, &again.1, &again.2);
            let result = catch_unwind(AssertUnwindSafe(|| {
                once.call_once(|| {
                    if i == 0 {
                        // Not `panic!`: its message would fill the output.
                        std::panic::resume_unwind(Box::new("expected"));
                    }
                    runs.fetch_add(1, Relaxed);
                    thread::yield_now();
                    value.set(7);
                });
            }));
            if result.is_ok() {
                assert_eq!(value.get(), 7);
            }
        });
        assert_eq!(shared.1.load(Relaxed), 1);
    });
}

#[derive(Default)]
struct UnsafeCellSync(UnsafeCell<u32>);

// SAFETY: the models run on one thread of the operating system; this is what they check.
unsafe impl Sync for UnsafeCellSync {}
// SAFETY: as above.
unsafe impl Send for UnsafeCellSync {}

impl UnsafeCellSync {
    fn set(&self, value: u32) {
        // SAFETY: as for `Sync`.
        unsafe { *self.0.get() = value };
    }
    fn get(&self) -> u32 {
        // SAFETY: as for `Sync`.
        unsafe { *self.0.get() }
    }
}

#[test]
fn once_lock_gives_all_the_same() {
    check(|| {
        let cell = Arc::new(OnceLock::new());
        together(3, move |i| {
            let first = *cell.get_or_init(|| i);
            assert_eq!(cell.get(), Some(&first));
        });
    });
}

#[test]
fn wait_queue_wakes_one_and_loses_none() {
    check(|| {
        let shared = Arc::new((WaitQueue::new(), AtomicUsize::new(0)));
        let again = shared.clone();
        let take = |count: &AtomicUsize| {
            count.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok()
        };
        let consumers = thread::spawn(move || {
            together(3, move |i| {
                let (queue, items) = (&again.0, &again.1);
                if i == 0 {
                    queue.wait_until(SOON, || take(items));
                } else {
                    queue.wait(|| take(items));
                }
            });
        });
        for _ in 0..3 {
            shared.1.fetch_add(1, Relaxed);
            shared.0.wake_one();
        }
        consumers.join().unwrap();
    });
}

/// An interrupt that comes at any time ends the wait, and a wake-up that it crosses is not lost.
#[test]
fn interrupted_waits_end() {
    use std::sync::atomic::AtomicBool;
    // Whether the first thread is interrupted; only threads of shuttle that run one after the other
    // touch it.
    thread_local! {
        static PENDING: Arc<AtomicBool> = Arc::default();
    }
    static QUERY: uklock::Query = || {
        let first = thread::current().name() == Some("interrupted");
        first && PENDING.with(|pending| pending.load(Relaxed))
    };
    uklock::on_interrupted_query(&QUERY);
    check(|| {
        PENDING.with(|pending| pending.store(false, Relaxed));
        let shared = Arc::new((WaitQueue::new(), AtomicUsize::new(0)));
        let take = |count: &AtomicUsize| {
            count.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok()
        };
        let (again, other) = (shared.clone(), shared.clone());
        let me = Arc::new(std::sync::Mutex::new(None));
        let told = me.clone();
        let first = thread::Builder::new().name("interrupted".into());
        let first = first.spawn(move || {
            *told.lock().unwrap() = Some(uklock::model::current());
            again.0.wait_interruptible(None, || take(&again.1))
        });
        let second = thread::spawn(move || other.0.wait(|| take(&other.1)));
        // One for the second thread, which the first may be woken for.
        shared.1.fetch_add(1, Relaxed);
        shared.0.wake_one();
        PENDING.with(|pending| pending.store(true, Relaxed));
        let thread = *me.lock().unwrap();
        if let Some(thread) = thread {
            thread.unpark();
        }
        if first.unwrap().join().unwrap() == Ok(true) {
            shared.1.fetch_add(1, Relaxed);
            shared.0.wake_one();
        }
        second.join().unwrap();
    });
}

#[test]
fn seqlock_gives_whole_values() {
    check(|| {
        let lock = Arc::new(SeqLock::new([0usize; 3]));
        together(3, move |i| {
            if i == 0 {
                for _ in 0..2 {
                    lock.update(|value| *value = value.map(|word| word + 1));
                }
            } else {
                let [a, b, c] = lock.read();
                assert!(a == b && b == c, "torn: {a} {b} {c}");
            }
        });
    });
}

#[cfg(feature = "alloc")]
#[test]
fn rcu_keeps_what_is_read() {
    use uklock::rcu::{self, Rcu};
    struct Alive(AtomicUsize);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.store(0, Relaxed);
        }
    }
    // The domain is one for all models: they must not run at once, and leave all CPUs offline.
    check(|| {
        let cell = Arc::new(Rcu::new(Alive(AtomicUsize::new(1))));
        let again = cell.clone();
        let readers = thread::spawn(move || {
            together(2, move |cpu| {
                // SAFETY: this thread stands for that CPU, outside sections.
                unsafe { rcu::online(cpu) };
                for _ in 0..2 {
                    let section = rcu::read();
                    let value = again.get(&section);
                    assert_eq!(value.0.load(Relaxed), 1);
                    // With one CPU nobody else runs in a section.
                    if cfg!(feature = "smp") {
                        thread::yield_now();
                    }
                    assert_eq!(value.0.load(Relaxed), 1);
                    drop(section);
                    // SAFETY: this thread stands for that CPU, outside sections.
                    unsafe { rcu::quiescent(cpu) };
                    thread::yield_now();
                }
                // SAFETY: this thread stands for that CPU, outside sections.
                unsafe { rcu::offline(cpu) };
            });
        });
        // SAFETY: outside sections.
        unsafe { cell.update(|_| Alive(AtomicUsize::new(1))) };
        cell.replace_later(Alive(AtomicUsize::new(1)));
        // SAFETY: outside sections.
        unsafe { rcu::reclaim() };
        // SAFETY: outside sections.
        drop(unsafe { cell.replace(Alive(AtomicUsize::new(1))) });
        readers.join().unwrap();
        // SAFETY: outside sections; no CPU is online any more.
        assert_eq!(unsafe { rcu::reclaim() }, 0);
    });
}

#[cfg(feature = "inherit")]
#[test]
fn who_holds_is_as_urgent_as_who_waits() {
    check(|| {
        let shared = Arc::new((Mutex::new(()), Mutex::new(()), AtomicUsize::new(0)));
        let again = shared.clone();
        together(3, move |i| {
            let (first, second, seen) = &*again;
            match i {
                // Holds the first until the most urgent thread is known to wait, or is through.
                0 => {
                    let _first = first.lock();
                    for _ in 0..20 {
                        thread::yield_now();
                        seen.fetch_max(uklock::current_priority().into(), Relaxed);
                    }
                }
                1 => {
                    let _second = second.lock();
                    let _first = first.lock_until(SOON);
                }
                _ => drop(second.lock()),
            }
        });
        assert!(shared.2.load(Relaxed) <= 2);
        SEEN.fetch_max(shared.2.load(Relaxed), Relaxed);
    });
    // Passed on through the thread in the middle, in some runs.
    assert_eq!(SEEN.load(Relaxed), 2);
}

#[cfg(feature = "inherit")]
static SEEN: AtomicUsize = AtomicUsize::new(0);
