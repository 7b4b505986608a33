//! What happens between a call and the application: signals are delivered there.

use core::sync::atomic::{AtomicBool, Ordering};

use ukplat::StaticRef;

use crate::{Errno, Syscall, WORDS};

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The call.
    pub call: &'static Syscall,
    /// Its words.
    pub words: &'a [usize; WORDS],
    /// Its result in a register.
    pub result: isize,
}

/// What follows the end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The application goes on with this result.
    Return(isize),
    /// The call is made again.
    Again,
}

/// What delivers signals.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// Called when a call has ended and delivery was [requested](request_call_end), or the call
    /// ended with `EPIPE`.
    pub after_call: fn(Ended<'_>) -> Then,
    /// The calling thread blocks other signals for the time of a wait.
    pub begin_mask: fn(u64),
    /// The wait is over, without a signal.
    pub end_mask: fn(),
    /// Called at the beginning of each call, if [`note_calls`] wants it.
    pub begin_call: fn(),
    /// Called at the end of each call that `begin_call` was called for.
    pub end_call: fn(),
}

static REQUESTED: AtomicBool = AtomicBool::new(false);
static NOTED: AtomicBool = AtomicBool::new(false);
static DELIVERY: StaticRef<Delivery> = StaticRef::new();

/// Sets what delivers signals.
pub fn on_call_end(delivery: &'static Delivery) {
    DELIVERY.set(delivery);
}

/// Whether the function is to be called after every call from now on, until this says otherwise.
/// Without a request a call costs one load and two comparisons more.
pub fn request_call_end(requested: bool) {
    REQUESTED.store(requested, Ordering::Release);
}

/// Whether delivery is requested.
#[inline]
pub fn is_call_end_requested() -> bool {
    REQUESTED.load(Ordering::Acquire)
}

/// Makes calls tell when they begin and end, from now on. Until then a call costs one load and one
/// comparison for this.
pub fn note_calls() {
    NOTED.store(true, Ordering::Relaxed);
}

/// A call begins; returns whether its end is to be told.
#[inline]
pub(crate) fn begin() -> bool {
    let noted = NOTED.load(Ordering::Relaxed);
    if noted {
        tell(|delivery| delivery.begin_call);
    }
    noted
}

/// A call ends whose beginning was told.
#[inline]
pub(crate) fn end(noted: bool) {
    if noted {
        tell(|delivery| delivery.end_call);
    }
}

#[cold]
#[inline(never)]
fn tell(what: fn(&Delivery) -> fn()) {
    if let Some(delivery) = DELIVERY.get() {
        what(delivery)();
    }
}

#[inline]
pub(crate) fn run(call: &'static Syscall, words: &[usize; WORDS], result: isize) -> Then {
    if is_call_end_requested() || result == Errno::EPIPE.to_raw() {
        slow(Ended { call, words, result })
    } else {
        Then::Return(result)
    }
}

#[cold]
fn slow(ended: Ended<'_>) -> Then {
    match DELIVERY.get() {
        Some(delivery) => (delivery.after_call)(ended),
        None => Then::Return(ended.result),
    }
}

pub(crate) fn with_mask<R>(
    mask: Option<u64>,
    wait: impl FnOnce() -> Result<R, Errno>,
) -> Result<R, Errno> {
    // Nobody can send a signal as long as nothing delivers them.
    let Some((delivery, mask)) = DELIVERY.get().zip(mask) else { return wait() };
    (delivery.begin_mask)(mask);
    let result = wait();
    // With a signal the mask stays for its delivery, after the call.
    if !matches!(result, Err(Errno::EINTR)) {
        (delivery.end_mask)();
    }
    result
}
