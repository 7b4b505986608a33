//! The inner state of the primitives, behind short critical sections.

use core::cell::UnsafeCell;

#[cfg(feature = "smp")]
use crate::spin::Ticket;
use crate::sys;

/// A value used by one flow of control at a time, for a few instructions. With several CPUs by a
/// ticket lock with preemption disabled, with threads on one CPU by not being preempted, else by
/// nothing. With `IRQ` interrupts are disabled too, so that interrupt handlers may use it.
pub(crate) struct Guarded<T, const IRQ: bool = false> {
    #[cfg(feature = "smp")]
    ticket: Ticket,
    value: UnsafeCell<T>,
}

// SAFETY: `with` gives the value to one flow of control at a time (reasons in there). What is
// kept inside (lists of waiting threads, counters) may be used from any of them.
unsafe impl<T, const IRQ: bool> Sync for Guarded<T, IRQ> {}
// SAFETY: as above.
unsafe impl<T, const IRQ: bool> Send for Guarded<T, IRQ> {}

impl<T, const IRQ: bool> Guarded<T, IRQ> {
    pub const fn new(value: T) -> Self {
        Self {
            #[cfg(feature = "smp")]
            ticket: Ticket::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `f` with the value. `f` must be short, must not wait, panic, or use this value again.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let _irq = IRQ.then(ukplat::irq::disable);
        let _critical = sys::critical();
        #[cfg(feature = "smp")]
        self.ticket.lock();
        // SAFETY: no other flow of control is between here and the end of `f`: other CPUs wait
        // for the ticket; other threads of this CPU do not run, as this one is not preempted and
        // `f` does not wait; interrupt handlers use only values with IRQ, and those with
        // interrupts disabled. `f` itself does not come here again (contract within this crate).
        let result = f(unsafe { &mut *self.value.get() });
        #[cfg(feature = "smp")]
        self.ticket.unlock();
        result
    }
}
