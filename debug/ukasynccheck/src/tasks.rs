//! Checks of tasks that only know each other.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use ukasync::{Executor, SpawnError, sleep, spawn, yield_now};
use uktest::{Check, ensure};

pub const CHECKS: [Check; 5] = [
    ("tasks take turns in the order in which they became ready", turns),
    ("sleeps end in the order of their deadlines, none early", sleeps),
    ("10 000 tasks sleep at once", many),
    ("100 000 tasks come and go without leaving memory behind", churn),
    ("without memory there is no task, and everything goes on", no_memory),
];

pub static EXECUTOR: Executor = Executor::new();

fn turns() -> Result<(), &'static str> {
    let order = Rc::new(RefCell::new(Vec::new()));
    EXECUTOR.run(async {
        let mut handles = Vec::new();
        for i in 0..3 {
            let order = order.clone();
            handles.push(spawn(async move {
                for round in 0..3 {
                    order.borrow_mut().push((round, i));
                    yield_now().await;
                }
            }));
        }
        for handle in handles {
            handle.map_err(|_| "a task was not made")?.await;
        }
        Ok::<_, &'static str>(())
    })?;
    let expected = (0..3).flat_map(|round| (0..3).map(move |i| (round, i)));
    ensure(expected.eq(order.take()), "the order is another")
}

fn sleeps() -> Result<(), &'static str> {
    EXECUTOR.run(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let mut handles = Vec::new();
        for ms in [30, 10, 20, 0] {
            let order = order.clone();
            handles.push(spawn(async move {
                let before = ukplat::monotonic_ns();
                sleep(Duration::from_millis(ms)).await;
                order.borrow_mut().push(ms);
                ukplat::monotonic_ns() - before >= ms * 1_000_000
            }));
        }
        for handle in handles {
            let in_time = handle.map_err(|_| "a task was not made")?.await;
            ensure(in_time, "a sleep ended early")?;
        }
        ensure(order.take() == [0, 10, 20, 30], "the order is another")
    })
}

fn many() -> Result<(), &'static str> {
    EXECUTOR.run(async {
        let done = Rc::new(Cell::new(0));
        for i in 0..10_000u64 {
            let done = done.clone();
            let time = Duration::from_micros(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 49);
            let task = spawn(async move {
                sleep(time).await;
                done.set(done.get() + 1);
            });
            task.map_err(|_| "a task was not made")?.detach();
        }
        let limit = ukplat::monotonic_ns() + 60_000_000_000;
        while done.get() < 10_000 {
            ensure(ukplat::monotonic_ns() < limit, "some do not wake")?;
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    })
}

fn churn() -> Result<(), &'static str> {
    let round = || {
        EXECUTOR.run(async {
            for i in 0..1000u32 {
                let task = spawn(async move {
                    yield_now().await;
                    i
                });
                let result = task.map_err(|_| "a task was not made")?.await;
                ensure(result == i, "the result is another's")?;
            }
            Ok::<_, &'static str>(())
        })
    };
    round()?;
    let before = used();
    for _ in 1..100 {
        round()?;
    }
    ensure(used() == before, "memory is missing")
}

/// Bytes of the heap that are in use.
fn used() -> usize {
    ukalloc::default_heap().map_or(0, |heap| heap.alloc.stats().current_bytes)
}

fn no_memory() -> Result<(), &'static str> {
    EXECUTOR.run(async {
        // Too large for whatever machine runs this, in a future that is never polled.
        let huge = spawn(async {
            let large = [0u8; 1 << 40];
            yield_now().await;
            large.len()
        });
        ensure(matches!(huge, Err(SpawnError::NoMemory)), "there was memory")?;
        ensure(spawn(async {}).is_ok(), "nothing goes on")
    })
}

/// Waits with 20 sleeping tasks.
pub fn idle(time: Duration) -> u8 {
    EXECUTOR.run(async {
        for _ in 0..20 {
            if let Ok(task) = spawn(sleep(Duration::from_secs(3600))) {
                task.detach();
            }
        }
        sleep(time).await;
    });
    0
}
