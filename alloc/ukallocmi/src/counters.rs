//! Statistics of a shard.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use ukalloc::Stats;

/// Written by the flow inside of the shard with plain loads and stores, read by anybody.
#[derive(Debug)]
pub struct Counters {
    allocations: AtomicU64,
    frees: AtomicU64,
    failures: AtomicU64,
    /// Usable bytes allocated minus those freed here, wrapping: blocks of other shards are freed too.
    bytes: AtomicU64,
    /// The highest value of `bytes` as a signed number.
    peak: AtomicU64,
}

#[inline]
fn add(counter: &AtomicU64, amount: u64) -> u64 {
    let sum = counter.load(Relaxed).wrapping_add(amount);
    counter.store(sum, Relaxed);
    sum
}

impl Counters {
    #[inline]
    pub fn allocated(&self, bytes: usize) {
        if Stats::COUNTED {
            add(&self.allocations, 1);
            self.changed(0, bytes);
        }
    }

    #[inline]
    pub fn freed(&self, bytes: usize) {
        if Stats::COUNTED {
            add(&self.frees, 1);
            add(&self.bytes, (bytes as u64).wrapping_neg());
        }
    }

    /// A block's usable size changed.
    #[inline]
    pub fn changed(&self, old: usize, new: usize) {
        if Stats::COUNTED {
            let bytes = add(&self.bytes, (new as u64).wrapping_sub(old as u64));
            if bytes.cast_signed() > self.peak.load(Relaxed).cast_signed() {
                self.peak.store(bytes, Relaxed);
            }
        }
    }

    pub fn failed(&self) {
        if Stats::COUNTED {
            add(&self.failures, 1);
        }
    }

    /// Adds this shard to the sum. The sum of the shards' peaks is no less than the heap's.
    pub fn add_to(&self, stats: &mut Stats) {
        stats.allocations += self.allocations.load(Relaxed);
        stats.frees += self.frees.load(Relaxed);
        stats.failures += self.failures.load(Relaxed);
        stats.current_bytes = stats.current_bytes.wrapping_add(self.bytes.load(Relaxed) as usize);
        stats.peak_bytes += self.peak.load(Relaxed) as usize;
    }
}
