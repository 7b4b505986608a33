//! Wall-clock time, which can be set: one clock for files, timers, and whoever asks.

use core::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::StaticRef;
use crate::platform::machine_wall_ns;

/// Nanoseconds that setting has added to the machine's clock.
static OFFSET_NS: AtomicI64 = AtomicI64::new(0);

/// What is told that the clock was set, with the nanoseconds by which it jumped.
pub type WallSet = fn(i64);

static TOLD: StaticRef<WallSet> = StaticRef::new();

/// Wall-clock time in nanoseconds since 1970-01-01T00:00:00 UTC.
///
/// ```
/// let before = ukplat::wall_ns();
/// ukplat::set_wall_ns(before + 3_600_000_000_000);
/// assert!(ukplat::wall_ns() >= before + 3_600_000_000_000);
/// # ukplat::set_wall_ns(before);
/// ```
pub fn wall_ns() -> u64 {
    machine_wall_ns().saturating_add_signed(OFFSET_NS.load(Relaxed))
}

/// Sets wall-clock time for this image; the machine's clock stays as it is.
pub fn set_wall_ns(ns: u64) {
    let offset = i128::from(ns) - i128::from(machine_wall_ns());
    let offset = offset.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    let before = OFFSET_NS.swap(offset, Relaxed);
    if let Some(told) = TOLD.get() {
        told(offset.saturating_sub(before));
    }
}

/// Sets what is told when somebody sets the clock: timers of wall-clock time.
pub fn on_wall_set(told: &'static WallSet) {
    TOLD.set(told);
}
