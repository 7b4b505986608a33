//! What the allocators are asked to do.

mod plain;
mod threads;

use crate::subject::Subject;
use crate::trace::{self, Trace};

/// Order in which a batch of blocks is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The last one first.
    Lifo,
    /// The first one first.
    Fifo,
    /// Shuffled.
    Random,
}

/// Kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One block of a size, freed at once.
    PingPong(usize),
    /// 1000 blocks of a size, then freed.
    Batch(usize, Order),
    /// 10 000 live blocks from 8 bytes to 64 KiB, size by a power law, replaced at random.
    Mixed,
    /// Two threads replace blocks of 10 to 500 bytes at random and now and then swap them all, so
    /// that half of them are freed by the other thread (Larson and Krishnan, 1998).
    Larson,
    /// Two threads free a block of the main thread, then allocate, write to and free small ones
    /// (Berger and others, Hoard, 2000): finds caches that share lines.
    CacheScratch,
    /// What a real program did.
    Replay(&'static [u8]),
}

/// One workload of the list.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Name on the command line and in tables.
    pub name: &'static str,
    /// What is done.
    pub kind: Kind,
}

const fn work(name: &'static str, kind: Kind) -> Workload {
    Workload { name, kind }
}

/// All of them, in the order of the tables.
pub const ALL: &[Workload] = &[
    work("pair-16", Kind::PingPong(16)),
    work("pair-64", Kind::PingPong(64)),
    work("pair-256", Kind::PingPong(256)),
    work("pair-4096", Kind::PingPong(4096)),
    work("pair-131072", Kind::PingPong(131_072)),
    work("lifo-16", Kind::Batch(16, Order::Lifo)),
    work("lifo-64", Kind::Batch(64, Order::Lifo)),
    work("lifo-256", Kind::Batch(256, Order::Lifo)),
    work("lifo-4096", Kind::Batch(4096, Order::Lifo)),
    work("fifo-16", Kind::Batch(16, Order::Fifo)),
    work("fifo-64", Kind::Batch(64, Order::Fifo)),
    work("fifo-256", Kind::Batch(256, Order::Fifo)),
    work("fifo-4096", Kind::Batch(4096, Order::Fifo)),
    work("random-16", Kind::Batch(16, Order::Random)),
    work("random-64", Kind::Batch(64, Order::Random)),
    work("random-256", Kind::Batch(256, Order::Random)),
    work("random-4096", Kind::Batch(4096, Order::Random)),
    work("mixed", Kind::Mixed),
    work("sqlite", Kind::Replay(include_bytes!("../../traces/sqlite.trace"))),
    work("redis", Kind::Replay(include_bytes!("../../traces/redis.trace"))),
    work("larson", Kind::Larson),
    work("cache-scratch", Kind::CacheScratch),
];

impl Workload {
    /// The workload of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|work| work.name == name)
    }

    /// Whether an allocator can do it that gives back only the last block.
    pub const fn stack_like(&self) -> bool {
        matches!(self.kind, Kind::PingPong(_) | Kind::Batch(_, Order::Lifo))
    }

    /// The size of all blocks, if they have the same.
    pub const fn size(&self) -> Option<usize> {
        match self.kind {
            Kind::PingPong(size) | Kind::Batch(size, _) => Some(size),
            _ => None,
        }
    }

    /// Threads that allocate.
    pub const fn threads(&self) -> usize {
        match self.kind {
            Kind::Larson | Kind::CacheScratch => 2,
            _ => 1,
        }
    }

    /// Prepares everything that is no allocator's doing. `calls` is how many calls one run makes,
    /// roughly, and at most those of a trace.
    ///
    /// # Errors
    /// When a trace is damaged.
    pub fn plan(&'static self, calls: usize) -> Result<Plan, trace::Error> {
        let steps = match self.kind {
            Kind::Mixed => plain::mixed_steps(),
            Kind::Larson => threads::larson_steps(),
            Kind::Batch(size, order) => plain::batch_steps(size, order),
            _ => Vec::new(),
        };
        let mut trace = match self.kind {
            Kind::Replay(bytes) => Trace::parse(bytes)?,
            _ => Trace::default(),
        };
        trace.cut(calls);
        Ok(Plan { workload: self, steps, trace, calls })
    }
}

