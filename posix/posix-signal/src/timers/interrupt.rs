//! Without a scheduler: the platform's timer, which nobody else uses then. Its interrupt says that
//! something has expired; the program looks at the end of calls and in waits.

use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use syscall_shim::{Errno, request_call_end};

static EXPIRED: AtomicBool = AtomicBool::new(false);

/// A timer was armed or disarmed.
///
/// # Errors
/// None.
pub fn changed() -> Result<(), Errno> {
    ukplat::timer_on_expiry(|| {
        EXPIRED.store(true, SeqCst);
        request_call_end(true);
    });
    look_again();
    Ok(())
}

/// Timers may expire at other times than it seemed.
pub fn look_again() {
    ukplat::timer_arm(super::expire());
}

/// Sends what has expired.
pub fn look() {
    if EXPIRED.load(SeqCst) {
        EXPIRED.store(false, SeqCst);
        look_again();
    }
}

/// An interrupt that came meanwhile is still to be looked at.
pub fn request() {
    if EXPIRED.load(SeqCst) {
        request_call_end(true);
    }
}
