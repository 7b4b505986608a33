//! Checks that interrupts leave the interrupted code alone, and that they can be kept away.

use alloc::boxed::Box;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use uktime::Instant;

use crate::Check;

pub const CHECKS: [Check; 3] = [
    ("interrupts keep registers and red zone intact", integrity),
    ("no interrupt comes while they are disabled", disabled),
    ("an expired timer ends idling", idling),
];

/// Period of the interrupts in nanoseconds.
const PERIOD: u64 = 100_000;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// A handler that does what compiled code does: it uses vector registers and the stack.
fn tick() {
    let count = COUNT.fetch_add(1, Relaxed);
    let mut noise = [count as f64 + 0.5; 16];
    for (i, x) in noise.iter_mut().enumerate() {
        *x = black_box(*x) * i as f64;
    }
    black_box(noise);
    ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
}

/// A leaf function: its locals live in vector registers and in the red zone below the stack
/// pointer, where an interrupt on the same stack would overwrite them.
#[inline(never)]
fn leaf(seed: u64) -> u64 {
    let mut words = [0u64; 12];
    let mut sum = 1.0f64;
    let mut x = seed | 1;
    for round in 0..200 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        words[round % 12] ^= x;
        sum = sum * 0.75 + (x >> 40) as f64;
    }
    words.iter().fold(sum.to_bits(), |a, b| a.rotate_left(9) ^ b)
}

fn integrity() -> Result<(), &'static str> {
    let expected: [u64; 8] = core::array::from_fn(|i| leaf(i as u64));
    COUNT.store(0, Relaxed);
    ukplat::timer_on_expiry(tick);
    ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut good = true;
    while COUNT.load(Relaxed) < 500 && Instant::now() < deadline {
        for (i, value) in expected.iter().enumerate() {
            good &= leaf(black_box(i as u64)) == *value;
        }
    }
    ukplat::timer_arm(None);
    match (good, COUNT.load(Relaxed)) {
        (false, _) => Err("a result changed"),
        (true, 500..) => Ok(()),
        (true, _) => Err("too few interrupts came"),
    }
}

fn disabled() -> Result<(), &'static str> {
    ukplat::timer_on_expiry(tick);
    COUNT.store(0, Relaxed);
    let guard = ukplat::irq::disable();
    ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
    let until = Instant::now() + Duration::from_millis(3);
    while Instant::now() < until {}
    let inside = COUNT.load(Relaxed);
    drop(guard);
    let until = Instant::now() + Duration::from_secs(5);
    while COUNT.load(Relaxed) == 0 && Instant::now() < until {}
    ukplat::timer_arm(None);
    match (inside, COUNT.load(Relaxed)) {
        (0, 1..) => Ok(()),
        (0, _) => Err("the interrupt was lost"),
        _ => Err("one came"),
    }
}

/// Does what `action` says in the timer's interrupt handler; returns when that comes back.
pub fn in_interrupt(action: fn()) {
    static DONE: AtomicU64 = AtomicU64::new(0);
    static ACTION: ukplat::StaticRef<fn()> = ukplat::StaticRef::new();
    fn once() {
        if let Some(action) = ACTION.get() {
            action();
        }
        DONE.store(1, Relaxed);
    }
    ACTION.set(Box::leak(Box::new(action)));
    ukplat::timer_on_expiry(once);
    ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
    let guard = ukplat::irq::disable();
    while DONE.load(Relaxed) == 0 {
        ukplat::idle_until(None);
    }
    drop(guard);
}

fn idling() -> Result<(), &'static str> {
    fn once() {
        COUNT.fetch_add(1, Relaxed);
    }
    ukplat::timer_on_expiry(once);
    COUNT.store(0, Relaxed);
    let start = Instant::now();
    ukplat::timer_arm(Some(ukplat::monotonic_ns() + 5_000_000));
    // Far beyond the timer: only its interrupt can end the wait in time.
    let limit = start + Duration::from_secs(20);
    // Disabled, so that the interrupt does not come between looking and waiting.
    let guard = ukplat::irq::disable();
    while COUNT.load(Relaxed) == 0 && Instant::now() < limit {
        ukplat::idle_until(Some(limit.as_nanos()));
    }
    drop(guard);
    if COUNT.load(Relaxed) == 1 && start.elapsed() < Duration::from_secs(10) {
        Ok(())
    } else {
        Err("slept through it")
    }
}
