//! What a scheduling policy decides.

use crate::{Ready, ThreadRef};

/// Why a thread becomes ready to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was just created.
    New,
    /// What it waited for has happened.
    Woken,
    /// It made room by itself.
    Yielded,
    /// Its time slice is over.
    SliceOver,
    /// A thread that goes before it became ready; its time slice is not over.
    Interrupted,
}

/// Who runs next on one CPU. Called with preemption disabled, never from interrupt handlers.
///
/// A policy holds threads only as [`Ready`], of which there is one at most for each thread, so
/// that it cannot run a thread twice. It must hand out again what it was given.
pub trait Policy: Send + 'static {
    /// Whether the timer takes the CPU away from threads that do not yield.
    const PREEMPTIVE: bool;

    /// A thread is ready.
    fn push(&mut self, thread: Ready, reason: Reason);

    /// The thread to run now.
    fn pop(&mut self) -> Option<Ready>;

    /// Whether no thread is ready.
    fn is_empty(&self) -> bool;

    /// Nanoseconds for which the running thread may keep others waiting that are ready now;
    /// `None` for ever.
    fn time_slice_ns(&self, running: ThreadRef) -> Option<u64> {
        let _ = running;
        None
    }

    /// A thread for another CPU that has nothing to do, one that `may` says can go there.
    fn steal(&mut self, may: &mut dyn FnMut(ThreadRef) -> bool) -> Option<Ready> {
        let _ = may;
        None
    }

    /// The priority of a thread has changed: if it is ready here, gives it its new place. Returns
    /// whether it is.
    fn reorder(&mut self, thread: ThreadRef) -> bool {
        let _ = thread;
        false
    }

    /// Whether CPUs of this policy that have nothing to do get threads of each other. Otherwise a
    /// thread stays on the CPU where it was placed when it was made. Asked once, at boot.
    fn steals(&self) -> bool {
        true
    }
}
