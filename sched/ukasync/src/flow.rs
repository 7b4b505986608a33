//! The flow of control that an executor belongs to: how it is told from others, waits and is woken.

/// A flow of control: a thread or, where there is none, a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// A thread.
    #[cfg(feature = "threads")]
    Thread {
        /// Never given to another thread.
        id: u64,
        handle: uksched::ThreadRef,
    },
    /// A CPU that runs to completion.
    Cpu(usize),
}

impl Flow {
    /// The one that calls.
    #[inline]
    pub fn current() -> Self {
        #[cfg(feature = "threads")]
        if let Some(handle) = uksched::try_current() {
            return Flow::Thread { id: handle.id(), handle };
        }
        Flow::Cpu(ukplat::cpu_id())
    }

    /// Waits until [`Flow::wake`] was called after `is_idle` was set, or an interrupt came, or the
    /// monotonic clock has reached the deadline. Returns at once unless `nothing_to_do` holds.
    pub fn wait(deadline_ns: Option<u64>, nothing_to_do: impl Fn() -> bool) {
        #[cfg(feature = "threads")]
        if uksched::try_current().is_some() {
            // A token that is left between looking and parking makes `park` return.
            if nothing_to_do() {
                uksched::park(deadline_ns);
            }
            return;
        }
        // Between looking and waiting no interrupt may come.
        let _no_interrupts = ukplat::irq::disable();
        if nothing_to_do() {
            ukplat::idle_until(deadline_ns);
        }
    }

    /// Ends the wait of the flow.
    pub fn wake(self) {
        match self {
            #[cfg(feature = "threads")]
            Flow::Thread { handle, .. } => handle.unpark(),
            // The interrupt that called us ends the wait of the own CPU. In unit tests all threads
            // of the host are CPU 0.
            Flow::Cpu(cpu) if cpu == ukplat::cpu_id() && !cfg!(test) => {}
            Flow::Cpu(cpu) => ukplat::cpu_interrupt(cpu),
        }
    }
}
