//! Threads and locks on one CPU.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use uklock::{Mutex, Semaphore};
use uksched::{Builder, JoinHandle, current, park, sleep_until, spawn, yield_now};

use crate::{Failed, report, time};

/// Stacks of sleepers: many, and they do little.
const SMALL_STACK: usize = uksched::MIN_STACK;

pub fn measure(rounds: u64) -> Result<(), Failed> {
    yields(rounds)?;
    tokens(rounds)?;
    semaphores(rounds)?;
    mutex(rounds * 10);
    create_and_join(rounds)?;
    wake_latency((rounds / 1000).clamp(20, 200));
    for sleepers in [10, 1000, 10_000] {
        beside_sleepers(rounds, sleepers)?;
    }
    Ok(())
}

/// Two threads make room for each other: one switch each time.
fn yields(rounds: u64) -> Result<(), Failed> {
    let other = spawn("other", move || (0..rounds).for_each(|_| yield_now()))?;
    time("yield", rounds * 2, || (0..rounds).for_each(|_| yield_now()));
    other.join()?;
    Ok(())
}

/// A thread that gives back each token it gets, until it is told to end.
fn echo() -> Result<(JoinHandle<()>, Arc<AtomicBool>), Failed> {
    let ends = Arc::new(AtomicBool::new(false));
    let (told, main) = (ends.clone(), current());
    let other = spawn("echo", move || {
        loop {
            park(None);
            if told.load(Relaxed) {
                return;
            }
            main.unpark();
        }
    })?;
    Ok((other, ends))
}

/// A token there, a token back; the deadline is never reached.
fn tokens_with(name: &str, rounds: u64, deadline_ns: Option<u64>) -> Result<(), Failed> {
    let (other, ends) = echo()?;
    time(name, rounds, || {
        for _ in 0..rounds {
            other.thread().unpark();
            park(deadline_ns);
        }
    });
    ends.store(true, Relaxed);
    other.thread().unpark();
    other.join()?;
    Ok(())
}

fn tokens(rounds: u64) -> Result<(), Failed> {
    tokens_with("token-there-and-back", rounds, None)
}

fn semaphores(rounds: u64) -> Result<(), Failed> {
    static THERE: Semaphore = Semaphore::new(0);
    static BACK: Semaphore = Semaphore::new(0);
    let other = spawn("other", move || {
        for _ in 0..rounds {
            THERE.acquire();
            BACK.release();
        }
    })?;
    time("semaphore-there-and-back", rounds, || {
        for _ in 0..rounds {
            THERE.release();
            BACK.acquire();
        }
    });
    other.join()?;
    Ok(())
}

fn mutex(rounds: u64) {
    static COUNT: Mutex<u64> = Mutex::new(0);
    time("mutex-uncontended", rounds, || {
        for _ in 0..rounds {
            *black_box(&COUNT).lock() += 1;
        }
    });
}

fn create_and_join(rounds: u64) -> Result<(), Failed> {
    let rounds = rounds / 5;
    let mut failed = None;
    time("create-and-join", rounds, || {
        for i in 0..rounds {
            match spawn("short", move || i).map(JoinHandle::join) {
                Ok(result) => drop(black_box(result)),
                Err(why) => failed = Some(why),
            }
        }
    });
    failed.map_or(Ok(()), |why| Err(why.into()))
}

/// How late a sleep ends when nothing else happens.
fn wake_latency(rounds: u64) {
    const SLEEP_NS: u64 = 100_000;
    let mut late: Vec<u64> = (0..rounds)
        .map(|_| {
            let deadline = ukplat::monotonic_ns() + SLEEP_NS;
            sleep_until(deadline);
            ukplat::monotonic_ns() - deadline
        })
        .collect();
    late.sort_unstable();
    report("wake-up-late-p50", late[late.len() / 2], 1);
    report("wake-up-late-p99", late[late.len() * 99 / 100], 1);
}

/// Waiting with a deadline while others wait with deadlines of their own.
fn beside_sleepers(rounds: u64, count: u64) -> Result<(), Failed> {
    let far = ukplat::monotonic_ns() + 3_600_000_000_000;
    let sleepers = (0..count)
        .map(|i| {
            let deadline = far + i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000_000_000;
            Builder::new("sleeper").stack_size(SMALL_STACK).spawn(move || park(Some(deadline)))
        })
        .collect::<Result<Vec<_>, _>>()?;
    // Let them begin.
    yield_now();
    let name = match count {
        10 => "deadline-beside-10",
        1000 => "deadline-beside-1000",
        _ => "deadline-beside-10000",
    };
    tokens_with(name, rounds, Some(far + 500_000_000_000))?;
    for sleeper in sleepers {
        sleeper.thread().unpark();
        sleeper.join()?;
    }
    Ok(())
}
