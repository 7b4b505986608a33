//! Without threads what was changed waits for the next change.

use alloc::sync::Arc;

use crate::fs::Shared;

#[derive(Debug, Default)]
pub struct Committer {
    /// How often there was something for a thread to wait for.
    #[cfg(test)]
    pub woken: core::sync::atomic::AtomicUsize,
}

impl Committer {
    pub fn start(&self, _shared: &Arc<Shared>) {}

    pub fn wake(&self) {
        #[cfg(test)]
        self.woken.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    }
}
