//! Clocks: the time-stamp counter, whose frequency the tender tells.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use ukarch_x86_64::regs::rdtsc;
use ukplat::clock::TickScale;

static MULT: AtomicU64 = AtomicU64::new(1);
static SHIFT: AtomicU32 = AtomicU32::new(0);
static START: AtomicU64 = AtomicU64::new(0);
static WALL_START: AtomicU64 = AtomicU64::new(0);

/// Sets the clocks: wall-clock time at a counter value. `false` for a frequency that none can have.
pub fn init(tsc_khz: u64, start_ticks: u64, wall_ns: u64) -> bool {
    let Some(scale) = tsc_khz.checked_mul(1000).and_then(TickScale::from_hz) else { return false };
    let (mult, shift) = scale.parts();
    MULT.store(mult, Relaxed);
    SHIFT.store(shift, Relaxed);
    START.store(start_ticks, Relaxed);
    WALL_START.store(wall_ns, Relaxed);
    true
}

pub fn scale() -> TickScale {
    TickScale::from_parts(MULT.load(Relaxed), SHIFT.load(Relaxed))
}

pub fn monotonic_ns() -> u64 {
    scale().to_ns(rdtsc().wrapping_sub(START.load(Relaxed)))
}

pub fn wall_ns() -> u64 {
    WALL_START.load(Relaxed).saturating_add(monotonic_ns())
}
