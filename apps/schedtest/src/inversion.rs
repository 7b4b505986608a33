//! Priority inversion: an urgent thread waits for a mutex whose owner has no chance to run.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use core::time::Duration;

use uklock::{Mutex, Semaphore};
use ukplat::println;
use uksched::{Builder, JoinHandle, SpawnError, current};
use uktime::Instant;

const LOW: u8 = 3;
const BETWEEN: u8 = 5;
const MEDIUM: u8 = 10;
const HIGH: u8 = 25;

fn spin_for(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {}
}

/// A thread of a priority on the first CPU.
fn thread<T: Send + 'static>(
    priority: u8,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, SpawnError> {
    Builder::new("thread").on_cpu(0).priority(priority).spawn(work)
}

/// Holds a mutex for some time; returns the priority afterwards.
fn owner(mutex: Arc<Mutex<()>>, held: Arc<Semaphore>) -> Result<JoinHandle<u8>, SpawnError> {
    thread(LOW, move || {
        let guard = mutex.lock();
        held.release();
        spin_for(Duration::from_millis(20));
        drop(guard);
        current().priority()
    })
}

/// Whether `wanted` became free for an urgent thread only when one of medium priority, which needs no
/// mutex, had ended.
fn inverted(wanted: Arc<Mutex<()>>) -> Result<JoinHandle<bool>, SpawnError> {
    let over = Arc::new(AtomicBool::new(false));
    let set = over.clone();
    let high = thread(HIGH, move || {
        let _guard = wanted.lock();
        over.load(SeqCst)
    })?;
    thread(MEDIUM, move || {
        spin_for(Duration::from_millis(100));
        set.store(true, SeqCst);
    })?;
    Ok(high)
}

fn direct() -> Result<(bool, u8), SpawnError> {
    let (mutex, held) = (Arc::new(Mutex::new(())), Arc::new(Semaphore::new(0)));
    let low = owner(mutex.clone(), held.clone())?;
    held.acquire();
    let high = inverted(mutex)?;
    Ok((high.join() == Ok(true), low.join().unwrap_or(0)))
}

/// The same through a thread that holds one mutex and waits for another.
fn chain() -> Result<(bool, u8), SpawnError> {
    let (first, second) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
    let held = Arc::new(Semaphore::new(0));
    let low = owner(first.clone(), held.clone())?;
    held.acquire();
    let (wanted, again) = (second.clone(), held.clone());
    let between = thread(BETWEEN, move || {
        let _second = second.lock();
        again.release();
        drop(first.lock());
    })?;
    held.acquire();
    // It goes on to wait for the first.
    uksched::sleep_until(ukplat::monotonic_ns() + 1_000_000);
    let high = inverted(wanted)?;
    let outcome = (high.join() == Ok(true), low.join().unwrap_or(0));
    let _ = between.join();
    Ok(outcome)
}

/// Tells whom the urgent thread had to wait for.
pub fn report() -> u8 {
    for (case, outcome) in [("owner", direct()), ("chain", chain())] {
        let Ok((inverted, priority)) = outcome else { return 1 };
        let who = if inverted { "a less urgent thread" } else { "the owner alone" };
        println!("{}: waited for {}; the owner has priority {} again", case, who, priority);
    }
    0
}
