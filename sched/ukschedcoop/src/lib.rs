//! The cooperative scheduler: threads run until they wait or yield.
//!
//! Ready threads form one queue; priorities do not count. Switching costs little more than saving
//! the registers that functions keep, and data that threads share needs no lock where nobody waits.
//!
//! ```
//! use ukschedcoop::Coop;
//! use uksched::Policy;
//!
//! assert!(Coop::new().is_empty());
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use uksched::{Policy, Queue, Ready, Reason, ThreadRef};

/// The policy.
#[derive(Debug, Default)]
pub struct Coop {
    ready: Queue,
}

impl Coop {
    /// Without threads.
    pub const fn new() -> Self {
        Self { ready: Queue::new() }
    }
}

impl Policy for Coop {
    const PREEMPTIVE: bool = false;

    #[inline]
    fn push(&mut self, thread: Ready, _reason: Reason) {
        self.ready.push(thread);
    }

    #[inline]
    fn pop(&mut self) -> Option<Ready> {
        self.ready.pop()
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    fn steal(&mut self, may: &mut dyn FnMut(ThreadRef) -> bool) -> Option<Ready> {
        self.ready.remove_if(may)
    }
}
