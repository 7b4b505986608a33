//! Waiting for one of several files, once.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use ukerrno::Errno;
use ukfile::{Description, Events, WatchId, Watcher, fallible};
use uklock::WaitQueue;

use crate::look::look;

/// Files of one call for which no memory is taken.
pub const FEW: usize = 16;

/// A file, what it is waited for, and what it is ready for.
#[derive(Debug)]
pub struct Wanted {
    /// The file; `None` for a descriptor that is not open.
    pub file: Option<Arc<Description>>,
    /// What is asked for.
    pub interest: Events,
    /// What was found.
    pub found: Events,
    /// The registration of a call that waits.
    watch: Option<WatchId>,
}

impl Wanted {
    /// Something to wait for.
    pub const fn new(file: Option<Arc<Description>>, interest: Events) -> Self {
        Self { file, interest, found: Events::empty(), watch: None }
    }

    /// A place for one.
    pub(crate) const fn nothing() -> Self {
        Self::new(None, Events::empty())
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

/// Looks at all files; returns how many are ready, and when to look again without being told.
fn look_at(wanted: &mut [Wanted]) -> (usize, Option<u64>) {
    let (mut count, mut next) = (0, None);
    for one in wanted {
        let look = |file: &Arc<Description>| look(file.file(), one.interest | Events::ALWAYS);
        let (found, at) = one.file.as_ref().map_or((Events::INVALID, None), look);
        one.found = found;
        count += usize::from(!found.is_empty());
        next = next.into_iter().chain(at).min();
    }
    (count, next)
}

/// Files that are watched as long as the call waits.
struct Watches<'a>(&'a mut [Wanted]);

impl Drop for Watches<'_> {
    fn drop(&mut self) {
        for one in &mut *self.0 {
            let watchers = one.file.as_ref().and_then(|file| file.file().watchers());
            if let (Some(watch), Some(watchers)) = (one.watch.take(), watchers) {
                watchers.unwatch(watch);
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
    let (count, _) = look_at(wanted);
    if count > 0 || over(ukplat::monotonic_ns()) {
        return Ok(count);
    }
    let waiting = fallible::arc(Waiting::default())?;
    let watches = Watches(wanted);
    for one in &mut *watches.0 {
        if let Some(watchers) = one.file.as_ref().and_then(|file| file.file().watchers()) {
            one.watch = Some(watchers.watch(waiting.clone(), one.interest, 0)?);
        }
    }
    loop {
        // Cleared before the look: what comes after it is told again.
        waiting.told.store(false, Ordering::SeqCst);
        let (count, next) = look_at(watches.0);
        if count > 0 || over(ukplat::monotonic_ns()) {
            return Ok(count);
        }
        let until = next.into_iter().chain(deadline_ns).min();
        let told = || waiting.told.load(Ordering::SeqCst);
        waiting.queue.wait_interruptible(until, told).map_err(|_| Errno::EINTR)?;
    }
}
