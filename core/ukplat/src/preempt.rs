//! Preemption: a running flow of control loses its CPU without having asked for it.
//!
//! A scheduler gives a hook with [`on_request`]. An interrupt handler that wants another flow to run
//! calls [`request`]; when the interrupt ends, the platform calls the hook on the stack of the
//! interrupted flow, with all its registers saved, vector registers included. The hook may
//! [switch](crate::context::switch) to other flows and return much later, with several CPUs perhaps
//! on another one; then the interrupted flow goes on as if nothing had been.
//!
//! A flow that must keep its CPU holds a guard of [`disable`]. The last guard to be dropped calls
//! the hook when there was a request meanwhile; so does whoever enables interrupts again.
//!
//! The hook runs with interrupts enabled and preemption disabled (one guard's worth). A scheduler
//! holds exactly one guard wherever it switches, so that the count of the CPU is that of each flow
//! that runs on it; a new flow starts with that guard and takes it over with
//! [`PreemptGuard::adopt`].
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
//! static CALLS: AtomicU32 = AtomicU32::new(0);
//!
//! ukplat::preempt::on_request(|| {
//!     CALLS.fetch_add(1, Relaxed);
//! });
//! let outer = ukplat::preempt::disable();
//! let inner = ukplat::preempt::disable();
//! ukplat::preempt::request();
//! drop(inner);
//! assert_eq!(CALLS.load(Relaxed), 0);
//! drop(outer);
//! assert_eq!(CALLS.load(Relaxed), 1);
//! ```

use core::marker::PhantomData;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicPtr, compiler_fence};

use crate::local::Word;
use crate::platform::bound;

static HOOK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Keeps the running flow on its CPU while it lives. Guards nest.
#[must_use = "preemption is possible again when the guard is dropped"]
#[derive(Debug)]
pub struct PreemptGuard {
    // The count belongs to one flow and its CPU: the guard must not move to another.
    _not_send: PhantomData<*mut ()>,
}

/// Disables preemption of the running flow until the guard is dropped. Interrupts still come.
#[inline]
pub fn disable() -> PreemptGuard {
    Word::PreemptCount.add(1);
    // What the guard protects must not move before this.
    compiler_fence(SeqCst);
    PreemptGuard { _not_send: PhantomData }
}

impl PreemptGuard {
    /// The guard that a new flow was started with.
    ///
    /// # Safety
    /// Called once, by a flow that was switched to for the first time, while the one who switched
    /// held exactly one guard.
    pub const unsafe fn adopt() -> Self {
        Self { _not_send: PhantomData }
    }
}

impl Drop for PreemptGuard {
    #[inline]
    fn drop(&mut self) {
        compiler_fence(SeqCst);
        Word::PreemptCount.add(usize::MAX);
        check();
    }
}

/// Whether the running flow can be preempted, as far as guards are concerned.
#[inline]
pub fn is_enabled() -> bool {
    Word::PreemptCount.load() == 0
}

/// Asks for the hook to be called on the current CPU as soon as that is allowed: at the end of the
/// interrupt, or when the last guard is dropped. May be called from interrupt handlers.
#[inline]
pub fn request() {
    Word::PreemptRequested.store(1);
}

/// Sets what [`request`] leads to; a scheduler calls it once.
pub fn on_request(hook: fn()) {
    HOOK.store(hook as *mut (), Relaxed);
}

fn hook() -> Option<fn()> {
    let hook = HOOK.load(Relaxed);
    // SAFETY: only `on_request` stores here, and it takes a `fn()`.
    (!hook.is_null()).then(|| unsafe { core::mem::transmute::<*mut (), fn()>(hook) })
}

/// Whether there is a hook at all: where not, nothing needs to be kept away from it.
#[inline]
pub fn in_use() -> bool {
    !HOOK.load(Relaxed).is_null()
}

/// Whether the hook is to be called now, if interrupts are enabled. For platforms.
#[inline]
pub fn is_due() -> bool {
    in_use() && Word::PreemptRequested.load() != 0 && is_enabled()
}

/// Calls the hook if it is due and interrupts are enabled.
#[inline]
pub(crate) fn check() {
    if is_due() {
        check_slowly();
    }
}

#[cold]
#[inline(never)]
fn check_slowly() {
    // A handler that ran when interrupts were enabled may have asked again.
    while is_due() && (bound().irq_disable)() {
        reschedule();
        (bound().irq_enable)();
    }
}

/// Calls the hook until no request is left. For platforms: at the end of an interrupt that came
/// with interrupts enabled, on the stack of the interrupted flow, after saving its registers.
/// Interrupts must be disabled, and are again when it returns; the CPU may be another then.
pub fn reschedule() {
    while is_due()
        && let Some(hook) = hook()
    {
        Word::PreemptRequested.store(0);
        Word::PreemptCount.add(1);
        (bound().irq_enable)();
        hook();
        (bound().irq_disable)();
        Word::PreemptCount.add(usize::MAX);
    }
}
