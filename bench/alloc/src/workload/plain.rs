//! Workloads of one thread.

use std::hint::black_box;
use std::time::Instant;

use super::{Done, Order, OutOfMemory, Probe, Random, Slot, Step, free_all};
use crate::subject::Subject;
use crate::trace::{Op, Trace};

/// Blocks of a batch.
pub const BATCH: usize = 1000;
/// Live blocks of the mixed workload.
pub const LIVE: usize = 10_000;
/// Steps made up beforehand; longer runs use them again.
const STEPS: usize = 1 << 16;

fn done(calls: usize, start: Instant) -> Done {
    Done { calls, ns: start.elapsed().as_nanos() as f64 }
}

pub fn ping_pong<S: Subject, P: Probe>(
    subject: &S,
    probe: &mut P,
    size: usize,
    calls: usize,
) -> Result<Done, OutOfMemory> {
    let size = black_box(size);
    let start = Instant::now();
    for _ in 0..calls / 2 {
        let block = probe.call(|| subject.malloc(size));
        if block.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: a block of its own of that size, freed once.
        unsafe {
            probe.fresh(block, size);
            probe.call(|| subject.free(block, size, 16));
        }
    }
    Ok(done(calls / 2 * 2, start))
}

/// The order in which the blocks of a batch are freed.
pub fn batch_steps(size: usize, order: Order) -> Vec<Step> {
    let mut steps: Vec<Step> =
        (0..BATCH as u32).map(|slot| Step { slot, size: size as u32 }).collect();
    match order {
        Order::Fifo => {}
        Order::Lifo => steps.reverse(),
        Order::Random => {
            let mut random = Random(1);
            for i in (1..steps.len()).rev() {
                steps.swap(i, random.below(i + 1));
            }
        }
    }
    steps
}

pub fn batch<S: Subject, P: Probe>(
    subject: &S,
    probe: &mut P,
    steps: &[Step],
    calls: usize,
) -> Result<Done, OutOfMemory> {
    let size = black_box(steps.first().map_or(0, |step| step.size as usize));
    let mut blocks = [core::ptr::null_mut::<u8>(); BATCH];
    let batches = (calls / (2 * BATCH)).max(1);
    let start = Instant::now();
    for _ in 0..batches {
        for slot in &mut blocks {
            *slot = probe.call(|| subject.malloc(size));
            if slot.is_null() {
                return Err(OutOfMemory);
            }
            // SAFETY: a block of that size.
            unsafe { probe.fresh(*slot, size) };
        }
        for step in steps {
            let block = blocks[step.slot as usize % BATCH];
            // SAFETY: each block of the batch is freed once: the steps are a permutation.
            probe.call(|| unsafe { subject.free(block, size, 16) });
        }
    }
    Ok(done(batches * 2 * BATCH, start))
}

/// Which block is replaced by one of what size. The chance of a size above `s` is like `1 / s`.
pub fn mixed_steps() -> Vec<Step> {
    const SMALLEST: f64 = 8.0;
    const LARGEST: f64 = 65_536.0;
    let mut random = Random(2);
    (0..STEPS)
        .map(|_| {
            let uniform = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
            let size = SMALLEST / (1.0 - uniform * (1.0 - SMALLEST / LARGEST));
            Step { slot: random.below(LIVE) as u32, size: size as u32 }
        })
        .collect()
}

/// Sizes of the first blocks, then of those that replace them.
fn mixed_order(
    steps: &[Step],
    calls: usize,
) -> (impl Iterator<Item = Step>, impl Iterator<Item = Step>) {
    let first = steps.iter().rev().take(LIVE).zip(0..).map(|(s, slot)| Step { slot, ..*s });
    (first, steps.iter().cycle().take(calls / 2).copied())
}

pub fn mixed_peak(steps: &[Step], calls: usize) -> usize {
    let (first, then) = mixed_order(steps, calls);
    let (mut sizes, mut live, mut peak) = (vec![0usize; LIVE], 0, 0);
    for step in first.chain(then) {
        let size = &mut sizes[step.slot as usize];
        live = live - *size + step.size as usize;
        *size = step.size as usize;
        peak = peak.max(live);
    }
    peak
}

pub fn mixed<S: Subject, P: Probe>(
    subject: &S,
    probe: &mut P,
    steps: &[Step],
    calls: usize,
) -> Result<Done, OutOfMemory> {
    let (first, then) = mixed_order(steps, calls);
    let mut slots = vec![Slot::EMPTY; LIVE];
    for step in first {
        let size = step.size as usize;
        let block = subject.malloc(size);
        if block.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: a block of that size.
        unsafe { probe.fresh(block, size) };
        slots[step.slot as usize] = Slot { block, size, align: 16 };
    }
    let start = Instant::now();
    for step in then {
        let slot = &mut slots[step.slot as usize];
        let size = step.size as usize;
        // SAFETY: a live block, replaced at once.
        probe.call(|| unsafe { subject.free(slot.block, slot.size, 16) });
        let block = probe.call(|| subject.malloc(size));
        if block.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: a block of that size.
        unsafe { probe.fresh(block, size) };
        *slot = Slot { block, size, align: 16 };
    }
    let done = done(calls / 2 * 2, start);
    // SAFETY: the blocks of the table are live.
    unsafe { free_all(subject, &mut slots) };
    Ok(done)
}

pub fn replay<S: Subject, P: Probe>(
    subject: &S,
    probe: &mut P,
    trace: &Trace,
) -> Result<Done, OutOfMemory> {
    let mut slots = vec![Slot::EMPTY; trace.slots()];
    let start = Instant::now();
    for op in trace.ops() {
        let (place, size, align) = match *op {
            Op::Malloc { slot, size } => (slot, size, 16),
            Op::Calloc { slot, size } => (slot, size, 16),
            Op::Memalign { slot, size, align } => (slot, size, align as usize),
            Op::Realloc { slot, size } => (slot, size, 16),
            Op::Free { slot } => (slot, 0, 16),
        };
        let (slot, size) = (&mut slots[place as usize], size as usize);
        let block = match *op {
            Op::Malloc { .. } => probe.call(|| subject.malloc(size)),
            Op::Calloc { .. } => probe.call(|| subject.calloc(size)),
            Op::Memalign { .. } => probe.call(|| subject.memalign(align, size)),
            Op::Realloc { .. } => probe.call(|| {
                // SAFETY: the loader made sure that the slot's block is live, and not from
                // memalign.
                unsafe { subject.realloc(slot.block, slot.size, size) }
            }),
            Op::Free { .. } => {
                // SAFETY: the loader made sure that the slot's block is live.
                probe.call(|| unsafe { subject.free(slot.block, slot.size, slot.align) });
                *slot = Slot::EMPTY;
                continue;
            }
        };
        if block.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: a block of that size.
        unsafe { probe.fresh(block, size) };
        *slot = Slot { block, size, align };
    }
    let done = done(trace.ops().len(), start);
    // SAFETY: what the trace leaves is live.
    unsafe { free_all(subject, &mut slots) };
    Ok(done)
}
