//! A thread that waits.

use posix_time::Clock;
use syscall_shim::Errno;

/// Who waits, as far as it can be woken.
#[cfg(all(feature = "threads", not(feature = "model")))]
pub type Waiter = uksched::ThreadRef;
#[cfg(feature = "model")]
pub type Waiter = uklock::model::ThreadRef;
/// The only flow of control waits, so nobody is there to wake it.
#[cfg(not(any(feature = "threads", feature = "model")))]
#[derive(Clone, Copy)]
pub struct Waiter;

pub fn this() -> Waiter {
    #[cfg(feature = "model")]
    return uklock::model::current();
    #[cfg(all(feature = "threads", not(feature = "model")))]
    return uksched::current();
    #[cfg(not(any(feature = "threads", feature = "model")))]
    Waiter
}

pub fn unpark(waiter: Waiter) {
    #[cfg(any(feature = "threads", feature = "model"))]
    waiter.unpark();
    #[cfg(not(any(feature = "threads", feature = "model")))]
    let Waiter = waiter;
}

/// Until when to wait, by a clock.
#[derive(Clone, Copy)]
pub struct Deadline {
    clock: Clock,
    ns: u64,
}

impl Deadline {
    /// When the clock shows so many nanoseconds, also if it is set meanwhile.
    pub fn at(clock: Clock, ns: u64) -> Self {
        if clock == Clock::Real {
            ukplat::on_wall_set(&WALL_SET);
        }
        Self { clock, ns }
    }

    /// So many nanoseconds from now on.
    pub fn after(ns: u64) -> Self {
        Self::at(Clock::Monotonic, ukplat::monotonic_ns().saturating_add(ns))
    }
}

static WALL_SET: ukplat::WallSet = |_| {
    crate::calls::look_again();
    crate::pi::look_again();
};

/// Waits until somebody wakes the thread, with or without a reason.
pub fn wait_once(deadline: Option<Deadline>) -> Result<(), Errno> {
    let deadline_ns = deadline.map(|deadline| deadline.clock.deadline_ns(deadline.ns));
    // Without threads an interrupt is what interrupts: none may come between looking and waiting.
    #[cfg(not(any(feature = "threads", feature = "model")))]
    let _irq = ukplat::irq::disable();
    if uklock::interrupted() {
        return Err(Errno::EINTR);
    }
    if deadline_ns.is_some_and(|deadline| ukplat::monotonic_ns() >= deadline) {
        return Err(Errno::ETIMEDOUT);
    }
    #[cfg(feature = "model")]
    uklock::model::park(deadline_ns);
    #[cfg(all(feature = "threads", not(feature = "model")))]
    uksched::park(deadline_ns);
    #[cfg(not(any(feature = "threads", feature = "model")))]
    ukplat::idle_until(deadline_ns);
    Ok(())
}

/// How urgent it is that a thread goes on.
pub fn urgency(waiter: Waiter) -> u8 {
    #[cfg(all(feature = "threads", not(feature = "model")))]
    return waiter.priority();
    #[cfg(any(not(feature = "threads"), feature = "model"))]
    {
        let _ = waiter;
        0
    }
}
