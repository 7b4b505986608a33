//! Waiting for many files, many times.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use ukerrno::Errno;
use ukfile::{Description, Events, File, WatchId, Watcher, Watchers, fallible};
use uklock::{Mutex, WaitQueue};

/// Instances that may watch each other in a row (`EP_MAX_NESTS` of Linux).
const MAX_NESTS: usize = 4;

/// How often an event is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// As long as the file is ready.
    Level,
    /// When it gets ready: `EPOLLET`.
    Edge,
    /// Once, until it is asked for again: `EPOLLONESHOT`.
    Once,
}

/// What is wanted of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// What it may get ready for.
    pub events: Events,
    /// How often that is told.
    pub edge: Edge,
    /// What the event carries.
    pub data: u64,
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What the file is ready for.
    pub events: Events,
    /// What [`Interest`] had.
    pub data: u64,
}

struct Item {
    file: Weak<Description>,
    interest: Interest,
    /// Told once, and not asked for since.
    silent: bool,
    /// A timed file that was ready when it was last looked at.
    was_ready: bool,
    link: Arc<Link>,
    watch: Option<WatchId>,
}

/// What a file tells when it gets ready.
struct Link {
    id: u64,
    /// It is in the queue.
    queued: AtomicBool,
    shared: Arc<Shared>,
}

/// What files reach without the lock of the items, under which they are watched.
struct Shared {
    queue: Mutex<VecDeque<u64>>,
    waiting: WaitQueue,
    watchers: Watchers,
}

impl Link {
    fn enqueue(&self) {
        if !self.queued.swap(true, Ordering::SeqCst) {
            // There is room for each item.
            self.shared.queue.lock().push_back(self.id);
        }
    }
}

impl Watcher for Link {
    fn changed(&self, _key: u64, _events: Events) {
        self.enqueue();
        self.shared.waiting.wake_one();
        self.shared.watchers.notify(Events::READABLE);
    }
}

#[derive(Default)]
struct Items {
    next: u64,
    by_id: BTreeMap<u64, Item>,
    /// By descriptor and file: a number that is used again is another item.
    by_file: BTreeMap<(i32, usize), u64>,
    /// Items whose files have to be asked.
    timed: Vec<u64>,
}

/// An `epoll` instance.
pub struct Epoll {
    items: Mutex<Items>,
    shared: Arc<Shared>,
}

fn key(fd: i32, file: &Arc<Description>) -> (i32, usize) {
    (fd, Arc::as_ptr(file).cast::<()>() as usize)
}

