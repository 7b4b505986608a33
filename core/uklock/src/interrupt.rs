//! Waits that end early because something else is to be done first: a signal is to be handled.

use core::fmt;

use ukplat::StaticRef;

/// The wait ended because the thread was [interrupted](interrupted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wait was interrupted")
    }
}

impl core::error::Error for Interrupted {}

/// Tells whether the running thread is to end what it waits for.
pub type Query = fn() -> bool;

static QUERY: StaticRef<Query> = StaticRef::new();

/// Sets what [`interrupted`] asks. It may wait for locks.
pub fn on_interrupted_query(query: &'static Query) {
    QUERY.set(query);
}

/// Whether the running thread is to end what it waits for. Whoever makes this true for a thread wakes
/// it afterwards; those that wait look again then.
///
/// ```
/// assert!(!uklock::interrupted());
/// ```
pub fn interrupted() -> bool {
    QUERY.get().is_some_and(|query| query())
}
