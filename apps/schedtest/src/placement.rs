//! Which CPUs threads run on.

use alloc::vec::Vec;
use core::time::Duration;

use ukplat::println;
use uksched::Builder;
use uktime::Instant;

/// CPUs that a thread is on while it spins.
fn seen_in(time: Duration) -> u64 {
    let (start, mut seen) = (Instant::now(), 0);
    while start.elapsed() < time {
        seen |= 1 << ukplat::cpu_id();
    }
    seen
}

/// Runs threads of which the half ends soon, and says whether the others moved.
fn moved(make: impl Fn(usize) -> Builder<'static>) -> Option<bool> {
    let handles: Vec<_> = (0..8)
        .map(|i| {
            let time = Duration::from_millis(if i % 2 == 0 { 5 } else { 250 });
            make(i).spawn(move || seen_in(time))
        })
        .collect::<Result<_, _>>()
        .ok()?;
    let seen: Option<Vec<u64>> = handles.into_iter().map(|h| h.join().ok()).collect();
    Some(seen?.iter().any(|seen| seen.count_ones() > 1))
}

/// Tells what threads do that are not pinned, and those that are.
pub fn report() -> u8 {
    let free = moved(|_| Builder::new("free"));
    let pinned = moved(|i| Builder::new("pinned").on_cpus(1 << (i % uksched::cpus())));
    for (kind, moved) in [("threads", free), ("pinned threads", pinned)] {
        match moved {
            Some(moved) => println!("{} {}", kind, if moved { "moved" } else { "stayed" }),
            None => return 1,
        }
    }
    0
}
