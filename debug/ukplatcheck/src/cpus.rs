//! Checks of further CPUs. [`start_all`] comes first; everything else needs the CPUs running.

use core::hint::{black_box, spin_loop};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use ukplat::context::{Context, switch};
use ukplat::cpu::MAX_CPUS;
use ukplat::{CpuError, PerCpu, per_cpu, preempt};

use crate::{Slot, Stack, leaf};

/// Nanoseconds that anything may take: other programs may have the host's CPUs.
const PATIENCE: u64 = 20_000_000_000;
/// Increments by each CPU.
const ROUNDS: u64 = 20_000;

static STACKS: [Stack; MAX_CPUS] = [const { Stack::new() }; MAX_CPUS];
static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static GO: AtomicBool = AtomicBool::new(false);
static OWN: PerCpu<AtomicU64> = per_cpu!(AtomicU64::new(0));
static SHARED: AtomicU64 = AtomicU64::new(0);
static INTERRUPTS: PerCpu<AtomicU64> = per_cpu!(AtomicU64::new(0));
static TICKS: PerCpu<AtomicU64> = per_cpu!(AtomicU64::new(0));
/// What the CPUs do besides waiting; a `fn()` or 0.
static TASK: AtomicUsize = AtomicUsize::new(0);
static TASKS_DONE: AtomicUsize = AtomicUsize::new(0);

fn wait_for(condition: impl Fn() -> bool) -> Result<(), &'static str> {
    let limit = ukplat::monotonic_ns() + PATIENCE;
    while !condition() {
        if ukplat::monotonic_ns() > limit {
            return Err("it took too long");
        }
        spin_loop();
    }
    Ok(())
}

fn pause(ns: u64) {
    let until = ukplat::monotonic_ns() + ns;
    while ukplat::monotonic_ns() < until {
        spin_loop();
    }
}

extern "C" fn main_of_cpu(argument: usize) -> ! {
    if argument != ukplat::cpu_id() + 1000 {
        loop {
            ukplat::idle_until(None); // never arrives
        }
    }
    ukplat::irq::enable();
    ARRIVED.fetch_add(1, Release);
    let mut done = 0;
    loop {
        let guard = ukplat::irq::disable();
        while TASK.load(Acquire) == done {
            // With interrupts disabled none is lost between the look and the wait.
            ukplat::idle_until(None);
        }
        drop(guard);
        done = TASK.load(Acquire);
        // SAFETY: only `everywhere` stores here, and it takes a `fn()`.
        unsafe { core::mem::transmute::<usize, fn()>(done)() };
        TASKS_DONE.fetch_add(1, Release);
    }
}

/// Starts all further CPUs; returns how many CPUs run then.
///
/// # Errors
/// What is wrong.
pub fn start_all() -> Result<usize, &'static str> {
    ukplat::on_cpu_interrupt(|| {
        INTERRUPTS.get().fetch_add(1, Relaxed);
    });
    let count = ukplat::cpu_count();
    let start = |cpu: usize| {
        let top = STACKS.get(cpu).map_or(0, Stack::top);
        // SAFETY: each CPU gets a stack of its own; a refused start does not use it.
        unsafe { ukplat::cpu_start(cpu, top, main_of_cpu, cpu + 1000) }
    };
    for cpu in 1..count {
        start(cpu).map_err(|_| "a CPU did not start")?;
    }
    wait_for(|| ARRIVED.load(Acquire) == count - 1)?;
    if start(count) != Err(CpuError::NoSuchCpu) {
        return Err("there are more CPUs than the count says");
    }
    if count > 1 && (start(0), start(1)) != (Err(CpuError::Running), Err(CpuError::Running)) {
        return Err("a running CPU was started again");
    }
    Ok(count)
}

/// Runs `task` on all CPUs, the calling one included, and waits until it has ended everywhere.
///
/// # Errors
/// It took too long.
pub fn everywhere(task: fn()) -> Result<(), &'static str> {
    TASKS_DONE.store(0, Relaxed);
    TASK.store(task as usize, Release);
    let others = 1..ukplat::cpu_count();
    others.clone().for_each(ukplat::cpu_interrupt);
    task();
    wait_for(|| TASKS_DONE.load(Acquire) == others.len())
}

/// Each CPU increments a counter of its own and one that all share.
///
/// # Errors
/// What is wrong.
pub fn counters() -> Result<(), &'static str> {
    everywhere(|| {
        for _ in 0..ROUNDS {
            let own = OWN.get();
            own.store(own.load(Relaxed) + 1, Relaxed);
            SHARED.fetch_add(1, Relaxed);
        }
    })?;
    let count = ukplat::cpu_count();
    if OWN.iter().take(count).any(|own| own.load(Relaxed) != ROUNDS) {
        return Err("a CPU's own counter is wrong");
    }
    if SHARED.load(Relaxed) == ROUNDS * count as u64 { Ok(()) } else { Err("the sum is wrong") }
}

