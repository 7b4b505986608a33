//! The end of the image while threads wait.

use alloc::sync::Arc;

use uklock::{Mutex, Semaphore};
use uksched::{Builder, JoinHandle, current, park, sleep_until, spawn};

/// Threads that wait for ever: for a token, a mutex that is never released, a permit, and an hour.
fn blocked() -> Option<[JoinHandle<()>; 4]> {
    let (mutex, permits) = (Arc::new(Mutex::new(())), Arc::new(Semaphore::new(0)));
    core::mem::forget(mutex.lock());
    let until = ukplat::monotonic_ns() + 3_600_000_000_000;
    let handles = [
        spawn("parked", || while park(None) != uksched::Wakeup::TimedOut {}).ok()?,
        spawn("locked", move || drop(mutex.lock())).ok()?,
        spawn("without permit", move || permits.acquire()).ok()?,
        spawn("sleeping", move || sleep_until(until)).ok()?,
    ];
    // They have begun to wait.
    sleep_until(ukplat::monotonic_ns() + 5_000_000);
    Some(handles)
}

/// `main` returns while they wait; or a thread ends the image while `main` waits for them too.
pub fn with_blocked(by_thread: bool) -> u8 {
    let Some(handles) = blocked() else { return 1 };
    if !by_thread {
        return 5;
    }
    let main = current();
    let last = uksched::cpus() - 1;
    let ender = Builder::new("ender").on_cpu(last).spawn(move || {
        main.unpark();
        ukboot::exit(6)
    });
    let [parked, ..] = handles;
    // Neither ends.
    if ender.is_ok() {
        let _ = parked.join();
    }
    1
}
