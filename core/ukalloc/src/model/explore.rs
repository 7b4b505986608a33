//! Points at which a model checker may let another thread go on.

use std::cell::Cell;

std::thread_local! {
    static POINT: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Runs `test` with a call of `point` before every access to an [`AtomicWord`](crate::sync::AtomicWord)
/// on this thread: the checker's function that switches between the threads it plays. They must
/// all run on this thread of the host, as those of `shuttle` do.
pub fn explore(point: fn(), test: impl FnOnce()) {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            POINT.set(None);
        }
    }
    POINT.set(Some(point));
    let _reset = Reset;
    test();
}

#[inline]
pub(crate) fn scheduling_point() {
    if let Some(point) = POINT.get() {
        point();
    }
}
