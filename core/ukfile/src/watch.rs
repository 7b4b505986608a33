//! Being told when a file gets ready.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use ukerrno::Errno;
use uklock::Mutex;

use crate::{Events, fallible};

/// Who wants to know: a call of `poll` that waits, an `epoll` instance.
pub trait Watcher: Any + Send + Sync {
    /// A file got ready for `events`, or the time at which it does so changed
    /// ([`File::ready_at`](crate::File::ready_at)). `key` is what the watcher gave when it began to
    /// watch.
    ///
    /// Called with the file's list of watchers locked: it must not watch, or stop watching, the
    /// same file.
    fn changed(&self, key: u64, events: Events);

    /// The same, when the watcher said [`Events::EXCLUSIVE`]. Returns whether it has somebody who waited and
    /// goes on for it; else the next is told, too.
    fn changed_for_one(&self, key: u64, events: Events) -> bool {
        self.changed(key, events);
        true
    }

    /// The file is about to be closed: nobody has the description any more that was
    /// [watched](crate::Description::watch). [`Watcher::changed`] is not called with this key again.
    fn closed(&self, _key: u64) {}
}

/// A registration, for [`Watchers::unwatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchId(u64);

struct Registration {
    id: WatchId,
    interest: Events,
    key: u64,
    watcher: Arc<dyn Watcher>,
}

#[derive(Default)]
struct List {
    next: u64,
    entries: Vec<Registration>,
}

/// Those that watch one file. Part of each file whose readiness changes; not for interrupt
/// handlers.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// use ukfile::{Events, Watcher, Watchers};
///
/// #[derive(Default)]
/// struct Last(AtomicU64);
/// impl Watcher for Last {
///     fn changed(&self, key: u64, _events: Events) {
///         self.0.store(key, Relaxed);
///     }
/// }
///
/// let (watchers, last) = (Watchers::new(), Arc::new(Last::default()));
/// let id = watchers.watch(last.clone(), Events::IN, 7)?;
/// watchers.notify(Events::OUT);
/// assert_eq!(last.0.load(Relaxed), 0, "not what was asked for");
/// watchers.notify(Events::IN);
/// assert_eq!(last.0.load(Relaxed), 7);
/// watchers.unwatch(id);
/// # Ok::<(), ukerrno::Errno>(())
/// ```
#[derive(Default)]
pub struct Watchers {
    // So that a file that nobody watches pays a load.
    count: AtomicUsize,
    list: Mutex<List>,
}

impl Watchers {
    /// Nobody.
    pub const fn new() -> Self {
        Self { count: AtomicUsize::new(0), list: Mutex::new(List { next: 0, entries: Vec::new() }) }
    }

    /// Tells `watcher` from now on of `interest`, and of what [`Events::ALWAYS`] has.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn watch(
        &self,
        watcher: Arc<dyn Watcher>,
        interest: Events,
        key: u64,
    ) -> Result<WatchId, Errno> {
        let mut list = self.list.lock();
        let id = WatchId(list.next);
        let interest = interest | Events::ALWAYS;
        fallible::push(&mut list.entries, Registration { id, interest, key, watcher })?;
        list.next += 1;
        // Ordered before the watcher's look at the file, as `notify` is after the change.
        self.count.fetch_add(1, Ordering::SeqCst);
        Ok(id)
    }

    /// Ends it. When it returns, the watcher is not called any more.
    pub fn unwatch(&self, id: WatchId) {
        let removed = {
            let mut list = self.list.lock();
            list.entries.iter().position(|r| r.id == id).map(|at| list.entries.swap_remove(at))
        };
        if removed.is_some() {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Changes what `id` wants to know.
    pub fn set_interest(&self, id: WatchId, interest: Events) {
        let mut list = self.list.lock();
        if let Some(entry) = list.entries.iter_mut().find(|r| r.id == id) {
            entry.interest = interest | Events::ALWAYS;
        }
    }

    /// The file has just become ready for `events`, or it will be at another time than before:
    /// tells those that want to know. Called after the change, without locks of the file.
    #[inline]
    pub fn notify(&self, events: Events) {
        if self.count.load(Ordering::SeqCst) != 0 {
            self.notify_all(events);
        }
    }

    /// Calls `f` with each that watches; the list is locked meanwhile.
    pub fn for_each(&self, mut f: impl FnMut(&dyn Watcher)) {
        self.list.lock().entries.iter().for_each(|entry| f(&*entry.watcher));
    }

    #[cold]
    fn notify_all(&self, events: Events) {
        let list = self.list.lock();
        let mut goes_on = false;
        for entry in list.entries.iter().filter(|r| r.interest.intersects(events)) {
            if !entry.interest.contains(Events::EXCLUSIVE) {
                entry.watcher.changed(entry.key, events);
            } else if !goes_on {
                goes_on = entry.watcher.changed_for_one(entry.key, events);
            }
        }
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watchers").field(&self.count.load(Ordering::Relaxed)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(std::sync::Mutex<Vec<(u64, Events)>>);

    impl Watcher for Log {
        fn changed(&self, key: u64, events: Events) {
            self.0.lock().unwrap().push((key, events));
        }
    }

    /// Those that say so are told until one of them goes on; the others always are.
    #[test]
    fn one_is_enough_of_those_that_say_so() {
        struct Waits(bool, Log);
        impl Watcher for Waits {
            fn changed(&self, key: u64, events: Events) {
                self.1.changed(key, events);
            }
            fn changed_for_one(&self, key: u64, events: Events) -> bool {
                self.changed(key, events);
                self.0
            }
        }
        let [idle, first, second] =
            [false, true, true].map(|waits| Arc::new(Waits(waits, Log::default())));
        let (watchers, all) = (Watchers::new(), Arc::new(Log::default()));
        let exclusive = Events::IN | Events::EXCLUSIVE;
        for watcher in [&idle, &first, &second] {
            watchers.watch(watcher.clone(), exclusive, 0).unwrap();
        }
        watchers.watch(all.clone(), Events::IN, 0).unwrap();
        watchers.notify(Events::IN);
        watchers.notify(Events::OUT);
        let told = [&idle.1, &first.1, &second.1, &all].map(|log| log.0.lock().unwrap().len());
        assert_eq!(told, [1, 1, 0, 1]);
    }

    #[test]
    fn each_hears_what_it_asked_for_while_it_watches() {
        let (watchers, log) = (Watchers::new(), Arc::new(Log::default()));
        let first = watchers.watch(log.clone(), Events::IN, 1).unwrap();
        let second = watchers.watch(log.clone(), Events::OUT, 2).unwrap();
        watchers.notify(Events::IN);
        watchers.notify(Events::HANG_UP);
        watchers.unwatch(first);
        watchers.unwatch(first);
        watchers.set_interest(second, Events::IN);
        watchers.notify(Events::OUT);
        watchers.notify(Events::IN);
        watchers.unwatch(second);
        watchers.notify(Events::IN);
        let heard = log.0.lock().unwrap().clone();
        assert_eq!(
            heard,
            [(1, Events::IN), (1, Events::HANG_UP), (2, Events::HANG_UP), (2, Events::IN)]
        );
        assert_eq!(Arc::strong_count(&log), 1);
    }
}