/// Interrupts of CPUs arrive where they were sent to, and nowhere else.
///
/// # Errors
/// What is wrong.
pub fn interrupts() -> Result<(), &'static str> {
    let seen = |cpu| INTERRUPTS.of(cpu).map_or(0, |count| count.load(Relaxed));
    // What was sent before arrives before, or with, what is sent now.
    for cpu in 1..ukplat::cpu_count() {
        let before = seen(cpu);
        ukplat::cpu_interrupt(cpu);
        wait_for(|| seen(cpu) > before)?;
    }
    pause(20_000_000);
    for cpu in 1..ukplat::cpu_count() {
        for _ in 0..20 {
            let before: [u64; MAX_CPUS] = core::array::from_fn(seen);
            ukplat::cpu_interrupt(cpu);
            wait_for(|| seen(cpu) > before[cpu])?;
            if (0..MAX_CPUS).any(|other| other != cpu && seen(other) != before[other]) {
                return Err("another CPU was interrupted");
            }
        }
    }
    Ok(())
}

/// An interrupt ends the wait of a CPU that waits for ever.
///
/// # Errors
/// What is wrong.
pub fn wake() -> Result<(), &'static str> {
    static WOKEN: AtomicUsize = AtomicUsize::new(0);
    WOKEN.store(0, Relaxed);
    GO.store(false, Relaxed);
    let others = 1..ukplat::cpu_count();
    TASKS_DONE.store(0, Relaxed);
    fn sleep() {
        let guard = ukplat::irq::disable();
        while !GO.load(Acquire) {
            ukplat::idle_until(None);
        }
        drop(guard);
        WOKEN.fetch_add(1, Release);
    }
    TASK.store(sleep as *const () as usize, Release);
    others.clone().for_each(ukplat::cpu_interrupt);
    pause(30_000_000);
    GO.store(true, Release);
    others.clone().for_each(ukplat::cpu_interrupt);
    wait_for(|| TASKS_DONE.load(Acquire) == others.len())?;
    if WOKEN.load(Acquire) == others.len() { Ok(()) } else { Err("not all woke") }
}

/// Every CPU has a timer of its own.
///
/// # Errors
/// What is wrong.
pub fn timers() -> Result<(), &'static str> {
    const PERIOD: u64 = 1_000_000;
    const ENOUGH: u64 = 10;
    ukplat::timer_on_expiry(|| {
        if TICKS.get().fetch_add(1, Relaxed) + 1 < ENOUGH {
            ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
        }
    });
    everywhere(|| {
        ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
        let ticks = TICKS.get();
        let limit = ukplat::monotonic_ns() + PATIENCE;
        while ticks.load(Relaxed) < ENOUGH && ukplat::monotonic_ns() < limit {
            ukplat::idle_until(Some(limit));
        }
    })?;
    let right = TICKS.iter().take(ukplat::cpu_count()).all(|t| t.load(Relaxed) == ENOUGH);
    if right { Ok(()) } else { Err("a CPU's timer did not fire as often as it was armed") }
}

/// The other CPUs answer when they are told to forget translations.
///
/// # Errors
/// Never; it would hang.
pub fn flush() -> Result<(), &'static str> {
    for _ in 0..50 {
        ukplat::tlb_flush_others(0x1000..0x5000);
        ukplat::tlb_flush_others(0..usize::MAX);
    }
    Ok(())
}

// Flows that never yield, preempted on every CPU and moved between them.

/// Flows for each CPU beyond its own.
const FLOWS: usize = 6;

static FLOW_SLOTS: [Slot; FLOWS] = [const { Slot::new() }; FLOWS];
static FLOW_STACKS: [Stack; FLOWS] = [const { Stack::new() }; FLOWS];
static HOMES: [Slot; MAX_CPUS] = [const { Slot::new() }; MAX_CPUS];
/// Bit n: flow n is suspended and nobody has taken it.
static READY: AtomicU64 = AtomicU64::new(0);
/// The flow that the CPU runs, plus one; 0 for the CPU's own.
static CURRENT: PerCpu<AtomicUsize> = per_cpu!(AtomicUsize::new(0));
/// The flow that the CPU has just left, plus one.
static LEFT: PerCpu<AtomicUsize> = per_cpu!(AtomicUsize::new(0));
static SEEN_CPUS: [AtomicU64; FLOWS] = [const { AtomicU64::new(0) }; FLOWS];
static WRONG: AtomicU64 = AtomicU64::new(0);
/// When the flows stop, in monotonic time.
static UNTIL: AtomicU64 = AtomicU64::new(0);

