//! The least that uklock needs of a scheduler, for looking at instructions.
#![no_std]

use core::fmt;

#[repr(align(8))]
pub struct Thread(u64);

#[derive(Clone, Copy)]
pub struct ThreadRef(&'static Thread);

impl PartialEq for ThreadRef {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.0, other.0)
    }
}
impl Eq for ThreadRef {}
impl fmt::Debug for ThreadRef {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl ThreadRef {
    #[inline(always)]
    pub fn to_usize(self) -> usize {
        core::ptr::from_ref(self.0).expose_provenance()
    }
    /// # Safety
    /// From `to_usize`.
    #[inline(always)]
    pub unsafe fn from_usize(word: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { &*core::ptr::with_exposed_provenance(word) })
    }
    pub fn name(self) -> &'static str {
        "thread"
    }
    pub fn unpark(self) {
        unsafe { sched_unpark(self.to_usize()) }
    }
    pub fn is_running(self) -> bool {
        true
    }
}

pub struct CpuHooks {
    pub quiescent: fn(usize),
    pub offline: fn(usize),
    pub online: fn(usize),
}

unsafe extern "C" {
    fn sched_hooks(hooks: usize);
}

pub fn on_cpu_events(hooks: &'static CpuHooks) {
    unsafe { sched_hooks(core::ptr::from_ref(hooks).expose_provenance()) }
}

pub enum Wakeup {
    Token,
    TimedOut,
}

unsafe extern "C" {
    static CURRENT: Option<&'static Thread>;
    fn sched_park(deadline_ns: u64) -> bool;
    fn sched_unpark(thread: usize);
}

#[inline(always)]
pub fn try_current() -> Option<ThreadRef> {
    unsafe { CURRENT.map(ThreadRef) }
}

pub fn park(deadline_ns: Option<u64>) -> Wakeup {
    match unsafe { sched_park(deadline_ns.unwrap_or(u64::MAX)) } {
        true => Wakeup::Token,
        false => Wakeup::TimedOut,
    }
}

#[cfg(not(preemptive))]
pub struct PreemptGuard;

#[cfg(not(preemptive))]
#[inline(always)]
pub fn preempt_disable() -> PreemptGuard {
    PreemptGuard
}

#[cfg(preemptive)]
mod count {
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed, compiler_fence, Ordering::SeqCst};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static REQUESTED: AtomicU32 = AtomicU32::new(0);
    pub struct PreemptGuard(());
    #[inline(always)]
    pub fn preempt_disable() -> PreemptGuard {
        COUNT.store(COUNT.load(Relaxed) + 1, Relaxed);
        compiler_fence(SeqCst);
        PreemptGuard(())
    }
    impl Drop for PreemptGuard {
        #[inline(always)]
        fn drop(&mut self) {
            compiler_fence(SeqCst);
            let left = COUNT.load(Relaxed) - 1;
            COUNT.store(left, Relaxed);
            if left == 0 && REQUESTED.load(Relaxed) != 0 {
                unsafe { switch() }
            }
        }
    }
    unsafe extern "C" {
        fn switch();
    }
}
#[cfg(preemptive)]
pub use count::{PreemptGuard, preempt_disable};
