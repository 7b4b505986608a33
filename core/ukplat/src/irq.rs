//! Interrupt control of the current CPU.

use crate::platform::bound;

/// Keeps interrupts disabled while it lives. Guards nest.
///
/// ```
/// let guard = ukplat::irq::disable();
/// // not interrupted here
/// drop(guard);
/// ```
#[must_use = "interrupts are enabled again when the guard is dropped"]
#[derive(Debug)]
pub struct IrqGuard {
    enable_on_drop: bool,
    // Interrupt state belongs to one CPU: the guard must not move to another.
    _not_send: core::marker::PhantomData<*mut ()>,
}

/// Disables interrupts on this CPU until the guard is dropped.
pub fn disable() -> IrqGuard {
    IrqGuard { enable_on_drop: (bound().irq_disable)(), _not_send: core::marker::PhantomData }
}

/// Enables interrupts on this CPU: the boot sequence does, and flows that were started with
/// interrupts disabled. What is pending is handled at once, a request for preemption too.
pub fn enable() {
    (bound().irq_enable)();
    crate::preempt::check();
}

impl Drop for IrqGuard {
    fn drop(&mut self) {
        if self.enable_on_drop {
            enable();
        }
    }
}
