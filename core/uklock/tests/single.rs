//! One flow of control: what is left, and what panics instead of waiting for ever.
#![cfg(not(any(feature = "threads", feature = "smp")))]

use std::mem::size_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use uklock::{
    Barrier, Condvar, Mutex, Once, OnceLock, RawCondvar, RawMutex, RawReentrantMutex, RawRwLock,
    RawSpinLock, ReentrantMutex, RwLock, Semaphore, SeqLock, SpinLock, WaitQueue, deadline,
};

fn deadlocks(f: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("it should panic");
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    assert!(text.starts_with("deadlock: "), "{text}");
}

#[test]
fn raw_primitives_occupy_nothing() {
    assert_eq!(size_of::<RawMutex>(), 0);
    assert_eq!(size_of::<RawReentrantMutex>(), 0);
    assert_eq!(size_of::<RawRwLock>(), 0);
    assert_eq!(size_of::<RawCondvar>(), 0);
    assert_eq!(size_of::<RawSpinLock>(), 0);
    assert_eq!(size_of::<WaitQueue>(), 0);
    assert_eq!(size_of::<ReentrantMutex<u64>>(), 8);
    assert_eq!(size_of::<Mutex<[u8; 3]>>(), 4);
    assert_eq!(size_of::<RwLock<u32>>(), 8);
}

#[test]
fn two_guards_of_one_value_do_not_exist() {
    let mutex = Mutex::new(1);
    let guard = mutex.lock();
    deadlocks(|| drop(mutex.lock()));
    assert!(mutex.try_lock().is_none());
    assert!(mutex.lock_until(deadline(Duration::from_millis(1))).is_none());
    drop(guard);
    assert_eq!(*mutex.lock(), 1);

    let spin = SpinLock::new(1);
    let guard = spin.lock();
    deadlocks(|| drop(spin.lock()));
    drop(guard);
    assert!(spin.try_lock().is_some());

    let rwlock = RwLock::new(1);
    let (one, two) = (rwlock.read(), rwlock.read());
    deadlocks(|| drop(rwlock.write()));
    drop((one, two));
    let writer = rwlock.write();
    deadlocks(|| drop(rwlock.read()));
    assert!(rwlock.read_until(deadline(Duration::from_millis(1))).is_none());
    let reader = writer.downgrade();
    assert!(rwlock.try_read().is_some() && rwlock.try_write().is_none());
    drop(reader);
    assert!(rwlock.try_write().is_some());
}

#[test]
fn waits_that_nobody_can_end() {
    let (mutex, condvar) = (Mutex::new(0), Condvar::new());
    deadlocks(|| condvar.wait(&mut mutex.lock()));
    let end = deadline(Duration::from_millis(2));
    assert!(!condvar.wait_until(&mut mutex.lock(), end));
    assert!(ukplat::monotonic_ns() >= end);
    deadlocks(|| _ = Barrier::new(2).wait());
    assert!(Barrier::new(1).wait());
    let once = Once::new();
    deadlocks(|| once.call_once(|| once.call_once(|| ())));
    once.call_once(|| ());
    assert!(once.is_completed());
}

#[test]
fn what_interrupt_handlers_can_end_has_deadlines() {
    let semaphore = Semaphore::new(1);
    semaphore.acquire();
    let end = deadline(Duration::from_millis(2));
    assert!(!semaphore.acquire_until(end));
    assert!(ukplat::monotonic_ns() >= end);
    semaphore.release();
    semaphore.acquire();
    let (queue, mut looks) = (WaitQueue::new(), 0);
    queue.wait(|| {
        looks += 1;
        looks > 1
    });
    assert!(!queue.wait_until(deadline(Duration::from_millis(1)), || false));
}

#[test]
fn values() {
    let cell = OnceLock::new();
    assert_eq!((cell.get(), cell.get_or_init(|| 3), cell.set(4)), (None, &3, Err(4)));
    let lock = SeqLock::new((*b"odd").map(|b| b ^ 1));
    lock.update(|bytes| *bytes = bytes.map(|b| b ^ 1));
    assert_eq!(&lock.read(), b"odd");
    let depth = ReentrantMutex::new(std::cell::Cell::new(0));
    let outer = depth.lock();
    depth.lock().set(1);
    assert_eq!(outer.get(), 1);
}
