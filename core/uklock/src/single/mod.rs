//! The primitives where there is one flow of control: nothing waits, nothing competes.
//!
//! Interrupt handlers are the only thing that can come in between. They may use semaphores and
//! wait queues, whose waits they can end; all other waits would never end, and panic.

mod barrier;
mod condvar;
mod mutex;
mod once;
mod recursive;
mod rwlock;
mod semaphore;
mod wait_queue;

pub use barrier::RawBarrier;
pub use condvar::RawCondvar;
pub use mutex::RawMutex;
pub use once::Once;
pub use recursive::RawReentrantMutex;
pub use rwlock::RawRwLock;
pub use semaphore::RawSemaphore;
pub use wait_queue::WaitQueue;

/// What keeps the guards of a `Mutex` apart.
pub(crate) use mutex::DataMutex;
/// Guards of a `ReentrantMutex` need not be kept apart: they share.
pub(crate) use recursive::RawReentrantMutex as DataReentrantMutex;
/// What keeps the guards of a `RwLock` apart.
pub(crate) use rwlock::DataRwLock;

/// Lets time pass for a wait that nothing can end.
fn idle_until(deadline_ns: u64) {
    while ukplat::monotonic_ns() < deadline_ns {
        ukplat::idle_until(Some(deadline_ns));
    }
}

/// Waits until `condition`, which an interrupt handler makes true, or the deadline; returns the
/// condition. Handlers run in `idle_until` only, so that none comes between looking and waiting.
fn idle_while_not(deadline_ns: Option<u64>, mut condition: impl FnMut() -> bool) -> bool {
    loop {
        if condition() {
            return true;
        }
        if deadline_ns.is_some_and(|deadline| ukplat::monotonic_ns() >= deadline) {
            return false;
        }
        let _irq = ukplat::irq::disable();
        if condition() {
            return true;
        }
        ukplat::idle_until(deadline_ns);
    }
}

#[cold]
#[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
fn deadlock(what: &str) -> ! {
    panic!("deadlock: {what}, and there is no other thread that could change that");
}
