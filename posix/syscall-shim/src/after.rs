//! What happens between a call and the application: signals are delivered there.

use core::sync::atomic::{AtomicU8, Ordering};

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

/// [`REQUESTED`] and [`NOTED`]: in one word, so that a call that nothing happens after costs one look
/// before its handler and one after.
static ATTENTION: AtomicU8 = AtomicU8::new(0);
const REQUESTED: u8 = 1;
const NOTED: u8 = 2;
static DELIVERY: StaticRef<Delivery> = StaticRef::new();

/// Sets what delivers signals.
pub fn on_call_end(delivery: &'static Delivery) {
    DELIVERY.set(delivery);
}

/// Whether the function is to be called after every call from now on, until this says otherwise.
pub fn request_call_end(requested: bool) {
    if requested {
        ATTENTION.fetch_or(REQUESTED, Ordering::Release);
    } else {
        ATTENTION.fetch_and(!REQUESTED, Ordering::Release);
    }
}

/// Whether delivery is requested.
#[inline]
pub fn is_call_end_requested() -> bool {
    ATTENTION.load(Ordering::Acquire) & REQUESTED != 0
}

/// Makes calls tell when they begin and end, from now on.
pub fn note_calls() {
    ATTENTION.fetch_or(NOTED, Ordering::Relaxed);
}

/// Whether more has to be done for a call than to run its handler.
#[inline(always)]
pub(crate) fn is_attended() -> bool {
    ATTENTION.load(Ordering::Acquire) != 0
}

/// A call from its beginning on. The words come as parameters, and first, because those of callers
/// are in these registers: a call that nothing happens after moves none.
///
/// # Safety
/// The words must be what the call's manual page says.
#[cold]
pub(crate) unsafe extern "C" fn attended(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
    call: &'static Syscall,
) -> isize {
    let noted = ATTENTION.load(Ordering::Relaxed) & NOTED != 0;
    let delivery = DELIVERY.get().filter(|_| noted);
    if let Some(delivery) = delivery {
        (delivery.begin_call)();
    }
    // SAFETY: the caller's promise.
    let result = unsafe {
        let result = (call.handler)(a, b, c, d, e, f);
        ended(a, b, c, d, e, f, call, result)
    };
    if let Some(delivery) = delivery {
        (delivery.end_call)();
    }
    result
}

/// What follows a handler's result, until there is one for the application.
///
/// # Safety
/// The words must be what the call's manual page says.
#[cold]
pub(crate) unsafe extern "C" fn ended(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
    call: &'static Syscall,
    mut result: isize,
) -> isize {
    let words = &[a, b, c, d, e, f];
    while is_call_end_requested() || result == Errno::EPIPE.to_raw() {
        let Some(delivery) = DELIVERY.get() else { break };
        match (delivery.after_call)(Ended { call, words, result }) {
            Then::Return(result) => return result,
            // SAFETY: the caller's promise.
            Then::Again => result = unsafe { (call.handler)(a, b, c, d, e, f) },
        }
    }
    result
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
