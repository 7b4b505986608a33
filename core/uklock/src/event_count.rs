//! The event count: waiting for news that come from elsewhere.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use ukplat::device::InterruptHandler;

use crate::WaitQueue;

/// Counts events; who looks somewhere and finds nothing waits for the next.
///
/// Take the [count](Self::count) before looking: an event that comes between looking and waiting is
/// not missed. Interrupt handlers may [notify](Self::notify).
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
/// static MAIL: AtomicBool = AtomicBool::new(false);
/// static NEWS: uklock::EventCount = uklock::EventCount::new();
///
/// MAIL.store(true, Relaxed);
/// NEWS.notify();
/// loop {
///     let seen = NEWS.count();
///     if MAIL.swap(false, Relaxed) {
///         break;
///     }
///     NEWS.wait(seen);
/// }
/// ```
#[derive(Default)]
pub struct EventCount {
    count: AtomicU32,
    waiting: WaitQueue,
}

impl EventCount {
    /// No event yet.
    pub const fn new() -> Self {
        Self { count: AtomicU32::new(0), waiting: WaitQueue::new() }
    }

    /// How many events there were, wrapping around.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Counts an event and wakes all who wait.
    #[inline]
    pub fn notify(&self) {
        self.add();
        self.waiting.wake_all();
    }

    #[cfg(any(feature = "smp", feature = "host"))]
    #[inline]
    fn add(&self) {
        self.count.fetch_add(1, Ordering::Release);
    }

    /// On one CPU only interrupt handlers can come in between.
    #[cfg(not(any(feature = "smp", feature = "host")))]
    #[inline]
    fn add(&self) {
        let _interrupts = ukplat::irq::disable();
        let next = self.count.load(Ordering::Relaxed).wrapping_add(1);
        self.count.store(next, Ordering::Release);
    }

    /// Waits until there was an event after `seen`.
    pub fn wait(&self, seen: u32) {
        self.waiting.wait(|| self.count() != seen);
    }

    /// Waits until there was an event after `seen`, or the monotonic clock is at `deadline_ns`;
    /// returns whether there was one.
    pub fn wait_until(&self, seen: u32, deadline_ns: u64) -> bool {
        self.waiting.wait_until(deadline_ns, || self.count() != seen)
    }
}

impl fmt::Debug for EventCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventCount({})", self.count())
    }
}

/// Each interrupt is an event.
impl InterruptHandler for EventCount {
    fn interrupt(&self) {
        self.notify();
    }
}
