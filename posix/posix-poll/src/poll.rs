//! Waiting for one of several files, once.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use ukerrno::Errno;
use ukfile::{Description, Events, WatchId, Watcher, fallible};
use uklock::WaitQueue;

/// A file, what it is waited for, and what it is ready for.
#[derive(Debug)]
pub struct Wanted {
    /// The file; `None` for a descriptor that is not open.
    pub file: Option<Arc<Description>>,
    /// What is asked for.
    pub interest: Events,
    /// What was found.
    pub found: Events,
}

impl Wanted {
    /// Something to wait for.
    pub const fn new(file: Option<Arc<Description>>, interest: Events) -> Self {
        Self { file, interest, found: Events::empty() }
    }
}

/// A call that waits.
#[derive(Default)]
struct Waiting {
    told: AtomicBool,
    queue: WaitQueue,
}

impl Watcher for Waiting {
    fn changed(&self, _key: u64, _events: Events) {
        self.told.store(true, Ordering::SeqCst);
        self.queue.wake_one();
    }
}

/// Looks at all files; returns how many are ready.
fn look(wanted: &mut [Wanted]) -> usize {
    let mut count = 0;
    for one in wanted {
        one.found = match &one.file {
            Some(file) => file.file().ready() & (one.interest | Events::ALWAYS),
            None => Events::INVALID,
        };
        count += usize::from(!one.found.is_empty());
    }
    count
}

/// Registrations, which end with the call.
struct Watches<'a> {
    wanted: &'a [Arc<Description>],
    ids: Vec<(usize, WatchId)>,
}

impl Drop for Watches<'_> {
    fn drop(&mut self) {
        for (index, id) in self.ids.drain(..) {
            if let Some(watchers) = self.wanted[index].file().watchers() {
                watchers.unwatch(id);
            }
        }
    }
}

/// Waits until one of the files is ready or the monotonic clock is at `deadline_ns`; returns how
/// many are. A deadline that is over makes it look only.
///
/// # Errors
/// `ENOMEM`; `EINTR`
pub fn poll(wanted: &mut [Wanted], deadline_ns: Option<u64>) -> Result<usize, Errno> {
    let over = |now| deadline_ns.is_some_and(|deadline| now >= deadline);
    let count = look(wanted);
    if count > 0 || over(ukplat::monotonic_ns()) {
        return Ok(count);
    }
    let waiting = fallible::arc(Waiting::default())?;
    let mut files = Vec::new();
    files.try_reserve_exact(wanted.len()).map_err(|_| Errno::ENOMEM)?;
    files.extend(wanted.iter().filter_map(|one| one.file.clone()));
    let mut watches = Watches { wanted: &files, ids: Vec::new() };
    for (index, one) in wanted.iter().filter(|one| one.file.is_some()).enumerate() {
        if let Some(watchers) = files[index].file().watchers() {
            watches.ids.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            let id = watchers.watch(waiting.clone(), one.interest, 0)?;
            watches.ids.push((index, id));
        }
    }
    loop {
        // Cleared before the look: what comes after it is told again.
        waiting.told.store(false, Ordering::SeqCst);
        let count = look(wanted);
        if count > 0 || over(ukplat::monotonic_ns()) {
            return Ok(count);
        }
        let timed = files.iter().filter_map(|file| file.file().ready_at());
        let until = timed.chain(deadline_ns).min();
        let told = || waiting.told.load(Ordering::SeqCst);
        waiting.queue.wait_interruptible(until, told).map_err(|_| Errno::EINTR)?;
    }
}
