//! Each scheduler keeps to its CPUs and its rules.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use core::time::Duration;

use uksched::{Builder, SpawnError, instance_of, instances, sleep_until, spawn, yield_now};
use uktest::{Check, ensure};
use uktime::Instant;

pub const CHECKS: [Check; 6] = [
    ("the manifest's schedulers are there", as_written),
    ("threads stay with the scheduler they were made for", homes),
    ("what cannot be had is an error", refusals),
    ("preemption where it is wanted", preemption),
    ("none where it is not", cooperation),
    ("functions on the data plane run one after the other", completion),
];

const COOP: usize = 2;
const NO_THREAD: &str = "no thread";

fn as_written() -> Result<(), &'static str> {
    let list: Vec<_> = instances().iter().map(|i| (i.name(), i.cpus())).collect();
    let written = [("ukschedpreempt", 0b0011), ("ukschedcoop", 0b0100), ("none", 0b1000)];
    ensure(list == written, "they are others")?;
    let facts = |cpu| instance_of(cpu).map(|i| (i.is_preemptive(), i.runs_to_completion()));
    ensure(facts(1) == Some((true, false)) && facts(COOP) == Some((false, false)), "a rule")?;
    ensure(facts(3) == Some((false, true)) && facts(4).is_none(), "a rule of the data plane")
}

fn pause() {
    sleep_until(ukplat::monotonic_ns() + 300_000);
}

/// CPUs that a thread sees itself on.
fn seen() -> u64 {
    let mut seen = 0;
    for _ in 0..20 {
        seen |= 1 << ukplat::cpu_id();
        pause();
    }
    seen
}

fn homes() -> Result<(), &'static str> {
    let mut handles = Vec::new();
    for (index, instance) in instances().iter().enumerate() {
        for _ in 0..if instance.runs_to_completion() { 1 } else { 8 } {
            let builder = Builder::new("native").on_instance(instance);
            handles.push((index, builder.spawn(seen).map_err(|_| NO_THREAD)?));
        }
    }
    // Without a word a thread belongs to the scheduler of who makes it.
    for from in [0, COOP] {
        let maker = Builder::new("maker").on_cpu(from).spawn(|| spawn("child", seen));
        let child = maker.map_err(|_| NO_THREAD)?.join().map_err(|_| "it ended early")?;
        let index = usize::from(from == COOP);
        handles.push((index, child.map_err(|_| NO_THREAD)?));
    }
    // From the data plane it goes to the first scheduler.
    let maker = Builder::new("maker").on_cpu(3).spawn(|| spawn("child", seen));
    let child = maker.map_err(|_| NO_THREAD)?.join().map_err(|_| "it ended early")?;
    handles.push((0, child.map_err(|_| NO_THREAD)?));
    for (index, handle) in handles {
        let seen = handle.join().map_err(|_| "it ended early")?;
        ensure(seen & !instances()[index].cpus() == 0, "one was elsewhere")?;
    }
    Ok(())
}

fn refusals() -> Result<(), &'static str> {
    let error = |builder: Builder<'_>| builder.spawn(|| ()).err();
    let across = error(Builder::new("across").on_cpus(0b0101));
    ensure(across == Some(SpawnError::SeveralSchedulers), "CPUs of two schedulers")?;
    let beyond = error(Builder::new("beyond").on_cpus(1 << 40));
    ensure(beyond == Some(SpawnError::NoSuchCpu), "a CPU that is not used")?;
    ensure(error(Builder::new("none").on_cpus(0)) == Some(SpawnError::NoSuchCpu), "no CPU")?;
    let both = Builder::new("both").on_instance(&instances()[0]).on_cpu(COOP);
    ensure(error(both) == Some(SpawnError::SeveralSchedulers), "a CPU of another scheduler")
}

fn spin_for(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {}
}

/// Whether a thread on a CPU runs while another one spins there.
fn shares(cpu: usize) -> Result<bool, &'static str> {
    let over = Arc::new(AtomicBool::new(false));
    let spinning = Arc::new(AtomicBool::new(false));
    let (set, begun) = (over.clone(), spinning.clone());
    let spinner = Builder::new("spinner").on_cpu(cpu).spawn(move || {
        begun.store(true, SeqCst);
        spin_for(Duration::from_millis(200));
        set.store(true, SeqCst);
    });
    while !spinning.load(SeqCst) {
        yield_now();
    }
    let other = Builder::new("other").on_cpu(cpu).spawn(move || !over.load(SeqCst));
    let during = other.map_err(|_| NO_THREAD)?.join().map_err(|_| "it ended early")?;
    spinner.map_err(|_| NO_THREAD)?.join().map_err(|_| "it ended early")?;
    Ok(during)
}

fn preemption() -> Result<(), &'static str> {
    ensure(shares(1)?, "a thread had to wait for one that spins")
}

fn cooperation() -> Result<(), &'static str> {
    ensure(!shares(COOP)?, "a cooperative thread was interrupted by another one")?;
    ensure(!shares(3)?, "the data plane was interrupted")
}

fn completion() -> Result<(), &'static str> {
    let at = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..3usize)
        .map(|i| {
            let at = at.clone();
            Builder::new("packet").on_cpu(3).spawn(move || {
                let began = at.fetch_add(1, SeqCst);
                // Waits: nothing else begins meanwhile.
                pause();
                (began, at.fetch_add(1, SeqCst)) == (2 * i, 2 * i + 1)
            })
        })
        .collect::<Result<_, _>>()
        .map_err(|_| NO_THREAD)?;
    for handle in handles {
        ensure(handle.join() == Ok(true), "two were under way at the same time")?;
    }
    Ok(())
}
