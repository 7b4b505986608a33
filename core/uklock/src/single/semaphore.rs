//! The counting semaphore, between one flow of control and interrupt handlers.

use super::idle_while_not;
use crate::guarded::Guarded;

/// A counting semaphore. Here there is one flow of control and interrupt handlers, which may
/// release and try to acquire: the count is a plain word, changed with interrupts disabled.
///
/// ```
/// let slots = uklock::RawSemaphore::new(2);
/// slots.acquire();
/// assert!(slots.try_acquire());
/// assert!(!slots.try_acquire());
/// slots.release();
/// assert_eq!(slots.permits(), 1);
/// ```
pub struct RawSemaphore {
    permits: Guarded<usize, true>,
}

impl RawSemaphore {
    /// A semaphore with this many permits.
    pub const fn new(permits: usize) -> Self {
        Self { permits: Guarded::new(permits) }
    }

    /// Takes a permit; idles until an interrupt handler has released one.
    #[inline]
    pub fn acquire(&self) {
        if !self.try_acquire() {
            idle_while_not(None, || self.try_acquire());
        }
    }

    /// Takes a permit if there is one.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.permits.with(|permits| match permits.checked_sub(1) {
            Some(left) => {
                *permits = left;
                true
            }
            None => false,
        })
    }

    /// Takes a permit; idles until an interrupt handler has released one or the monotonic clock
    /// is at `deadline_ns`. Returns whether it has one.
    pub fn acquire_until(&self, deadline_ns: u64) -> bool {
        idle_while_not(Some(deadline_ns), || self.try_acquire())
    }

    /// Gives a permit. The count saturates.
    #[inline]
    pub fn release(&self) {
        self.permits.with(|permits| *permits = permits.saturating_add(1));
    }

    /// The number of free permits.
    pub fn permits(&self) -> usize {
        self.permits.with(|permits| *permits)
    }
}
