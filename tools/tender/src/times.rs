//! When the start of a guest reached what, for those who measure.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};

use kvm_ioctls::VcpuFd;

use crate::confine::Call;
use crate::stats::Stats;

/// Points of time; nothing is recorded unless asked for.
#[derive(Debug, Default)]
pub struct Times {
    wanted: bool,
    ran: AtomicBool,
    points: Mutex<Vec<(&'static str, u64)>>,
    stats: OnceLock<Stats>,
    /// Counters of KVM at the guest's first exit.
    counts: Mutex<Vec<(String, u64)>>,
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

    /// What KVM counts of the first CPU is recorded too.
    pub fn count(&self, cpu: &VcpuFd) {
        if self.wanted
            && let Some(stats) = Stats::of(cpu)
        {
            let _ = self.stats.set(stats);
        }
    }

    /// The call that reading counters takes.
    pub fn calls(&self) -> Option<Call> {
        self.stats.get().map(|stats| (libc::SYS_pread64, stats.fd()))
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
            if let (Some(stats), Ok(mut counts)) = (self.stats.get(), self.counts.lock()) {
                let now = stats.read();
                counts.extend(now.into_iter().map(|(name, value)| (name.to_owned(), value)));
            }
        }
    }

    /// Prints a line for each point: `tender: NAME NANOSECONDS ns`, on the monotonic clock; and what
    /// KVM counted up to the first exit, `tender: boot/NAME COUNT`, and in all, `tender: all/NAME COUNT`.
    pub fn print(&self) {
        let Ok(points) = self.points.lock() else { return };
        let mut out = String::new();
        for (name, ns) in &*points {
            let _ = writeln!(out, "tender: {name} {ns} ns");
        }
        let counts = self.counts.lock().map(|counts| counts.clone()).unwrap_or_default();
        for (name, value) in counts {
            let _ = writeln!(out, "tender: boot/{name} {value}");
        }
        for (name, value) in self.stats.get().map(Stats::read).unwrap_or_default() {
            let _ = writeln!(out, "tender: all/{name} {value}");
        }
        if !out.is_empty() {
            crate::console::say(&out);
        }
    }
}
