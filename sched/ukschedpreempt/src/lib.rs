//! The preemptive scheduler: fixed priorities, and time slices within each.
//!
//! The ready thread with the highest priority runs, at once when it becomes ready: also while
//! another one runs that neither waits nor yields. Threads of the same priority take turns; each
//! keeps the CPU for a time slice at most while others wait. A bitmap finds the highest priority
//! in constant time.
//!
//! ```
//! use uksched::Policy;
//! use ukschedpreempt::{Config, Preempt};
//!
//! assert!(Preempt::new(Config { slice_us: 10_000, work_stealing: true }).is_empty());
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use uksched::{PRIORITIES, Policy, Queue, Ready, Reason, ThreadRef};

/// Options.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Microseconds for which a thread may keep others of its priority waiting.
    pub slice_us: i64,
    /// Whether a CPU that has nothing to do takes ready threads from others.
    pub work_stealing: bool,
}

/// The policy.
#[derive(Debug)]
pub struct Preempt {
    slice_ns: u64,
    steals: bool,
    /// Bit `i`: the queue of priority `i` is not empty.
    filled: u32,
    ready: [Queue; PRIORITIES as usize],
}

impl Preempt {
    /// Without threads.
    pub const fn new(config: Config) -> Self {
        const { assert!(PRIORITIES as u32 == u32::BITS) };
        Self {
            slice_ns: config.slice_us as u64 * 1_000,
            steals: config.work_stealing,
            filled: 0,
            ready: [const { Queue::new() }; PRIORITIES as usize],
        }
    }

    fn highest(&self) -> Option<usize> {
        self.filled.checked_ilog2().map(|i| i as usize)
    }

    fn taken(&mut self, priority: usize) {
        if self.ready[priority].is_empty() {
            self.filled &= !(1 << priority);
        }
    }
}

impl Policy for Preempt {
    const PREEMPTIVE: bool = true;

    #[inline]
    fn push(&mut self, thread: Ready, reason: Reason) {
        let priority = usize::from(thread.thread().priority()) % usize::from(PRIORITIES);
        self.filled |= 1 << priority;
        match reason {
            // Its slice goes on when nobody goes before it.
            Reason::Interrupted => self.ready[priority].push_front(thread),
            _ => self.ready[priority].push(thread),
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Ready> {
        let priority = self.highest()?;
        let thread = self.ready[priority].pop();
        self.taken(priority);
        thread
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.filled == 0
    }

    fn time_slice_ns(&self, running: ThreadRef) -> Option<u64> {
        // Lower priorities wait until nobody above them is ready: no tick is needed for them.
        let same = self.highest() == Some(usize::from(running.priority()));
        same.then_some(self.slice_ns)
    }

    fn reorder(&mut self, thread: ThreadRef) -> bool {
        for priority in 0..usize::from(PRIORITIES) {
            if let Some(ready) = self.ready[priority].remove_if(&mut |other| other == thread) {
                self.taken(priority);
                self.push(ready, Reason::Woken);
                return true;
            }
        }
        false
    }

    fn steals(&self) -> bool {
        self.steals
    }

    fn steal(&mut self, may: &mut dyn FnMut(ThreadRef) -> bool) -> Option<Ready> {
        for priority in (0..usize::from(PRIORITIES)).rev() {
            if let Some(thread) = self.ready[priority].remove_if(may) {
                self.taken(priority);
                return Some(thread);
            }
        }
        None
    }
}
