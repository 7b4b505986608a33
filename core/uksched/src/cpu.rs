//! What belongs to one CPU.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering::{Acquire, Release};

#[cfg(feature = "smp")]
use ukalloc::RawLock;
use uktimers::Deadlines;

use crate::inbox::Inbox;
#[cfg(feature = "smp")]
use crate::sys::SpinLock;
use crate::sys::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
use crate::sys::context;
use crate::thread::Thread;
use crate::{Instance, Policy, ThreadRef};

/// The thread that runs on this CPU.
#[inline]
pub fn current() -> Option<ThreadRef> {
    // One instruction reads the word of this CPU: preemption cannot come between and move us.
    // SAFETY: only `set_current` notes something, static threads.
    unsafe { (context::flow() as *const Thread).as_ref() }.map(ThreadRef)
}

#[inline]
pub fn set_current(thread: ThreadRef) {
    context::set_flow(core::ptr::from_ref(thread.0) as usize);
}

/// No deadline.
pub const NEVER: u64 = u64::MAX;

/// The scheduler's state on one CPU.
pub struct Cpu<P> {
    policy: UnsafeCell<P>,
    policy_lock: Lock,
    timers: UnsafeCell<Deadlines<ThreadRef>>,
    pub(crate) inbox: Inbox,
    /// The timer interrupt came: deadlines may be over.
    pub(crate) expired: AtomicBool,
    /// What the timer is set to, in nanoseconds.
    pub(crate) armed: AtomicU64,
    /// When the next tick of time slices comes; [`NEVER`] while nobody has to be interrupted.
    pub(crate) tick_at: AtomicU64,
    /// Ticks so far.
    pub(crate) ticks: AtomicU32,
    pub(crate) idle: AtomicBool,
    /// The scheduler that the CPU belongs to.
    pub(crate) instance: &'static Instance,
    /// Other CPUs with which it exchanges threads, a bit each.
    #[cfg(feature = "smp")]
    pub(crate) peers: AtomicU64,
    /// The thread that ended, and whose stack was left by the last switch.
    pub(crate) ended: AtomicPtr<Thread>,
    /// The thread that the last switch left, for other CPUs that wait to take it.
    #[cfg_attr(not(feature = "smp"), expect(dead_code, reason = "there are no other CPUs"))]
    pub(crate) left: AtomicPtr<Thread>,
}

// SAFETY: the policy is reached through `with_policy`, under a lock where there are other CPUs; the
// timers are the own CPU's alone, outside of interrupt handlers and with preemption disabled.
unsafe impl<P: Policy> Sync for Cpu<P> {}

impl<P: Policy> Cpu<P> {
    /// A CPU with nothing to do.
    pub const fn new(policy: P, instance: &'static Instance) -> Self {
        Self {
            instance,
            #[cfg(feature = "smp")]
            peers: AtomicU64::new(0),
            policy: UnsafeCell::new(policy),
            policy_lock: Lock::new(),
            timers: UnsafeCell::new(Deadlines::new()),
            inbox: Inbox::new(),
            expired: AtomicBool::new(false),
            armed: AtomicU64::new(NEVER),
            tick_at: AtomicU64::new(NEVER),
            ticks: AtomicU32::new(0),
            idle: AtomicBool::new(false),
            ended: AtomicPtr::new(core::ptr::null_mut()),
            left: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// The policy; `work` must not come back here.
    ///
    /// # Safety
    /// Preemption must be disabled, and this must not be an interrupt handler.
    #[inline]
    pub(crate) unsafe fn with_policy<R>(&self, work: impl FnOnce(&mut P) -> R) -> R {
        let _held = self.policy_lock.hold();
        // SAFETY: other CPUs are locked out, and on this one nothing comes between.
        work(unsafe { &mut *self.policy.get() })
    }

    /// The deadlines; `work` must not come back here.
    ///
    /// # Safety
    /// On this CPU alone, with preemption disabled, not in an interrupt handler.
    #[inline]
    pub(crate) unsafe fn with_timers<R>(
        &self,
        work: impl FnOnce(&mut Deadlines<ThreadRef>) -> R,
    ) -> R {
        // SAFETY: the caller's promise makes this the only reference.
        work(unsafe { &mut *self.timers.get() })
    }
}

impl<P> core::fmt::Debug for Cpu<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cpu").finish_non_exhaustive()
    }
}

/// Excludes other CPUs; nothing when there are none. Held with preemption disabled, or for work
/// that preemption does no harm to.
#[derive(Debug)]
pub struct Lock {
    #[cfg(feature = "smp")]
    spin: SpinLock,
}

impl Lock {
    pub const fn new() -> Self {
        Self {
            #[cfg(feature = "smp")]
            spin: SpinLock::new(),
        }
    }

    /// Holds the lock until the result is dropped.
    #[inline]
    pub fn hold(&self) -> Held<'_> {
        #[cfg(feature = "smp")]
        self.spin.acquire();
        Held(self)
    }
}

/// See [`Lock::hold`].
pub struct Held<'a>(&'a Lock);

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        #[cfg(feature = "smp")]
        self.0.spin.release();
        let _ = self.0;
    }
}

/// Takes what a cell of this CPU holds.
#[inline]
pub fn take(cell: &AtomicPtr<Thread>) -> Option<ThreadRef> {
    // Only this CPU writes: no exchange is needed.
    let thread = cell.load(Acquire);
    if thread.is_null() {
        return None;
    }
    cell.store(core::ptr::null_mut(), Release);
    // SAFETY: only static threads are stored.
    unsafe { thread.as_ref() }.map(ThreadRef)
}
