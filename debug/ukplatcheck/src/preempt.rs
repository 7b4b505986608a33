//! Flows of control that never yield share a CPU by preemption.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use ukplat::context::{Context, switch};
use ukplat::preempt;

use crate::{Slot, Stack, leaf};

/// Time between preemptions in nanoseconds.
const PERIOD: u64 = 200_000;
/// Preemptions to see.
const ENOUGH: u64 = 1_500;
/// The flows: the caller and two more.
const FLOWS: usize = 3;

static SLOTS: [Slot; FLOWS] = [const { Slot::new() }; FLOWS];
static STACKS: [Stack; FLOWS - 1] = [const { Stack::new() }; FLOWS - 1];
static RUNNING: AtomicUsize = AtomicUsize::new(0);
static PREEMPTIONS: AtomicU64 = AtomicU64::new(0);
static TICKS: AtomicU64 = AtomicU64::new(0);
static PROGRESS: [AtomicU64; FLOWS] = [const { AtomicU64::new(0) }; FLOWS];
static WRONG: AtomicU64 = AtomicU64::new(0);

fn tick() {
    TICKS.fetch_add(1, Relaxed);
    preempt::request();
    ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
}

/// The simplest scheduler: everybody in turn.
fn next() {
    PREEMPTIONS.fetch_add(1, Relaxed);
    let from = RUNNING.load(Relaxed);
    let to = (from + 1) % FLOWS;
    let _guard = ukplat::irq::disable();
    RUNNING.store(to, Relaxed);
    // SAFETY: all flows but the running one are suspended or new, and interrupts are disabled.
    unsafe { switch(SLOTS[from].0.get(), *SLOTS[to].0.get()) };
}

extern "C" fn spin(me: usize) -> ! {
    ukplat::irq::enable();
    // SAFETY: `next` switched here and was called with one guard.
    drop(unsafe { preempt::PreemptGuard::adopt() });
    loop {
        work(me);
    }
}

fn work(me: usize) {
    let (seed, before) = (black_box(me as u64), PROGRESS[me].load(Relaxed));
    if leaf(seed) != leaf(seed) || leaf(black_box(5)) != leaf(black_box(5)) {
        WRONG.fetch_add(1, Relaxed);
    }
    PROGRESS[me].store(before + 1, Relaxed);
}

fn start() {
    ukplat::timer_on_expiry(tick);
    PREEMPTIONS.store(0, Relaxed);
    RUNNING.store(0, Relaxed);
    for (flow, (slot, stack)) in SLOTS[1..].iter().zip(&STACKS).enumerate() {
        // SAFETY: nothing uses the stacks now; earlier flows on them are suspended for ever.
        unsafe { *slot.0.get() = Context::new(stack.top(), spin, flow + 1) };
    }
    preempt::on_request(next);
    ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
}

/// Three flows spin without ever yielding, and are preempted thousands of times.
///
/// # Errors
/// What is wrong.
pub fn preemption() -> Result<(), &'static str> {
    start();
    let limit = ukplat::monotonic_ns() + 20_000_000_000;
    while PREEMPTIONS.load(Relaxed) < ENOUGH && ukplat::monotonic_ns() < limit {
        work(0);
    }
    ukplat::timer_arm(None);
    if WRONG.load(Relaxed) != 0 {
        return Err("a value changed");
    }
    if PROGRESS.iter().any(|p| p.load(Relaxed) < 10) {
        return Err("a flow made no progress");
    }
    if PREEMPTIONS.load(Relaxed) < ENOUGH { Err("too few preemptions") } else { Ok(()) }
}

/// Guards, and disabled interrupts, put preemption off until they are dropped.
///
/// # Errors
/// What is wrong.
pub fn guards() -> Result<(), &'static str> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    preempt::on_request(|| {
        CALLS.fetch_add(1, Relaxed);
    });
    ukplat::timer_on_expiry(tick);
    TICKS.store(0, Relaxed);
    let outer = preempt::disable();
    let inner = preempt::disable();
    // Not before: on a slow machine the first tick comes at once.
    ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
    let limit = ukplat::monotonic_ns() + 20_000_000_000;
    while TICKS.load(Relaxed) < 3 && ukplat::monotonic_ns() < limit {}
    ukplat::timer_arm(None);
    drop(inner);
    if CALLS.load(Relaxed) != 0 {
        return Err("the hook was called under a guard");
    }
    let interrupts = ukplat::irq::disable();
    drop(outer);
    if CALLS.load(Relaxed) != 0 {
        return Err("the hook was called with interrupts disabled");
    }
    drop(interrupts);
    if CALLS.load(Relaxed) != 1 {
        return Err("the hook was not called once when interrupts were enabled");
    }
    drop(preempt::disable());
    if CALLS.load(Relaxed) == 1 { Ok(()) } else { Err("the hook was called without a request") }
}
