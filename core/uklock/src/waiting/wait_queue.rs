//! The wait queue: for everything that the other primitives are not.

use core::panic::Location;

use super::list::{List, Node};
use crate::Interrupted;
use crate::diagnose::{self, Kind};
use crate::guarded::Guarded;
use crate::sys::{self, Wakeup};

/// Threads that wait for a condition; one at a time is woken, the longest waiting first.
///
/// The condition lives elsewhere. Whoever makes it true calls [`WaitQueue::wake_one`] afterwards,
/// also from an interrupt handler.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
/// static READY: AtomicBool = AtomicBool::new(false);
/// static QUEUE: uklock::WaitQueue = uklock::WaitQueue::new();
///
/// READY.store(true, Relaxed);
/// QUEUE.wake_one();
/// QUEUE.wait(|| READY.load(Relaxed));
/// ```
pub struct WaitQueue {
    // Interrupts are disabled inside: handlers wake.
    list: Guarded<List, true>,
}

impl WaitQueue {
    /// A queue in which nobody waits.
    pub const fn new() -> Self {
        Self { list: Guarded::new(List::new()) }
    }

    /// Waits until `condition` is true. It is called again after each wake-up, by this thread.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn wait(&self, condition: impl FnMut() -> bool) {
        self.wait_deadline(None, condition, || false, Location::caller());
    }

    /// Waits until `condition` is true or the monotonic clock is at `deadline_ns`; returns the
    /// condition.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn wait_until(&self, deadline_ns: u64, condition: impl FnMut() -> bool) -> bool {
        self.wait_deadline(Some(deadline_ns), condition, || false, Location::caller())
            == End::Condition
    }

    /// Waits until `condition` is true or the monotonic clock is at `deadline_ns`, if there is a
    /// deadline; returns the condition.
    ///
    /// # Errors
    /// The thread was [interrupted](crate::interrupted) before.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn wait_interruptible(
        &self,
        deadline_ns: Option<u64>,
        condition: impl FnMut() -> bool,
    ) -> Result<bool, Interrupted> {
        let place = Location::caller();
        match self.wait_deadline(deadline_ns, condition, crate::interrupted, place) {
            End::Condition => Ok(true),
            End::Deadline => Ok(false),
            End::Interrupt => Err(Interrupted),
        }
    }

    fn wait_deadline(
        &self,
        deadline_ns: Option<u64>,
        mut condition: impl FnMut() -> bool,
        interrupted: impl Fn() -> bool,
        place: &'static Location<'static>,
    ) -> End {
        let id = core::ptr::from_ref(self).cast();
        let mut timed_out = false;
        loop {
            if condition() {
                return End::Condition;
            }
            if timed_out {
                return End::Deadline;
            }
            let _waits = diagnose::waits(id, Kind::WaitQueue, place, deadline_ns.is_none());
            let node = Node::new(sys::current());
            let entry = Entry { queue: self, node: &node };
            // SAFETY: the node is new; `entry` takes it out before it goes.
            self.list.with(|list| unsafe { list.push_back(&node) });
            // Looked at again now: who makes it true from here on finds the node.
            if condition() {
                return End::Condition;
            }
            while !timed_out && !node.is_granted() {
                // Just before parking: the condition may have waited itself, and so have taken
                // the token of whoever interrupted the thread.
                if interrupted() {
                    return End::Interrupt;
                }
                timed_out = sys::park(deadline_ns) == Wakeup::TimedOut;
            }
            if node.is_granted() {
                // Used: the condition decides.
                core::mem::forget(entry);
            }
        }
    }

    /// Wakes the longest waiting thread; returns whether there was one.
    pub fn wake_one(&self) -> bool {
        let _critical = sys::critical();
        let taken = self.list.with(List::take_front);
        taken.grant() > 0
    }

    /// Wakes all threads that wait now, for conditions that hold for all of them; returns their
    /// number.
    pub fn wake_all(&self) -> usize {
        let _critical = sys::critical();
        let taken = self.list.with(List::take_all);
        taken.grant()
    }
}

/// How a wait ended.
#[derive(PartialEq, Eq)]
enum End {
    Condition,
    Deadline,
    Interrupt,
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes the node out, also when the condition panics. A wake-up that came meanwhile is not
/// needed here, and goes to the next.
struct Entry<'a> {
    queue: &'a WaitQueue,
    node: &'a Node,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let woken = self.queue.list.with(|list| {
            let woken = self.node.is_taken();
            if !woken {
                // SAFETY: nobody took it out.
                unsafe { list.remove(self.node) };
            }
            woken
        });
        if woken {
            self.node.wait_granted();
            self.queue.wake_one();
        }
    }
}
