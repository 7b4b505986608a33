//! Being asked to stop, by whoever started the image: as a signal asks a process.
//!
//! A platform notes the request with [`request`], from an interrupt handler. It is carried out when
//! the image has nothing to do the next time: [`idle_until`](crate::idle_until) calls the function
//! that the boot sequence gave to [`on_request`], which shuts down in order. An image that never
//! waits is not stopped in this way; who asked ends it then by other means.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
//! static STOPS: AtomicU32 = AtomicU32::new(0);
//!
//! ukplat::stop::on_request(|| {
//!     STOPS.fetch_add(1, Relaxed);
//! });
//! ukplat::stop::request();
//! assert!(ukplat::stop::is_requested());
//! // Interrupts do not stop the image themselves, and it stops once.
//! assert_eq!(STOPS.load(Relaxed), 0);
//! for _ in 0..2 {
//!     ukplat::idle_until(Some(0));
//! }
//! assert_eq!(STOPS.load(Relaxed), 1);
//! ```

use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use core::sync::atomic::{AtomicBool, AtomicPtr};

/// Exit code of an image that was asked to stop: that of a process that ends by SIGTERM.
pub const EXIT_CODE: u8 = 128 + 15;

static REQUESTED: AtomicBool = AtomicBool::new(false);
static TAKEN: AtomicBool = AtomicBool::new(false);
static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Notes that the image is to stop. For platforms; callable in interrupt handlers.
pub fn request() {
    REQUESTED.store(true, Release);
}

/// Whether the image was asked to stop. Platforms look before they wait.
#[inline]
pub fn is_requested() -> bool {
    REQUESTED.load(Acquire)
}

/// Sets what stops the image. It is called once, by a flow that would wait otherwise, with
/// interrupts enabled or disabled; usually it does not return.
pub fn on_request(handler: fn()) {
    HANDLER.store(handler as *mut (), Release);
}

/// Stops the image if it was asked to, and this was not done before.
#[inline]
pub(crate) fn check() {
    if is_requested() {
        stop();
    }
}

#[cold]
fn stop() {
    let handler = HANDLER.load(Acquire);
    // What the handler calls may wait as well.
    if handler.is_null() || TAKEN.swap(true, AcqRel) {
        return;
    }
    // SAFETY: only `on_request` stores here, and it takes a `fn()`.
    let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
    handler();
}
