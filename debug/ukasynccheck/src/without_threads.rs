//! Checks of tasks and what wakes them where there are no threads: interrupts and other CPUs.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use core::time::Duration;

use ukasync::{Event, Executor, sleep, timeout};
use ukplat::{PerCpu, per_cpu};
use ukplatcheck::cpus;
use uktest::{Check, ensure};

use crate::tasks::EXECUTOR;

pub const CHECKS: [Check; 2] = [
    ("interrupt handlers wake tasks", interrupts),
    ("CPUs run an executor each and wake each other's tasks", ring),
];

fn interrupts() -> Result<(), &'static str> {
    static TICK: Event = Event::new();
    ukplat::timer_on_expiry(|| TICK.set());
    EXECUTOR.run(async {
        for _ in 0..20 {
            ukplat::timer_arm(Some(ukplat::monotonic_ns() + 1_000_000));
            let came = timeout(Duration::from_secs(20), TICK.wait()).await;
            came.map_err(|_| "the task was not woken")?;
        }
        Ok(())
    })
}

static EXECUTORS: PerCpu<Executor> = per_cpu!(Executor::new());
static BALL: PerCpu<Event> = per_cpu!(Event::new());
static PASSES: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicBool = AtomicBool::new(false);
const ROUNDS: usize = 500;

/// A ball goes round all CPUs.
fn ring() -> Result<(), &'static str> {
    let count = cpus::start_all()?;
    cpus::everywhere(|| {
        let own = ukplat::cpu_id();
        let next = (own + 1) % ukplat::cpu_count();
        EXECUTORS.get().run(async {
            if own == 0 {
                BALL.of(0).map(Event::set);
            }
            for _ in 0..ROUNDS {
                if timeout(Duration::from_secs(60), BALL.get().wait()).await.is_err() {
                    LOST.store(true, Relaxed);
                }
                PASSES.fetch_add(1, Relaxed);
                BALL.of(next).map(Event::set);
            }
            sleep(Duration::from_millis(1)).await;
        });
    })?;
    ensure(!LOST.load(Relaxed), "a task was not woken")?;
    ensure(PASSES.load(Relaxed) == count * ROUNDS, "somebody passed too often")
}
