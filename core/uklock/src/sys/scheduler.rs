//! The image's scheduler. What is expected of it, beside the signatures used here:
//!
//! * `ThreadRef` is `Copy + Eq + Debug + Display` (the thread's name), one word wide;
//!   `to_usize` is never 0 and has its three low bits clear, `from_usize` reverses it.
//! * `current` works from the first boot phase on (the boot flow is a thread) and is cheap.
//! * `park` returns at once when a token is there and takes it. `Wakeup::TimedOut` only when the
//!   deadline (monotonic, absolute) has passed. It may return early.
//! * `unpark` and `is_running` may be called with a `ThreadRef` whose thread has ended meanwhile,
//!   and then do nothing harmful (the memory of thread control blocks stays what it is, or
//!   references carry a generation). `unpark` may be called inside `preempt_disable`, with
//!   interrupts disabled, under a spinlock, and from interrupt handlers; it does not switch
//!   before the guard goes, and it uses no lock of this crate other than `RawSpinLock`.
//! * `preempt_disable` nests; its guard is nothing for cooperative schedulers.

use super::Wakeup;

pub use core::sync::atomic;
pub use uksched::{ThreadRef, current};

/// Not preempted while it lives.
pub struct Critical {
    _guard: uksched::PreemptGuard,
}

#[inline(always)]
pub fn critical() -> Critical {
    Critical { _guard: uksched::preempt_disable() }
}

/// Waits for a token or the deadline.
pub fn park(deadline_ns: Option<u64>) -> Wakeup {
    match uksched::park(deadline_ns) {
        uksched::Wakeup::Token => Wakeup::Token,
        uksched::Wakeup::TimedOut => Wakeup::TimedOut,
    }
}

/// A place where a model would switch threads.
#[inline(always)]
pub fn interleave() {}

/// A spin loop goes round once more.
#[inline]
pub fn relax() {
    core::hint::spin_loop();
}
