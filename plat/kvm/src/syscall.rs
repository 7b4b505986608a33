//! Instructions for system calls, which here come from code with the privileges of the system.

use ukarch_x86_64::syscall::{enable, set_handler};
use ukplat::syscall::Handler;

#[cfg(feature = "smp")]
static WANTED: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

/// Makes them reach a handler, on this CPU and on those that are started later.
pub fn handle_with(handler: Handler) {
    set_handler(handler);
    #[cfg(feature = "smp")]
    WANTED.store(true, core::sync::atomic::Ordering::Release);
    // SAFETY: kernel mode; the tables were loaded before boot phases run.
    unsafe { enable() }
}

/// What a CPU does that is started later, once it has its tables.
#[cfg(feature = "smp")]
pub fn prepare_cpu() {
    if WANTED.load(core::sync::atomic::Ordering::Acquire) {
        // SAFETY: kernel mode, with the tables loaded.
        unsafe { enable() }
    }
}
