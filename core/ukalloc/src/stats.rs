//! Statistics of a heap.

use crate::Freed;

/// Counters of a heap; all but the last three are 0 when the feature `stats` is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Successful allocations.
    pub allocations: u64,
    /// Frees.
    pub frees: u64,
    /// Allocations that got nothing.
    pub failures: u64,
    /// Usable bytes in live blocks.
    pub current_bytes: usize,
    /// Most usable bytes in live blocks at any time.
    pub peak_bytes: usize,
    /// Bytes of memory the heap was given.
    pub total_memory: usize,
    /// Bytes in free blocks.
    pub available: usize,
    /// Size in bytes of the largest block that could be allocated.
    pub largest_free: usize,
}

impl Stats {
    /// Whether this build counts (feature `stats`).
    pub const COUNTED: bool = cfg!(feature = "stats");

    pub(crate) const ZERO: Self = Self {
        allocations: 0,
        frees: 0,
        failures: 0,
        current_bytes: 0,
        peak_bytes: 0,
        total_memory: 0,
        available: 0,
        largest_free: 0,
    };

    /// Live blocks.
    pub const fn current_blocks(&self) -> u64 {
        self.allocations - self.frees
    }

    #[inline]
    pub(crate) fn allocated(&mut self, bytes: usize) {
        if cfg!(feature = "stats") {
            self.allocations += 1;
            self.grown(bytes);
        }
    }

    #[inline]
    pub(crate) fn freed(&mut self, bytes: usize) {
        if cfg!(feature = "stats") {
            self.frees += 1;
            self.current_bytes -= bytes;
        }
    }

    #[inline]
    pub(crate) fn resized(&mut self, old: usize, new: usize) {
        if cfg!(feature = "stats") {
            self.current_bytes -= old;
            self.grown(new);
        }
    }

    #[inline]
    pub(crate) fn failed(&mut self) {
        if cfg!(feature = "stats") {
            self.failures += 1;
        }
    }

    #[inline]
    pub(crate) fn freed_by_itself(&mut self, freed: Freed) {
        if cfg!(feature = "stats") {
            self.frees += freed.blocks;
            self.current_bytes -= freed.bytes;
        }
    }

    /// Two heaps counted as one.
    pub(crate) fn add(self, other: Self) -> Self {
        Self {
            allocations: self.allocations + other.allocations,
            frees: self.frees + other.frees,
            failures: self.failures + other.failures,
            current_bytes: self.current_bytes + other.current_bytes,
            peak_bytes: self.peak_bytes + other.peak_bytes,
            total_memory: self.total_memory + other.total_memory,
            available: self.available + other.available,
            largest_free: self.largest_free.max(other.largest_free),
        }
    }

    fn grown(&mut self, bytes: usize) {
        self.current_bytes += bytes;
        self.peak_bytes = self.peak_bytes.max(self.current_bytes);
    }
}
