//! Wall-clock time, which can be set: one clock for files, timers, and whoever asks.

use core::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::StaticRef;
use crate::platform::machine_wall_ns;

/// Nanoseconds that setting has added to the machine's clock.
static OFFSET_NS: AtomicI64 = AtomicI64::new(0);

/// What is told that the clock was set, with the nanoseconds by which it jumped.
pub type WallSet = fn(i64);

/// Libraries that can be told, at most.
const MOST: usize = 8;

static TOLD: [StaticRef<WallSet>; MOST] = [const { StaticRef::new() }; MOST];

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
    let jump = offset.saturating_sub(before);
    TOLD.iter().filter_map(StaticRef::get).for_each(|told| told(jump));
}

/// Adds to what is told when somebody sets the clock, after it was set: whoever waits for a wall-clock
/// time. For ever; once is enough. Returns `false` when there is no place for more.
///
/// ```
/// use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
/// static JUMP: AtomicI64 = AtomicI64::new(0);
/// static TOLD: ukplat::WallSet = |ns| {
///     JUMP.fetch_add(ns, Relaxed);
/// };
/// assert!(ukplat::on_wall_set(&TOLD) && ukplat::on_wall_set(&TOLD));
/// let now = ukplat::wall_ns();
/// ukplat::set_wall_ns(now + 7_000_000_000);
/// # ukplat::set_wall_ns(now + 1_000_000_000);
/// assert!(JUMP.load(Relaxed) > 0, "told once for each time");
/// ```
pub fn on_wall_set(told: &'static WallSet) -> bool {
    TOLD.iter().any(|place| core::ptr::eq(place.get_or_set(told), told))
}