impl Epoll {
    /// An instance that watches nothing.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn new() -> Result<Self, Errno> {
        let shared = fallible::arc(Shared {
            queue: Mutex::new(VecDeque::new()),
            waiting: WaitQueue::new(),
            watchers: Watchers::new(),
        })?;
        Ok(Self { items: Mutex::new(Items::default()), shared })
    }

    /// Watches a file (`EPOLL_CTL_ADD`).
    ///
    /// # Errors
    /// `EEXIST`; `EPERM` for files that are always ready; `ELOOP`; `ENOMEM`
    pub fn add(&self, fd: i32, file: &Arc<Description>, interest: Interest) -> Result<(), Errno> {
        if file.file().watchers().is_none() && !file.file().is_timed() {
            return Err(Errno::EPERM);
        }
        if let Some(inner) = file.downcast::<Self>() {
            inner.check_nesting(self, 0)?;
        }
        let mut items = self.items.lock();
        if items.by_file.contains_key(&key(fd, file)) {
            return Err(Errno::EEXIST);
        }
        let most = items.by_id.len() + 1;
        self.shared.queue.lock().try_reserve(most).map_err(|_| Errno::ENOMEM)?;
        items.timed.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let id = items.next;
        let link = fallible::arc(Link {
            id,
            queued: AtomicBool::new(false),
            shared: self.shared.clone(),
        })?;
        let watch = match file.file().watchers() {
            Some(watchers) => Some(watchers.watch(link.clone(), interest.events, 0)?),
            None => None,
        };
        items.next += 1;
        items.by_file.insert(key(fd, file), id);
        if file.file().is_timed() {
            items.timed.push(id);
        }
        let item = Item {
            file: Arc::downgrade(file),
            interest,
            silent: false,
            was_ready: false,
            link: link.clone(),
            watch,
        };
        items.by_id.insert(id, item);
        drop(items);
        self.enqueue_if_ready(file, interest, &link);
        Ok(())
    }

    /// Changes what is wanted of a file (`EPOLL_CTL_MOD`).
    ///
    /// # Errors
    /// `ENOENT`
    pub fn modify(
        &self,
        fd: i32,
        file: &Arc<Description>,
        interest: Interest,
    ) -> Result<(), Errno> {
        let mut items = self.items.lock();
        let id = *items.by_file.get(&key(fd, file)).ok_or(Errno::ENOENT)?;
        let item = items.by_id.get_mut(&id).ok_or(Errno::ENOENT)?;
        item.interest = interest;
        item.silent = false;
        item.was_ready = false;
        if let (Some(watch), Some(watchers)) = (item.watch, file.file().watchers()) {
            watchers.set_interest(watch, interest.events);
        }
        let link = item.link.clone();
        drop(items);
        self.enqueue_if_ready(file, interest, &link);
        Ok(())
    }

    /// Watches a file no longer (`EPOLL_CTL_DEL`).
    ///
    /// # Errors
    /// `ENOENT`
    pub fn remove(&self, fd: i32, file: &Arc<Description>) -> Result<(), Errno> {
        let mut items = self.items.lock();
        let id = items.by_file.remove(&key(fd, file)).ok_or(Errno::ENOENT)?;
        items.timed.retain(|&timed| timed != id);
        let item = items.by_id.remove(&id);
        drop(items);
        if let Some(watch) = item.and_then(|item| item.watch)
            && let Some(watchers) = file.file().watchers()
        {
            watchers.unwatch(watch);
        }
        Ok(())
    }

    fn enqueue_if_ready(&self, file: &Arc<Description>, interest: Interest, link: &Link) {
        if file.file().ready().intersects(interest.events | Events::ALWAYS) {
            link.enqueue();
            self.shared.waiting.wake_one();
            self.shared.watchers.notify(Events::READABLE);
        }
    }

    fn check_nesting(&self, outer: &Self, depth: usize) -> Result<(), Errno> {
        if core::ptr::eq(self, outer) || depth >= MAX_NESTS {
            return Err(Errno::ELOOP);
        }
        let files: Vec<_> =
            self.items.lock().by_id.values().filter_map(|item| item.file.upgrade()).collect();
        for file in files {
            if let Some(inner) = file.downcast::<Self>() {
                inner.check_nesting(outer, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Puts timed items whose time has come into the queue; returns when the next comes.
    fn look_at_timed(&self) -> Option<u64> {
        let mut items = self.items.lock();
        let Items { by_id, timed, .. } = &mut *items;
        let mut next = None;
        for id in timed {
            let Some(item) = by_id.get_mut(id).filter(|item| !item.silent) else { continue };
            let Some(file) = item.file.upgrade() else { continue };
            let wanted = item.interest.events | Events::ALWAYS;
            let ready = file.file().ready().intersects(wanted);
            if ready && !(item.was_ready && item.interest.edge == Edge::Edge) {
                item.link.enqueue();
            }
            item.was_ready = ready;
            if !ready {
                next = next.into_iter().chain(file.file().ready_at()).min();
            }
        }
        next
    }

    /// Takes events of files that are ready, as many as there is room for.
    fn take(&self, events: &mut Vec<Ready>, room: usize) {
        let mut again: Vec<Arc<Link>> = Vec::new();
        // Each item is looked at once.
        let mut left = self.shared.queue.lock().len();
        while events.len() < room && left > 0 {
            left -= 1;
            let Some(id) = self.shared.queue.lock().pop_front() else { break };
            let mut items = self.items.lock();
            let Some(item) = items.by_id.get_mut(&id) else { continue };
            // Before the look: what comes after it is queued again.
            item.link.queued.store(false, Ordering::SeqCst);
            let Some(file) = item.file.upgrade() else {
                items.by_id.remove(&id);
                items.by_file.retain(|_, of| *of != id);
                items.timed.retain(|&timed| timed != id);
                continue;
            };
            if item.silent {
                continue;
            }
            let (interest, link) = (item.interest, item.link.clone());
            // Without the lock: the file may be another instance.
            drop(items);
            let found = file.file().ready() & (interest.events | Events::ALWAYS);
            if found.is_empty() {
                continue;
            }
            events.push(Ready { events: found, data: interest.data });
            match interest.edge {
                Edge::Level => again.push(link),
                Edge::Edge => {}
                Edge::Once => {
                    if let Some(item) = self.items.lock().by_id.get_mut(&id) {
                        item.silent = true;
                    }
                }
            }
        }
        // At the end of the queue, so that others have their turn.
        again.iter().for_each(|link| link.enqueue());
    }

    /// Waits for events until the monotonic clock is at `deadline_ns`; at most `room` are put into
    /// `events`, which has room for them.
    ///
    /// # Errors
    /// `EINTR`
    pub fn wait(
        &self,
        events: &mut Vec<Ready>,
        room: usize,
        deadline_ns: Option<u64>,
    ) -> Result<(), Errno> {
        loop {
            let next = self.look_at_timed();
            self.take(events, room);
            if !events.is_empty() {
                if !self.shared.queue.lock().is_empty() {
                    self.shared.waiting.wake_one();
                }
                return Ok(());
            }
            let now = ukplat::monotonic_ns();
            if deadline_ns.is_some_and(|deadline| now >= deadline) {
                return Ok(());
            }
            let told = || !self.shared.queue.lock().is_empty();
            let until = next.into_iter().chain(deadline_ns).min();
            let waited = self.shared.waiting.wait_interruptible(until, told);
            waited.map_err(|_| Errno::EINTR)?;
        }
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        let items = core::mem::take(&mut self.items.lock().by_id);
        for item in items.into_values() {
            if let (Some(watch), Some(file)) = (item.watch, item.file.upgrade())
                && let Some(watchers) = file.file().watchers()
            {
                watchers.unwatch(watch);
            }
        }
    }
}

impl File for Epoll {
    fn ready(&self) -> Events {
        self.look_at_timed();
        let queued: Vec<u64> = self.shared.queue.lock().iter().copied().collect();
        let any = queued.into_iter().any(|id| {
            let found = self.items.lock().by_id.get(&id).and_then(|item| {
                let wanted = item.interest.events | Events::ALWAYS;
                item.file.upgrade().filter(|_| !item.silent).map(|file| (file, wanted))
            });
            found.is_some_and(|(file, wanted)| file.file().ready().intersects(wanted))
        });
        if any { Events::READABLE } else { Events::empty() }
    }

    fn watchers(&self) -> Option<&Watchers> {
        Some(&self.shared.watchers)
    }

    fn is_timed(&self) -> bool {
        !self.items.lock().timed.is_empty()
    }

    fn ready_at(&self) -> Option<u64> {
        self.look_at_timed()
    }
}

impl fmt::Debug for Epoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoll").field("items", &self.items.lock().by_id.len()).finish()
    }
}
