//! The image's scheduler. What is expected of it:
//!
//! * `uksched::ThreadRef: Copy + Eq + Debug`, with `name()` that can be displayed, and
//!   `to_usize`, never 0, at least 16, with three low bits clear, reversed by `from_usize`.
//! * `try_current`: the running thread, `None` before there are threads. Cheap: it is called by
//!   every mutex that is taken.
//! * `park(deadline_ns)` returns at once when a token is there and takes it. `Wakeup::TimedOut`
//!   only when the deadline (monotonic, absolute) has passed. It may return early.
//! * `ThreadRef::unpark` and `is_running` may be called through a reference whose thread has ended
//!   meanwhile, and then do no harm. `unpark` may be called with preemption or interrupts
//!   disabled, and from interrupt handlers; it does not switch before both are enabled again, and
//!   uses nothing of this crate but spinlocks.
//! * `preempt_disable` nests; its guard `PreemptGuard` is nothing for cooperative schedulers. It
//!   may be called from interrupt handlers and before there are threads.
//! * With several CPUs, the hooks of [`crate::rcu`].

use core::fmt;

use super::Wakeup;

pub use core::sync::atomic;

/// A thread, or what runs before there are threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadRef(Option<uksched::ThreadRef>);

/// What stands for the flow of control that boots.
const BOOT: usize = 8;

impl ThreadRef {
    #[inline(always)]
    pub fn to_usize(self) -> usize {
        self.0.map_or(BOOT, uksched::ThreadRef::to_usize)
    }

    #[cfg(any(feature = "smp", feature = "inherit"))]
    #[inline(always)]
    pub fn from_usize(word: usize) -> Self {
        // SAFETY: the words of locks are numbers that `to_usize` gave.
        Self((word != BOOT).then(|| unsafe { uksched::ThreadRef::from_usize(word) }))
    }

    #[inline]
    pub fn unpark(self) {
        if let Some(thread) = self.0 {
            thread.unpark();
        }
    }

    /// The priority that counts.
    #[cfg(feature = "inherit")]
    pub fn priority(self) -> u8 {
        self.0.map_or(0, uksched::ThreadRef::priority)
    }

    /// The priority without what is inherited.
    #[cfg(feature = "inherit")]
    pub fn base_priority(self) -> u8 {
        self.0.map_or(0, uksched::ThreadRef::base_priority)
    }

    /// Makes another priority count.
    #[cfg(feature = "inherit")]
    pub fn inherit_priority(self, priority: u8) {
        if let Some(thread) = self.0 {
            thread.inherit_priority(priority);
        }
    }

    /// Two words of the thread for this crate, 0 when the thread begins.
    #[cfg(feature = "inherit")]
    pub fn lock_words(self) -> Option<&'static [atomic::AtomicUsize; 2]> {
        self.0.map(uksched::ThreadRef::lock_words)
    }

    #[cfg(feature = "smp")]
    #[inline]
    pub fn is_running(self) -> bool {
        self.0.is_none_or(uksched::ThreadRef::is_running)
    }
}

impl fmt::Display for ThreadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(thread) => fmt::Display::fmt(&thread.name(), f),
            None => f.write_str("boot"),
        }
    }
}

#[inline(always)]
pub fn current() -> ThreadRef {
    ThreadRef(uksched::try_current())
}

/// Not preempted while it lives.
pub struct Critical {
    _guard: uksched::PreemptGuard,
}

#[inline(always)]
pub fn critical() -> Critical {
    Critical { _guard: uksched::preempt_disable() }
}

/// Waits for a token or the deadline.
///
/// # Panics
/// Before there are threads: nobody could end the wait.
pub fn park(deadline_ns: Option<u64>) -> Wakeup {
    assert!(uksched::try_current().is_some(), "deadlock: a wait before there are threads");
    match uksched::park(deadline_ns) {
        uksched::Wakeup::Token => Wakeup::Token,
        uksched::Wakeup::TimedOut => Wakeup::TimedOut,
    }
}

/// A place where a model would switch threads.
#[inline(always)]
pub fn interleave() {}

/// A spin loop goes round once more, after some time.
#[inline]
pub fn relax() {
    ukplat::relax();
}
