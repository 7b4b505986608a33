//! What happens between a call and the application: signals are delivered there.

use core::sync::atomic::{AtomicBool, Ordering};

use ukplat::StaticRef;

/// Called with the result of a call when something was requested; returns what the application
/// sees in its place.
pub type AfterCall = fn(isize) -> isize;

/// Tells whether the call that the running thread is in is to end early, with `EINTR`.
pub type Interrupted = fn() -> bool;

static REQUESTED: AtomicBool = AtomicBool::new(false);
static HOOK: StaticRef<AfterCall> = StaticRef::new();
static INTERRUPTED: StaticRef<Interrupted> = StaticRef::new();

/// Sets what [`interrupted`](crate::interrupted) asks while something is requested.
pub fn on_interrupted_query(query: &'static Interrupted) {
    INTERRUPTED.set(query);
}

pub(crate) fn interrupted() -> bool {
    REQUESTED.load(Ordering::Acquire) && INTERRUPTED.get().is_some_and(|query| query())
}

/// Sets the function that is called after calls, in place of the one before.
pub fn on_call_end(hook: &'static AfterCall) {
    HOOK.set(hook);
}

/// Whether the function is to be called after every call from now on, until this says otherwise.
/// Without a request a call costs one load more.
pub fn request_call_end(requested: bool) {
    REQUESTED.store(requested, Ordering::Release);
}

#[inline]
pub(crate) fn run(result: isize) -> isize {
    if REQUESTED.load(Ordering::Acquire) { slow(result) } else { result }
}

#[cold]
fn slow(result: isize) -> isize {
    HOOK.get().map_or(result, |hook| hook(result))
}
