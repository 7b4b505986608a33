//! Workloads of two threads.

use std::sync::{Barrier, Mutex};
use std::time::Instant;

use super::{Done, OutOfMemory, Probe, Random, Slot, Step, free_all};
use crate::subject::Subject;

const THREADS: usize = 2;
/// Live blocks of each thread.
pub const LIVE: usize = 1000;
const STEPS: usize = 1 << 15;
/// How often the threads swap their blocks in a run.
const EPOCHS: usize = 4;
/// Writes to each block of the cache-scratch workload.
const WRITES: usize = 8;

pub fn larson_steps() -> Vec<Step> {
    let mut random = Random(3);
    (0..STEPS)
        .map(|_| Step { slot: random.below(LIVE) as u32, size: 10 + random.below(491) as u32 })
        .collect()
}

fn fill<S: Subject>(subject: &S, table: &mut [Slot], steps: &[Step]) -> Result<(), OutOfMemory> {
    for (slot, step) in table.iter_mut().zip(steps) {
        let size = step.size as usize;
        *slot = Slot { block: subject.malloc(size), size, align: 16 };
        if slot.block.is_null() {
            return Err(OutOfMemory);
        }
    }
    Ok(())
}

fn replace<S: Subject, P: Probe>(
    subject: &S,
    probe: &mut P,
    table: &mut [Slot],
    steps: impl Iterator<Item = Step>,
) -> Result<(), OutOfMemory> {
    for step in steps {
        let slot = &mut table[step.slot as usize];
        let size = step.size as usize;
        // SAFETY: a live block, replaced at once.
        probe.call(|| unsafe { subject.free(slot.block, slot.size, 16) });
        *slot = Slot { block: probe.call(|| subject.malloc(size)), size, align: 16 };
        if slot.block.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: a block of that size.
        unsafe { probe.fresh(slot.block, size) };
    }
    Ok(())
}

pub fn larson<S: Subject, P: Probe>(
    subject: &S,
    probe: &mut P,
    steps: &[Step],
    calls: usize,
) -> Result<Done, OutOfMemory> {
    let tables = [0; THREADS].map(|_| Mutex::new(vec![Slot::EMPTY; LIVE]));
    let barrier = Barrier::new(THREADS);
    let in_epoch = calls / THREADS / 2 / EPOCHS;
    let (tables, barrier) = (&tables, &barrier);
    let table = |index: usize| {
        tables[index % THREADS].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|id| {
                scope.spawn(move || {
                    let mut probe = P::default();
                    let own = steps.iter().cycle().skip(id * STEPS / THREADS);
                    let mut outcome = fill(subject, &mut table(id), &steps[id * LIVE..]);
                    barrier.wait();
                    let start = Instant::now();
                    for epoch in 0..EPOCHS {
                        // The barrier must be reached even when memory has run out.
                        if outcome.is_ok() {
                            let now = own.clone().skip(epoch * in_epoch).take(in_epoch).copied();
                            outcome = replace(subject, &mut probe, &mut table(id + epoch), now);
                        }
                        barrier.wait();
                    }
                    (outcome, start.elapsed(), probe)
                })
            })
            .collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let calls = in_epoch * EPOCHS * 2;
    let done = collect(results, probe, calls)?;
    for id in 0..THREADS {
        // SAFETY: the blocks of the tables are live.
        unsafe { free_all(subject, &mut table(id)) };
    }
    Ok(done)
}

type Outcome<P> = std::thread::Result<(Result<(), OutOfMemory>, std::time::Duration, P)>;

/// The slowest thread's time; the probes' findings together.
fn collect<P: Probe>(
    results: Vec<Outcome<P>>,
    probe: &mut P,
    calls: usize,
) -> Result<Done, OutOfMemory> {
    let mut ns = 0.0f64;
    for result in results {
        let (outcome, time, found) = result.map_err(|_| OutOfMemory)?;
        outcome?;
        ns = ns.max(time.as_nanos() as f64);
        probe.merge(found);
    }
    Ok(Done { calls, ns })
}

pub fn cache_scratch<S: Subject, P: Probe>(
    subject: &S,
    probe: &mut P,
    calls: usize,
) -> Result<Done, OutOfMemory> {
    const SIZE: usize = 8;
    let mut handed = [Slot::EMPTY; THREADS];
    for slot in &mut handed {
        *slot = Slot { block: subject.malloc(SIZE), size: SIZE, align: 16 };
        if slot.block.is_null() {
            return Err(OutOfMemory);
        }
    }
    let barrier = &Barrier::new(THREADS);
    let pairs = calls / THREADS / 2;
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = handed
            .into_iter()
            .map(|slot| {
                scope.spawn(move || {
                    let mut probe = P::default();
                    // The slot is moved whole: its pointer alone may not change threads.
                    let Slot { block, size, align } = { slot };
                    // SAFETY: a live block of the main thread.
                    unsafe { subject.free(block, size, align) };
                    barrier.wait();
                    let start = Instant::now();
                    for _ in 0..pairs {
                        let block = probe.call(|| subject.malloc(SIZE));
                        if block.is_null() {
                            return (Err(OutOfMemory), start.elapsed(), probe);
                        }
                        for value in 0..WRITES {
                            // SAFETY: inside the block.
                            unsafe { block.write_volatile(value as u8) };
                        }
                        // SAFETY: a live block.
                        probe.call(|| unsafe { subject.free(block, SIZE, 16) });
                    }
                    (Ok(()), start.elapsed(), probe)
                })
            })
            .collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    collect(results, probe, pairs * 2)
}
