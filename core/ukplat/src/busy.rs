//! For how long CPUs were not idle: what programs call CPU time.
//!
//! Counted where CPUs wait, [`idle_until`](crate::idle_until), in images of which a library asks for
//! that (feature `cpu-time`). A CPU that the host takes away from the machine counts as busy.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{BootInfo, PerCpu, cpu_count, cpu_id, per_cpu, ticks, ticks_to_ns};

/// Lowest bit of [`BUSY`]: the CPU is not idle.
const RUNS: u64 = 1;

/// What each CPU was busy, in ticks, from bit 1 on. While it runs, what that is ahead of the counter of
/// ticks: one word that is right at any time, without being written. 0 before the first wait.
static BUSY: PerCpu<AtomicU64> = per_cpu!(AtomicU64::new(0));

fn since_entry() -> u64 {
    ticks().saturating_sub(BootInfo::get().map_or(0, |boot| boot.entry_ticks))
}

/// Ticks that a CPU was busy, by its word.
fn busy(cpu: usize, word: u64) -> u64 {
    match word {
        // The first CPU runs from the first instruction on.
        0 if cpu == 0 => since_entry(),
        _ if word & RUNS != 0 => {
            ticks().wrapping_add(((word as i64) >> 1) as u64) & (u64::MAX >> 1)
        }
        _ => word >> 1,
    }
}

/// The calling CPU begins to run, or to run again. Callers are not moved to another CPU meanwhile; no
/// harm is done if they are.
pub(crate) fn run() {
    let word = BUSY.get();
    let now = word.load(Relaxed);
    if now & RUNS == 0 {
        let ahead = busy(cpu_id(), now).wrapping_sub(ticks());
        word.store(ahead << 1 | RUNS, Relaxed);
    }
}

/// The calling CPU has nothing to do from now on.
pub(crate) fn idle() {
    let (word, cpu) = (BUSY.get(), cpu_id());
    let now = word.load(Relaxed);
    if now & RUNS != 0 || (now == 0 && cpu == 0) {
        word.store(busy(cpu, now) << 1, Relaxed);
    }
}

/// Nanoseconds for which a CPU was not idle since boot; 0 for one that was not started.
///
/// ```
/// let before = ukplat::busy::of_cpu(0);
/// ukplat::idle_until(Some(ukplat::monotonic_ns() + 1_000_000));
/// assert!(ukplat::busy::of_cpu(0) >= before);
/// assert_eq!(ukplat::busy::of_cpu(ukplat::cpu::MAX_CPUS), 0);
/// ```
pub fn of_cpu(cpu: usize) -> u64 {
    let Some(word) = BUSY.of(cpu) else { return 0 };
    let mut now = word.load(Relaxed);
    loop {
        let ticks = busy(cpu, now);
        // It may have begun or ended to wait meanwhile; sums never go back.
        match word.load(Relaxed) {
            same if same == now => return ticks_to_ns(ticks),
            other => now = other,
        }
    }
}

/// Nanoseconds for which CPUs were not idle since boot, all of them together. Never goes back.
pub fn total_ns() -> u64 {
    (0..cpu_count()).map(of_cpu).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_they_say_at_any_time() {
        for sum in [1u64, 5, 1 << 40] {
            assert_eq!(busy(3, sum << 1), sum);
            let word = sum.wrapping_sub(ticks()) << 1 | RUNS;
            let shown = busy(3, word);
            assert!(shown >= sum && shown < sum + 10_000_000_000, "{sum} {shown}");
        }
        assert_eq!(busy(3, 0), 0);
    }
}
