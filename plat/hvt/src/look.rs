//! Waiting for devices that are quick: to stop the CPU and to start it again takes longer than they do,
//! so it looks for their interrupts for a while before it waits.

use core::hint::spin_loop;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, fence};

use hvt_abi::cpu_page::{LOOKING, PENDING, PENDING_DEVICE};
use ukplat::Platform;

use crate::local::{is_pending, page};
use crate::{Hvt, clock, timer};

/// For how long it looks: as KVM does by default for machines with an interrupt controller of its own
/// (`halt_poll_ns`).
const LOOK_NS: u64 = 200_000;
/// A wait that was shorter would have been worth a look.
const SHORT_NS: u64 = 300_000;

/// Whether the last wait was a short one for a device: an image that waits for long does not look.
static LOOKS: AtomicBool = AtomicBool::new(false);

/// As [`timer::wait_until`].
pub fn wait_until(deadline_ns: Option<u64>) {
    // Devices interrupt the first CPU.
    if Hvt::cpu_id() != 0 {
        return timer::wait_until(deadline_ns);
    }
    let start = clock::monotonic_ns();
    if LOOKS.load(Relaxed)
        && look(start.saturating_add(LOOK_NS).min(deadline_ns.unwrap_or(u64::MAX)))
    {
        return;
    }
    timer::wait_until(deadline_ns);
    let is_short = clock::monotonic_ns().saturating_sub(start) < SHORT_NS;
    LOOKS.store(is_short && page()[PENDING].load(Relaxed) & PENDING_DEVICE != 0, Relaxed);
}

/// Looks for interrupts up to a time; whether one came. Interrupts are disabled.
fn look(until_ns: u64) -> bool {
    let looking = &page()[LOOKING];
    looking.store(1, SeqCst);
    while !is_pending() && clock::monotonic_ns() < until_ns {
        spin_loop();
    }
    looking.store(0, SeqCst);
    // A device that saw the first store, but not the second, has set its bit before this looks.
    fence(SeqCst);
    is_pending()
}
