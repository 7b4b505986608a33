//! A thread that commits what was changed some time ago, when nobody changes anything any more.

use alloc::sync::{Arc, Weak};

use uklock::OnceLock;
use uksched::JoinHandle;

use crate::fs::Shared;

/// The thread of a file system that is written. It ends with the file system.
#[derive(Debug, Default)]
pub struct Committer(OnceLock<JoinHandle<()>>);

impl Committer {
    /// Lets the thread begin. Without memory for it there is none: changes wait for the next one
    /// then.
    pub fn start(&self, shared: &Arc<Shared>) {
        if self.0.get().is_some() {
            return;
        }
        let shared = Arc::downgrade(shared);
        if let Ok(thread) = uksched::Builder::new("ext4").spawn(move || serve(&shared)) {
            let _ = self.0.set(thread);
        }
    }

    /// The first change of a transaction was made, or there is nothing left to commit.
    pub fn wake(&self) {
        if let Some(thread) = self.0.get() {
            thread.thread().unpark();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.wake();
    }
}

fn serve(shared: &Weak<Shared>) {
    // Nobody is kept mounted by this: there is a reference only while there is something to do.
    while let Some(next) = shared.upgrade().map(|shared| shared.commit_old()) {
        uksched::park(next);
    }
}