/// After a switch, on the new side: only now may other CPUs have the flow that was left.
fn arrive() {
    let left = LEFT.get().swap(0, Relaxed);
    if left != 0 {
        READY.fetch_or(1 << (left - 1), Release);
    }
}

fn is_over() -> bool {
    ukplat::monotonic_ns() >= UNTIL.load(Relaxed)
}

fn take_ready() -> Option<usize> {
    // Begin behind the own flow, so that all have their turn.
    let start = CURRENT.get().load(Relaxed) % FLOWS;
    let turn = (0..FLOWS).map(|i| (start + i) % FLOWS);
    turn.into_iter().find(|flow| READY.fetch_and(!(1 << flow), Acquire) & 1 << flow != 0)
}

fn reschedule() {
    let _guard = ukplat::irq::disable();
    let current = CURRENT.get().load(Relaxed);
    let home = HOMES[ukplat::cpu_id()].0.get();
    let from = if current == 0 { home } else { FLOW_SLOTS[current - 1].0.get() };
    let (to, next) = if is_over() {
        (home, 0)
    } else if let Some(flow) = take_ready() {
        (FLOW_SLOTS[flow].0.get(), flow + 1)
    } else {
        return;
    };
    if next == current {
        return;
    }
    CURRENT.get().store(next, Relaxed);
    LEFT.get().store(current, Relaxed);
    // SAFETY: the flow was taken by this CPU alone, or is the CPU's own; interrupts are disabled.
    unsafe { switch(from, *to) };
    arrive();
}

extern "C" fn roam(flow: usize) -> ! {
    arrive();
    ukplat::irq::enable();
    // SAFETY: `reschedule` switched here and was called with one guard.
    drop(unsafe { preempt::PreemptGuard::adopt() });
    loop {
        SEEN_CPUS[flow].fetch_or(1 << ukplat::cpu_id(), Relaxed);
        if leaf(black_box(flow as u64)) != leaf(black_box(flow as u64)) {
            WRONG.fetch_add(1, Relaxed);
        }
    }
}

/// Flows that never yield are preempted on all CPUs, move between them and stay intact.
///
/// # Errors
/// What is wrong.
pub fn roaming() -> Result<(), &'static str> {
    const PERIOD: u64 = 200_000;
    /// For each CPU: a host with few runs many one after the other.
    const TIME: u64 = 100_000_000;
    for (flow, (slot, stack)) in FLOW_SLOTS.iter().zip(&FLOW_STACKS).enumerate() {
        // SAFETY: nothing else uses slots and stacks yet.
        unsafe { *slot.0.get() = Context::new(stack.top(), roam, flow) };
    }
    READY.store((1 << FLOWS) - 1, Release);
    ukplat::timer_on_expiry(|| {
        preempt::request();
        if !is_over() || CURRENT.get().load(Relaxed) != 0 {
            ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
        }
    });
    preempt::on_request(reschedule);
    UNTIL.store(ukplat::monotonic_ns() + TIME * ukplat::cpu_count() as u64, Relaxed);
    everywhere(|| {
        ukplat::timer_arm(Some(ukplat::monotonic_ns() + PERIOD));
        // Once preempted, the CPU's own flow comes back when all is over.
        while !is_over() {
            spin_loop();
        }
    })?;
    ukplat::timer_arm(None);
    if WRONG.load(Relaxed) != 0 {
        return Err("a value changed");
    }
    let seen = || SEEN_CPUS.iter().map(|cpus| cpus.load(Relaxed));
    if seen().any(|cpus| cpus == 0) {
        return Err("a flow never ran");
    }
    if ukplat::cpu_count() > 1 && seen().all(|cpus| cpus.count_ones() < 2) {
        return Err("no flow moved");
    }
    Ok(())
}

/// Runs `task` on one CPU and never returns.
pub fn only_on(cpu: usize, task: fn()) -> ! {
    static TARGET: AtomicUsize = AtomicUsize::new(0);
    static ONLY: AtomicUsize = AtomicUsize::new(0);
    TARGET.store(cpu, Relaxed);
    ONLY.store(task as usize, Relaxed);
    let _ = everywhere(|| {
        if ukplat::cpu_id() == TARGET.load(Relaxed) {
            // SAFETY: `only_on` stored a `fn()`.
            unsafe { core::mem::transmute::<usize, fn()>(ONLY.load(Relaxed))() };
        }
    });
    loop {
        ukplat::idle_until(None);
    }
}

/// Reads where nothing is mapped.
#[inline(never)]
pub fn crash() {
    let address = black_box(core::ptr::without_provenance::<u8>(16));
    // SAFETY: none. The page at address 0 is not mapped: the access must fault.
    black_box(unsafe { address.read_volatile() });
}
