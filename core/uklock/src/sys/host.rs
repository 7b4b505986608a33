//! `std` as the scheduler, for tests and benchmarks.

use core::cell::Cell;
use core::fmt;
use std::thread::{self, Thread};
use std::time::Duration;

use super::Wakeup;

pub use core::sync::atomic;

/// What a [`ThreadRef`] points to. Never freed: references outlive their threads.
#[repr(align(8))]
struct Record {
    thread: Thread,
    /// The thread's own and the one that counts: only noted, the host knows nothing of them.
    #[cfg(feature = "inherit")]
    priorities: Cell<(u8, u8)>,
    #[cfg(feature = "inherit")]
    words: [atomic::AtomicUsize; 2],
}

/// A thread of `std`.
#[derive(Clone, Copy)]
pub struct ThreadRef(&'static Record);

impl ThreadRef {
    #[cfg(feature = "inherit")]
    pub fn priority(self) -> u8 {
        self.0.priorities.get().1
    }
    #[cfg(feature = "inherit")]
    pub fn base_priority(self) -> u8 {
        self.0.priorities.get().0
    }
    #[cfg(feature = "inherit")]
    pub fn inherit_priority(self, priority: u8) {
        self.0.priorities.set((self.base_priority(), priority));
    }
    #[cfg(feature = "inherit")]
    pub fn lock_words(self) -> Option<&'static [atomic::AtomicUsize; 2]> {
        Some(&self.0.words)
    }
    pub fn to_usize(self) -> usize {
        core::ptr::from_ref(self.0).expose_provenance()
    }
    #[cfg(any(feature = "smp", feature = "inherit"))]
    pub fn from_usize(word: usize) -> Self {
        // SAFETY: words come from `to_usize`, and records are never freed.
        Self(unsafe { &*core::ptr::with_exposed_provenance(word) })
    }
    pub fn unpark(self) {
        self.0.thread.unpark();
    }
    #[cfg(feature = "smp")]
    pub fn is_running(self) -> bool {
        true
    }
}

impl PartialEq for ThreadRef {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.0, other.0)
    }
}

impl Eq for ThreadRef {}

impl fmt::Debug for ThreadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ThreadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.thread.name().unwrap_or("unnamed"))
    }
}

thread_local! {
    static ME: Cell<Option<ThreadRef>> = const { Cell::new(None) };
}

#[inline]
pub fn current() -> ThreadRef {
    ME.get().unwrap_or_else(|| {
        let record = Record {
            thread: thread::current(),
            #[cfg(feature = "inherit")]
            priorities: Cell::new((0, 0)),
            #[cfg(feature = "inherit")]
            words: [const { atomic::AtomicUsize::new(0) }; 2],
        };
        let me = ThreadRef(Box::leak(Box::new(record)));
        ME.set(Some(me));
        me
    })
}

pub fn park(deadline_ns: Option<u64>) -> Wakeup {
    let Some(deadline) = deadline_ns else {
        thread::park();
        return Wakeup::Token;
    };
    let left = deadline.saturating_sub(ukplat::monotonic_ns());
    if left > 0 {
        thread::park_timeout(Duration::from_nanos(left));
    }
    if ukplat::monotonic_ns() >= deadline { Wakeup::TimedOut } else { Wakeup::Token }
}

#[inline(always)]
pub fn interleave() {}

pub fn relax() {
    thread::yield_now();
}

#[cfg(not(feature = "smp"))]
pub use one_at_a_time::{Critical, critical};
#[cfg(feature = "smp")]
pub use parallel::{Critical, critical};

#[cfg(feature = "smp")]
mod parallel {
    /// Nothing: preemption on the host does no harm.
    pub struct Critical;

    #[inline(always)]
    pub fn critical() -> Critical {
        Critical
    }
}

/// Threads of the host run in parallel; for code written for one CPU, a critical section keeps
/// all others out of theirs.
#[cfg(not(feature = "smp"))]
mod one_at_a_time {
    use core::cell::Cell;
    use core::marker::PhantomData;
    use core::sync::atomic::{AtomicBool, Ordering};

    static TAKEN: AtomicBool = AtomicBool::new(false);

    thread_local! {
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }

    /// The one CPU.
    pub struct Critical(PhantomData<*mut ()>);

    pub fn critical() -> Critical {
        if DEPTH.replace(DEPTH.get() + 1) == 0 {
            while TAKEN.swap(true, Ordering::Acquire) {
                std::thread::yield_now();
            }
        }
        Critical(PhantomData)
    }

    impl Drop for Critical {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
            if DEPTH.get() == 0 {
                TAKEN.store(false, Ordering::Release);
            }
        }
    }
}
