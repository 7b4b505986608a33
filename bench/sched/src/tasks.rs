//! The same with tasks of tokio, on one thread.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{LocalSet, spawn_local, yield_now};

use crate::posix::report;

/// Measures.
///
/// # Errors
/// A message.
pub fn measure(rounds: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|e| format!("tokio does not start: {e}"))?;
    let gave_up = |e: tokio::task::JoinError| format!("a task gave up: {e}");
    LocalSet::new().block_on(&runtime, async {
        let other = spawn_local(async move {
            for _ in 0..rounds {
                yield_now().await;
            }
        });
        let start = Instant::now();
        for _ in 0..rounds {
            yield_now().await;
        }
        report("task-yield", start.elapsed(), rounds * 2);
        other.await.map_err(gave_up)?;

        let start = Instant::now();
        for i in 0..rounds {
            spawn_local(async move { i }).await.map_err(gave_up)?;
        }
        report("task-spawn-and-join", start.elapsed(), rounds);

        const COUNT: u64 = 10_000;
        const SLEEP: Duration = Duration::from_millis(1);
        let done = Rc::new(Cell::new(0));
        let start = Instant::now();
        let tasks: Vec<_> = (0..COUNT)
            .map(|_| {
                let done = done.clone();
                spawn_local(async move {
                    tokio::time::sleep(SLEEP).await;
                    done.set(done.get() + 1);
                })
            })
            .collect();
        for task in tasks {
            task.await.map_err(gave_up)?;
        }
        report("task-sleeps-once", start.elapsed().saturating_sub(SLEEP), COUNT);
        Ok(())
    })
}
