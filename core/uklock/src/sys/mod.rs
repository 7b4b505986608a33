//! All that locks need from below, in one place: who runs, how to wait, how not to be disturbed.
//!
//! One variant is compiled:
//!
//! | variant | when | a thread is | waiting is |
//! |---|---|---|---|
//! | `none` | neither `threads` nor `smp` | the only one | impossible |
//! | `cpus` | `smp` without `threads` | a CPU | spinning |
//! | `scheduler` | `threads` | `uksched::ThreadRef` | `uksched::park` |
//! | `host` | feature `host` and one of both | a thread of `std` | `std::thread::park` |
//! | `model` | feature `model` and one of both | a thread of shuttle | shuttle's park |
//!
//! Each gives [`critical`] (not preempted on this CPU while the guard lives; nests) and, where
//! something can wait, `ThreadRef`, `current`, `park`, `is_running`, `relax`; with the feature
//! `inherit` also the priorities of a `ThreadRef` and two words of it.

#[cfg(all(feature = "model", any(feature = "threads", feature = "smp")))]
mod model;
#[cfg(all(feature = "model", any(feature = "threads", feature = "smp")))]
pub use model::*;

#[cfg(all(feature = "host", not(feature = "model"), any(feature = "threads", feature = "smp")))]
mod host;
#[cfg(all(
    feature = "host",
    not(feature = "model"),
    any(feature = "threads", feature = "smp")
))]
pub use host::*;

#[cfg(all(feature = "threads", not(feature = "host")))]
mod scheduler;
#[cfg(all(feature = "threads", not(feature = "host")))]
pub use scheduler::*;

#[cfg(all(feature = "smp", not(feature = "threads"), not(feature = "host")))]
mod cpus;
#[cfg(all(feature = "smp", not(feature = "threads"), not(feature = "host")))]
pub use cpus::*;

#[cfg(not(any(feature = "threads", feature = "smp")))]
mod none;
#[cfg(not(any(feature = "threads", feature = "smp")))]
pub use none::*;

/// What ended a wait. A thread may also be woken for no reason: both are hints, and the caller
/// looks at its condition again.
#[cfg(any(feature = "threads", feature = "smp"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakeup {
    /// Somebody unparked the thread, or nobody did.
    Token,
    /// The deadline has passed.
    TimedOut,
}