/// A place in a table of blocks, and the size of the next block there.
#[derive(Clone, Copy, Debug)]
struct Step {
    slot: u32,
    size: u32,
}

/// A block in a table.
#[derive(Clone, Copy, Debug)]
struct Slot {
    block: *mut u8,
    size: usize,
    align: usize,
}

impl Slot {
    const EMPTY: Self = Self { block: core::ptr::null_mut(), size: 0, align: 16 };
}

// SAFETY: a block may be used and freed by any thread; the tables are handed over whole.
unsafe impl Send for Slot {}

/// A workload made ready.
#[derive(Debug)]
pub struct Plan {
    /// Which one.
    pub workload: &'static Workload,
    steps: Vec<Step>,
    trace: Trace,
    calls: usize,
}

/// The allocator had no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Calls of the allocator, by one thread.
    pub calls: usize,
    /// Nanoseconds from the first to the last.
    pub ns: f64,
}

/// What happens around each call, and with each new block.
pub trait Probe: Default + Send {
    /// Makes the call.
    fn call<R>(&mut self, call: impl FnOnce() -> R) -> R;

    /// # Safety
    /// The block must have `size` bytes.
    #[inline]
    unsafe fn fresh(&mut self, block: *mut u8, _size: usize) {
        // SAFETY: every block has a byte.
        unsafe { block.write(1) };
    }

    /// Takes over what another thread's probe found.
    fn merge(&mut self, other: Self);
}

/// Does nothing around calls: for throughput.
#[derive(Debug, Default)]
pub struct Unseen;

impl Probe for Unseen {
    #[inline]
    fn call<R>(&mut self, call: impl FnOnce() -> R) -> R {
        call()
    }
    fn merge(&mut self, _: Self) {}
}

/// Writes to every byte of new blocks: for memory in use.
#[derive(Debug, Default)]
pub struct Touch;

impl Probe for Touch {
    #[inline]
    fn call<R>(&mut self, call: impl FnOnce() -> R) -> R {
        call()
    }
    unsafe fn fresh(&mut self, block: *mut u8, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { block.write_bytes(1, size) };
    }
    fn merge(&mut self, _: Self) {}
}

impl Plan {
    /// Runs it once. All blocks are freed afterwards, untimed.
    ///
    /// # Errors
    /// When the allocator runs out of memory; its blocks are then lost.
    pub fn run<S: Subject, P: Probe>(
        &self,
        subject: &S,
        probe: &mut P,
    ) -> Result<Done, OutOfMemory> {
        match self.workload.kind {
            Kind::PingPong(size) => plain::ping_pong(subject, probe, size, self.calls),
            Kind::Batch(..) => plain::batch(subject, probe, &self.steps, self.calls),
            Kind::Mixed => plain::mixed(subject, probe, &self.steps, self.calls),
            Kind::Larson => threads::larson(subject, probe, &self.steps, self.calls),
            Kind::CacheScratch => threads::cache_scratch(subject, probe, self.calls),
            Kind::Replay(_) => plain::replay(subject, probe, &self.trace),
        }
    }

    /// Most bytes asked for and not freed at any time.
    pub fn peak_bytes(&self) -> usize {
        match self.workload.kind {
            Kind::PingPong(size) => size,
            Kind::Batch(size, _) => size * plain::BATCH,
            Kind::Mixed => plain::mixed_peak(&self.steps, self.calls),
            Kind::Replay(_) => self.trace.peak_bytes(),
            Kind::Larson => 2 * threads::LIVE * 500,
            Kind::CacheScratch => 64,
        }
    }
}

/// Pseudo-random numbers, the same in every run (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Frees all blocks of a table.
///
/// # Safety
/// Blocks must be live, of this subject.
unsafe fn free_all<S: Subject>(subject: &S, slots: &mut [Slot]) {
    for slot in slots {
        if !slot.block.is_null() {
            // SAFETY: the caller's promise.
            unsafe { subject.free(slot.block, slot.size, slot.align) };
            *slot = Slot::EMPTY;
        }
    }
}

#[cfg(test)]
mod tests;
