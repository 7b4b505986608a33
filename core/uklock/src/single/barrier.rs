//! The barrier for one.

use super::deadlock;

/// Lets a number of threads wait for each other. Here there is one.
pub struct RawBarrier {
    threads: usize,
}

impl RawBarrier {
    /// A barrier for this many threads; 0 is as 1.
    pub const fn new(threads: usize) -> Self {
        Self { threads }
    }

    /// Returns true when the barrier is for one thread, and panics otherwise: no other will come.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn wait(&self) -> bool {
        if self.threads > 1 {
            deadlock("a barrier for several threads is waited at");
        }
        true
    }
}
