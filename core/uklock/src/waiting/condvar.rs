//! The condition variable.

use core::panic::Location;

use super::list::{List, Node, WAITING};
use super::mutex::RawMutex;
use crate::diagnose::{self, Kind};
use crate::guarded::Guarded;
use crate::sys::{self, Wakeup};

/// A condition variable without a mutex of its own, for C and POSIX layers.
///
/// Notifying does not wake a thread that would only run into the mutex: it moves the longest
/// waiting thread (or all) to the mutex's queue, where each is woken when its turn comes.
pub struct RawCondvar {
    queue: Guarded<List>,
}

impl RawCondvar {
    /// A condition variable that nobody waits for.
    pub const fn new() -> Self {
        Self { queue: Guarded::new(List::new()) }
    }

    /// Releases `mutex`, waits to be notified, and takes `mutex` again.
    ///
    /// # Safety
    /// The calling thread holds `mutex`.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub unsafe fn wait(&self, mutex: &RawMutex) {
        // SAFETY: as the caller promises.
        unsafe { self.wait_deadline(mutex, None, Location::caller()) };
    }

    /// As [`RawCondvar::wait`], until the monotonic clock is at `deadline_ns`. Returns whether it
    /// was notified. The mutex is taken again in both cases, however long that lasts.
    ///
    /// # Safety
    /// The calling thread holds `mutex`.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub unsafe fn wait_until(&self, mutex: &RawMutex, deadline_ns: u64) -> bool {
        // SAFETY: as the caller promises.
        unsafe { self.wait_deadline(mutex, Some(deadline_ns), Location::caller()) }
    }

    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub(crate) unsafe fn wait_data(&self, mutex: &RawMutex, deadline_ns: Option<u64>) -> bool {
        // SAFETY: as the caller promises.
        unsafe { self.wait_deadline(mutex, deadline_ns, Location::caller()) }
    }

    unsafe fn wait_deadline(
        &self,
        mutex: &RawMutex,
        deadline_ns: Option<u64>,
        place: &'static Location<'static>,
    ) -> bool {
        let node = Node::new(sys::current());
        node.companion.set(core::ptr::from_ref(mutex).cast());
        // SAFETY: the node is new; this function returns when it is out of all lists.
        self.queue.with(|list| unsafe { list.push_back(&node) });
        let id = core::ptr::from_ref(self).cast();
        let waits = diagnose::waits(id, Kind::Condvar, place, deadline_ns.is_none());
        // SAFETY: the caller holds it.
        unsafe { mutex.unlock() };
        loop {
            let wakeup = sys::park(deadline_ns);
            // Read under the lock: then the notifier has let go of the node.
            let (notified, left) = self.queue.with(|list| {
                let notified = node.state() != WAITING;
                let left = !notified && wakeup == Wakeup::TimedOut;
                if left {
                    // SAFETY: nobody took it out.
                    unsafe { list.remove(&node) };
                }
                (notified, left)
            });
            if notified {
                drop(waits);
                mutex.wait_moved(&node, place);
                return true;
            }
            if left {
                drop(waits);
                mutex.lock();
                return false;
            }
        }
    }

    /// Lets the longest waiting thread go on.
    pub fn notify_one(&self) {
        let _critical = sys::critical();
        let wake = self.queue.with(|list| Self::pass(list).1);
        if let Some(thread) = wake {
            thread.unpark();
        }
    }

    /// Lets all threads go on that wait now, one after the other as the mutex allows.
    pub fn notify_all(&self) {
        let _critical = sys::critical();
        self.queue.with(|list| {
            loop {
                let (some, wake) = Self::pass(list);
                if let Some(thread) = wake {
                    thread.unpark();
                }
                if !some {
                    return;
                }
            }
        });
    }

    /// Moves the first waiting thread to its mutex. Returns whether there was one, and whom to
    /// wake.
    fn pass(list: &mut List) -> (bool, Option<sys::ThreadRef>) {
        let Some(node) = list.pop_front() else { return (false, None) };
        // SAFETY: the waiting thread's call borrows the mutex until its node is out of
        // all lists.
        let mutex = unsafe { &*node.companion.get().cast::<RawMutex>() };
        // SAFETY: out of the list; its thread is in `wait_deadline`, which looks at its state.
        (true, unsafe { mutex.move_here(node) })
    }
}

impl Default for RawCondvar {
    fn default() -> Self {
        Self::new()
    }
}
