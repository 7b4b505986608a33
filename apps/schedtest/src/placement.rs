//! Which CPUs threads run on.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;

use ukplat::println;
use uksched::Builder;
use uktime::Instant;

/// How long another thread wants a CPU for itself.
const PHASE: Duration = Duration::from_millis(20);

/// Runs a thread beside others that want one CPU, then another, and so on, for themselves; says
/// whether it has been on two CPUs within `limit`.
fn moves(thread: Builder<'static>, limit: Duration) -> Option<bool> {
    let start = Instant::now();
    let moved = Arc::new(AtomicBool::new(false));
    let found = moved.clone();
    let runs = thread.spawn(move || {
        let mut seen = 0u64;
        while start.elapsed() < limit && seen.count_ones() < 2 {
            seen |= 1 << ukplat::cpu_id();
        }
        found.store(seen.count_ones() > 1, Relaxed);
    });
    let runs = runs.ok()?;
    for cpu in (0..uksched::cpus()).cycle() {
        if start.elapsed() >= limit || moved.load(Relaxed) {
            break;
        }
        let greedy = Builder::new("greedy").on_cpu(cpu).spawn(|| {
            let start = Instant::now();
            while start.elapsed() < PHASE {
                core::hint::spin_loop();
            }
        });
        greedy.ok()?.join().ok()?;
    }
    runs.join().ok()?;
    Some(moved.load(Relaxed))
}

/// Tells what a thread does that is not pinned, within `limit`, and one that is.
pub fn report(limit: Duration) -> u8 {
    let free = moves(Builder::new("free"), limit);
    let pinned = moves(Builder::new("pinned").on_cpu(0), Duration::from_millis(250));
    for (kind, moved) in [("thread", free), ("pinned thread", pinned)] {
        match moved {
            Some(moved) => println!("{} {}", kind, if moved { "moved" } else { "stayed" }),
            None => return 1,
        }
    }
    0
}
