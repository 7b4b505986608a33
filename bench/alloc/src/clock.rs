//! Time stamps for single calls: the processor's counter where there is one.

use std::time::{Duration, Instant};

/// Ticks before and after a call, with what a measurement costs by itself.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    ns_per_tick: f64,
    overhead: u64,
}

/// A time stamp; what stands before it is done, what stands after it has not begun.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub fn ticks() -> u64 {
    // SAFETY: both instructions exist on every x86-64 processor.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        let now = core::arch::x86_64::_rdtsc();
        core::arch::x86_64::_mm_lfence();
        now
    }
}

/// A time stamp in nanoseconds.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub fn ticks() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

impl Clock {
    /// Measures the length of a tick, and the least difference of two time stamps.
    pub fn calibrate() -> Self {
        let (start, first) = (Instant::now(), ticks());
        let overhead = (0..20_000).map(|_| {
            let before = ticks();
            ticks() - before
        });
        let overhead = overhead.min().unwrap_or(0);
        while start.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let (ns, passed) = (start.elapsed().as_nanos() as f64, ticks() - first);
        Self { ns_per_tick: ns / passed.max(1) as f64, overhead }
    }

    /// Nanoseconds of a difference of two time stamps, without what the stamps cost.
    pub fn ns(&self, difference: u64) -> f64 {
        difference.saturating_sub(self.overhead) as f64 * self.ns_per_tick
    }
}
