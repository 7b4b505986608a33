//! Checks of preemptive schedulers.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use core::time::Duration;

use uksched::{Builder, current, park, sleep_until, spawn};
use uktest::{Check, ensure};
use uktime::Instant;

pub const CHECKS: [Check; 5] = [
    ("threads that never yield share the CPU", sharing),
    ("a higher priority runs as soon as it wakes", latency),
    ("registers survive preemption", registers),
    ("so do those of AVX", vector_registers),
    ("preemption can be kept away", guarded),
];

/// Spins until told to stop; returns how often.
fn spin(stop: &AtomicBool) -> u64 {
    let mut rounds = 0;
    while !stop.load(SeqCst) {
        rounds += 1;
    }
    rounds
}

fn sharing() -> Result<(), &'static str> {
    let stop = Arc::new(AtomicBool::new(false));
    let spinners: Vec<_> = (0..3)
        .map(|_| {
            let stop = stop.clone();
            spawn("spinner", move || spin(&stop))
        })
        .collect::<Result<_, _>>()
        .map_err(|_| "no thread")?;
    let end = Instant::now() + Duration::from_millis(400);
    while Instant::now() < end {}
    stop.store(true, SeqCst);
    let preempted = current().stats().preemptions;
    let rounds: Vec<u64> = spinners.into_iter().filter_map(|s| s.join().ok()).collect();
    ensure(rounds.len() == 3 && rounds.iter().all(|r| *r > 0), "one never ran")?;
    ensure(preempted > 0 || uksched::cpus() > 1, "main was never preempted")
}

fn latency() -> Result<(), &'static str> {
    let (stop, woken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let low = {
        let stop = stop.clone();
        Builder::new("low").priority(1).spawn(move || spin(&stop)).map_err(|_| "no thread")?
    };
    let high = {
        let woken = woken.clone();
        let high = Builder::new("high").priority(30).spawn(move || {
            for _ in 0..20 {
                let deadline = ukplat::monotonic_ns() + 2_000_000;
                sleep_until(deadline);
                woken.fetch_max(ukplat::monotonic_ns() - deadline, SeqCst);
            }
        });
        high.map_err(|_| "no thread")?
    };
    // Woken by a thread of lower priority: it runs before that goes on.
    let order = Arc::new(AtomicU64::new(0));
    let next = {
        let order = order.clone();
        let next = Builder::new("next").priority(30).spawn(move || {
            park(None);
            order.fetch_add(1, SeqCst)
        });
        next.map_err(|_| "no thread")?
    };
    sleep_until(ukplat::monotonic_ns() + 2_000_000);
    next.thread().unpark();
    let mine = order.fetch_add(1, SeqCst);
    let theirs = next.join().map_err(|_| "it ended early")?;
    high.join().map_err(|_| "it ended early")?;
    stop.store(true, SeqCst);
    low.join().map_err(|_| "it ended early")?;
    ukplat::println!("        longest wake-up {} us", woken.load(SeqCst) / 1000);
    ensure(theirs < mine || uksched::cpus() > 1, "it had to wait for a lower priority")?;
    // Generous: other programs may have the CPU.
    ensure(woken.load(SeqCst) < 1_000_000_000, "it woke far too late")
}

/// A leaf function whose state is in vector registers and below the stack pointer.
#[inline(never)]
fn leaf(seed: u64) -> u64 {
    let mut words = [0u64; 12];
    let (mut sum, mut x) = (1.0f64, seed | 1);
    for round in 0..2_000 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        words[round % 12] ^= x;
        sum = sum * 0.75 + (x >> 40) as f64;
    }
    words.iter().fold(sum.to_bits(), |a, b| a.rotate_left(9) ^ b)
}

fn registers() -> Result<(), &'static str> {
    preempted(|seed| {
        let expected = leaf(seed);
        move || leaf(black_box(seed)) == expected
    })
}

fn vector_registers() -> Result<(), &'static str> {
    if !ukplatcheck::has_avx() {
        ukplat::println!("        there is no AVX");
        return Ok(());
    }
    ukplat::println!("        there is AVX");
    preempted(|seed| move || ukplatcheck::upper_halves(seed, 50_000).is_ok())
}

/// Threads that work without ever yielding, each with work of its own, until they were preempted
/// often enough to tell whether the work suffers.
fn preempted<W: FnMut() -> bool>(
    work: impl Fn(u64) -> W + Copy + Send + 'static,
) -> Result<(), &'static str> {
    let handles: Vec<_> = (0..4u64)
        .map(|seed| {
            spawn("worker", move || {
                let mut work = work(seed);
                // Long enough for some preemptions, however busy the machine is otherwise.
                let (soon, end) = (Duration::from_millis(300), Duration::from_secs(10));
                let (start, mut good) = (Instant::now(), true);
                loop {
                    good &= work();
                    let (time, count) = (start.elapsed(), current().stats().preemptions);
                    if time > end || (time > soon && (count >= 5 || uksched::cpus() > 1)) {
                        return (good, count);
                    }
                }
            })
        })
        .collect::<Result<_, _>>()
        .map_err(|_| "no thread")?;
    let mut preemptions = 0;
    for handle in handles {
        let (good, count) = handle.join().map_err(|_| "it ended early")?;
        ensure(good, "a result changed")?;
        preemptions += count;
    }
    ensure(preemptions >= 10 || uksched::cpus() > 1, "too few preemptions to tell")
}

fn guarded() -> Result<(), &'static str> {
    let seen = Arc::new(AtomicBool::new(false));
    let other = {
        let seen = seen.clone();
        let other = Builder::new("other").priority(30).on_cpu(0).spawn(move || {
            park(None);
            seen.store(true, SeqCst);
        });
        other.map_err(|_| "no thread")?
    };
    sleep_until(ukplat::monotonic_ns() + 2_000_000);
    let guard = ukplat::preempt::disable();
    other.thread().unpark();
    let end = Instant::now() + Duration::from_millis(30);
    while Instant::now() < end {}
    let inside = seen.load(SeqCst);
    drop(guard);
    other.join().map_err(|_| "it ended early")?;
    ensure(!inside || uksched::cpus() > 1, "it ran all the same")
}
