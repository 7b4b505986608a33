//! What counts as CPU time. Alone in its program: host threads are the same CPU.

use ukplat::{busy, idle_until, monotonic_ns};

const WAIT: u64 = 50_000_000;

#[test]
fn waiting_is_not_counted_and_work_is() {
    // The host may take the CPU away just before it waits, but not each time.
    let waits = || {
        let (before, start) = (busy::total_ns(), monotonic_ns());
        idle_until(Some(start + WAIT));
        busy::total_ns() - before < WAIT / 2
    };
    assert!((0..50).any(|_| waits()));
    let (before, start) = (busy::total_ns(), monotonic_ns());
    let mut last = before;
    while monotonic_ns() < start + WAIT {
        let now = busy::total_ns();
        assert!(now >= last);
        last = now;
    }
    assert!(busy::total_ns() - before >= WAIT);
}
