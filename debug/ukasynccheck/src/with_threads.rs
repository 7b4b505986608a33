//! Checks of tasks and threads together: on one CPU or several, as the image has.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::time::Duration;

use ukasync::{Event, Executor, sleep, yield_now};
use uktest::{Check, ensure};

use crate::tasks::EXECUTOR;

pub const CHECKS: [Check; 2] = [
    ("threads wake tasks, and tasks threads", ping_pong),
    ("two threads with an executor each give each other tasks", two_executors),
];

const ROUNDS: usize = 2000;

fn ping_pong() -> Result<(), &'static str> {
    static THERE: Event = Event::new();
    let main = uksched::current();
    let partner = uksched::spawn("partner", move || {
        for _ in 0..ROUNDS {
            uksched::park(None);
            THERE.set();
        }
    });
    let partner = partner.map_err(|_| "a thread was not made")?;
    ensure(partner.thread() != main, "the thread is the caller")?;
    EXECUTOR.run(async {
        for _ in 0..ROUNDS {
            partner.thread().unpark();
            THERE.wait().await;
        }
    });
    partner.join().map_err(|_| "the thread gave up")
}

fn two_executors() -> Result<(), &'static str> {
    static OTHER: Executor = Executor::new();
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    static ENOUGH: Event = Event::new();
    let other = uksched::spawn("other", || OTHER.run(ENOUGH.wait()));
    let other = other.map_err(|_| "a thread was not made")?;
    EXECUTOR.run(async {
        for _ in 0..ROUNDS {
            let there = || async {
                yield_now().await;
                let back = || async {
                    GIVEN.fetch_add(1, Relaxed);
                };
                if EXECUTOR.spawn(back).is_err() {
                    ENOUGH.set();
                }
            };
            OTHER.spawn(there).map_err(|_| "a task was not made")?;
        }
        let limit = ukplat::monotonic_ns() + 60_000_000_000;
        while GIVEN.load(Relaxed) < ROUNDS {
            ensure(ukplat::monotonic_ns() < limit, "tasks got lost")?;
            sleep(Duration::from_micros(50)).await;
        }
        Ok(())
    })?;
    ENOUGH.set();
    other.join().map_err(|_| "the thread gave up")
}
