//! When the start of a guest reached what, for those who measure.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Points of time; nothing is recorded unless asked for.
#[derive(Debug, Default)]
pub struct Times {
    wanted: bool,
    ran: AtomicBool,
    points: Mutex<Vec<(&'static str, u64)>>,
}

/// The monotonic clock, whose start is the same in all processes.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Times {
    /// With points of time if `wanted`.
    pub fn new(wanted: bool) -> Self {
        let times = Self { wanted, ..Self::default() };
        times.point("main");
        times
    }

    /// Records that something is done.
    pub fn point(&self, name: &'static str) {
        if self.wanted
            && let Ok(mut points) = self.points.lock()
        {
            points.push((name, now_ns()));
        }
    }

    /// Records the guest's first exit, once.
    pub fn first_exit(&self) {
        if self.wanted && !self.ran.swap(true, Relaxed) {
            self.point("exit");
        }
    }

    /// Prints a line for each point: `tender: NAME NANOSECONDS ns`, on the monotonic clock.
    pub fn print(&self) {
        let Ok(points) = self.points.lock() else { return };
        let mut out = String::new();
        for (name, ns) in &*points {
            let _ = writeln!(out, "tender: {name} {ns} ns");
        }
        if !out.is_empty() {
            crate::console::say(&out);
        }
    }
}
