//! The counting semaphore.

use core::panic::Location;

use super::list::{List, Node};
use crate::diagnose::{self, Kind};
use crate::guarded::Guarded;
use crate::sys::{self, Wakeup};

struct State {
    permits: usize,
    waiting: List,
}

/// A counting semaphore. A released permit goes directly to the longest waiting thread; nobody
/// overtakes. Interrupt handlers may release and try to acquire.
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
    // Interrupts are disabled inside: handlers release.
    state: Guarded<State, true>,
}

impl RawSemaphore {
    /// A semaphore with this many permits.
    pub const fn new(permits: usize) -> Self {
        Self { state: Guarded::new(State { permits, waiting: List::new() }) }
    }

    /// Takes a permit; waits for one.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn acquire(&self) {
        if !self.try_acquire() {
            self.wait(None, Location::caller());
        }
    }

    /// Takes a permit if there is one.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.state.with(|state| match state.permits.checked_sub(1) {
            Some(left) => {
                state.permits = left;
                true
            }
            None => false,
        })
    }

    /// Takes a permit; waits for one until the monotonic clock is at `deadline_ns`. Returns
    /// whether it has one.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn acquire_until(&self, deadline_ns: u64) -> bool {
        self.try_acquire() || self.wait(Some(deadline_ns), Location::caller())
    }

    /// Gives a permit. From threads and interrupt handlers. The count saturates.
    pub fn release(&self) {
        let _critical = sys::critical();
        let taken = self.state.with(|state| {
            let taken = state.waiting.take_front();
            if taken.is_empty() {
                state.permits = state.permits.saturating_add(1);
            }
            taken
        });
        taken.grant();
    }

    /// The number of free permits; outdated at once.
    pub fn permits(&self) -> usize {
        self.state.with(|state| state.permits)
    }

    #[cold]
    fn wait(&self, deadline_ns: Option<u64>, place: &'static Location<'static>) -> bool {
        let id = core::ptr::from_ref(self).cast();
        let _waits = diagnose::waits(id, Kind::Semaphore, place, deadline_ns.is_none());
        let node = Node::new(sys::current());
        let taken = self.state.with(|state| {
            if state.permits > 0 {
                state.permits -= 1;
                return true;
            }
            // SAFETY: the node is new; this function returns when it is out of the list.
            unsafe { state.waiting.push_back(&node) };
            false
        });
        if taken {
            return true;
        }
        loop {
            let wakeup = sys::park(deadline_ns);
            if node.is_granted() {
                return true;
            }
            if wakeup == Wakeup::TimedOut {
                let taken = self.state.with(|state| {
                    let taken = node.is_taken();
                    if !taken {
                        // SAFETY: nobody took it out.
                        unsafe { state.waiting.remove(&node) };
                    }
                    taken
                });
                if taken {
                    node.wait_granted();
                }
                return taken;
            }
        }
    }
}
