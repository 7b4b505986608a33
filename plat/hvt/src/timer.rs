//! Interrupts: the tender stops the CPU and makes it run the image's handler, on the interrupted
//! stack. Disabling them is one store: the tender then only notes what came.

use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicPtr, compiler_fence};

use hvt_abi::NEVER;
use hvt_abi::cpu_page::{PENDING, PENDING_STOP, PENDING_TIMER};
use ukarch_x86_64::vector;
use ukplat::{preempt, stop};

use crate::local::{DEADLINE, is_enabled, is_pending, page, set_enabled};
use crate::{call, clock};

static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

#[inline]
pub fn irq_disable() -> bool {
    // An interrupt between load and store finds interrupts enabled, and leaves them enabled.
    let was = is_enabled();
    set_enabled(false);
    // Handlers run on this same CPU: only the compiler could move accesses out of the section.
    compiler_fence(SeqCst);
    was
}

pub fn irq_enable() {
    compiler_fence(SeqCst);
    set_enabled(true);
    // An interrupt from here on finds interrupts enabled and takes what is pending too.
    while is_pending() {
        set_enabled(false);
        run_pending();
        set_enabled(true);
    }
}

/// Runs the handlers of everything that came. Interrupts are disabled.
fn run_pending() {
    // With interrupts disabled only the tender writes this word, while the CPU does not run: an
    // exchange in one instruction loses nothing.
    let bits = page()[PENDING].swap(0, Relaxed);
    if bits & PENDING_TIMER != 0 {
        on_timer();
    }
    #[cfg(feature = "devices")]
    if bits & hvt_abi::cpu_page::PENDING_DEVICE != 0 {
        crate::devices::on_interrupt();
    }
    if bits & PENDING_STOP != 0 {
        stop::request();
    }
    #[cfg(feature = "smp")]
    if bits & hvt_abi::cpu_page::PENDING_CPU != 0 {
        crate::cpus::on_cpu_interrupt();
    }
}

/// What the tender makes the CPU do for an interrupt, after the entry code saved all registers.
/// Interrupts are disabled.
pub extern "C" fn on_interrupt() {
    loop {
        run_pending();
        if preempt::is_due() {
            vector::keep_upper_halves(preempt::reschedule);
        }
        compiler_fence(SeqCst);
        set_enabled(true);
        if !is_pending() {
            return;
        }
        set_enabled(false);
    }
}

fn deadline() -> u64 {
    !DEADLINE.load() as u64
}

fn set_deadline(ns: u64) {
    DEADLINE.store(!ns as usize);
}

fn on_timer() {
    let deadline = deadline();
    if deadline == NEVER {
        return;
    }
    let now = clock::monotonic_ns();
    if now < deadline {
        // The host's clock and the counter do not quite agree, or it was for something else.
        return call::set_timer(deadline - now);
    }
    set_deadline(NEVER);
    let handler = HANDLER.load(Relaxed);
    if !handler.is_null() {
        // SAFETY: only `on_expiry` stores here, and it takes a `fn()`.
        let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
        handler();
    }
}

pub fn on_expiry(handler: fn()) {
    HANDLER.store(handler as *mut (), Relaxed);
}

pub fn arm(deadline_ns: Option<u64>) {
    // The timer is this CPU's: the flow must not move to another meanwhile.
    let _guard = ukplat::irq::disable();
    let deadline = deadline_ns.unwrap_or(NEVER);
    if deadline == NEVER && self::deadline() == NEVER {
        return;
    }
    set_deadline(deadline);
    call::set_timer(match deadline {
        NEVER => NEVER,
        _ => deadline.saturating_sub(clock::monotonic_ns()),
    });
}

/// Waits for an interrupt. Interrupts are disabled.
pub fn wait_until(deadline_ns: Option<u64>) {
    let left = deadline_ns.map(|d| d.saturating_sub(clock::monotonic_ns()));
    if left != Some(0) {
        call::wait(left.unwrap_or(NEVER));
    }
}

pub fn idle_until(deadline_ns: Option<u64>) {
    let was_enabled = irq_disable();
    if !is_pending() && !stop::is_requested() {
        #[cfg(feature = "devices")]
        crate::look::wait_until(deadline_ns);
        #[cfg(not(feature = "devices"))]
        wait_until(deadline_ns);
    }
    irq_enable();
    if !was_enabled {
        irq_disable();
    }
}
