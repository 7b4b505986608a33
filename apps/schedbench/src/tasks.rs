//! Tasks without stacks, on one CPU.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;

use ukasync::{Executor, sleep, spawn, yield_now};

use crate::{Failed, report};

pub fn measure(rounds: u64) -> Result<(), Failed> {
    static EXECUTOR: Executor = Executor::new();
    EXECUTOR.run(async {
        yields(rounds).await?;
        spawn_and_join(rounds).await?;
        many_sleep(10_000).await
    })
}

async fn yields(rounds: u64) -> Result<(), Failed> {
    let other = spawn(async move {
        for _ in 0..rounds {
            yield_now().await;
        }
    })?;
    let start = ukplat::monotonic_ns();
    for _ in 0..rounds {
        yield_now().await;
    }
    report("task-yield", ukplat::monotonic_ns() - start, rounds * 2);
    other.await;
    Ok(())
}

async fn spawn_and_join(rounds: u64) -> Result<(), Failed> {
    let start = ukplat::monotonic_ns();
    for i in 0..rounds {
        spawn(async move { i })?.await;
    }
    report("task-spawn-and-join", ukplat::monotonic_ns() - start, rounds);
    Ok(())
}

/// Making that many tasks, each of which sleeps once, until all have ended; the sleep itself, which
/// is the same for all, is not counted.
async fn many_sleep(count: u64) -> Result<(), Failed> {
    const SLEEP: Duration = Duration::from_millis(1);
    let done = Rc::new(Cell::new(0));
    let start = ukplat::monotonic_ns();
    let mut tasks = Vec::new();
    for _ in 0..count {
        let done = done.clone();
        tasks.push(spawn(async move {
            sleep(SLEEP).await;
            done.set(done.get() + 1);
        })?);
    }
    for task in tasks {
        task.await;
    }
    let took = ukplat::monotonic_ns() - start;
    report("task-sleeps-once", took.saturating_sub(SLEEP.as_nanos() as u64), count);
    Ok(())
}
