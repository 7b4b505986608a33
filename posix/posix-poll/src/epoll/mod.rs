//! Waiting for many files, many times.
//!
//! Three locks, in this order: `control` of an instance, under which items come, go and are looked
//! at; the lists of watchers of the files; and the state of an instance, which files reach when they
//! tell. An instance that watches another comes before it with the first, and after it with the
//! others; there are no circles.

mod state;

use alloc::sync::Arc;
use core::any::Any;
use core::fmt;

use ukerrno::Errno;
use ukfile::{Description, Events, File, Watcher, Watchers, fallible};
use uklock::{Mutex, WaitQueue};

use crate::look::look;
use state::{Item, State};

/// Instances that may watch each other in a row, but for the first (`EP_MAX_NESTS` of Linux).
const MAX_NESTS: usize = 4;

/// Held while an instance is added to another, so that no two of them make a circle.
static NESTING: Mutex<()> = Mutex::new(());

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

impl Interest {
    fn wanted(&self) -> Events {
        self.events | Events::ALWAYS
    }
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What the file is ready for.
    pub events: Events,
    /// What [`Interest`] had.
    pub data: u64,
}

/// What files reach when they tell, by the number of the item.
struct Shared {
    state: Mutex<State>,
    waiting: WaitQueue,
    watchers: Watchers,
}

impl Shared {
    /// Somebody has to look at an item. Returns whether somebody waited, who does so now.
    fn queue(&self, id: u32) -> bool {
        let mut state = self.state.lock();
        let new = state.queue(id);
        let silent = state.get(id).is_none_or(|item| item.silent);
        drop(state);
        let goes_on = new && self.waiting.wake_one();
        if !silent {
            self.watchers.notify(Events::READABLE);
        }
        goes_on
    }

    /// Whoever ceases to wait or to look leaves what is left to another.
    fn pass_on(&self) {
        if self.state.lock().has_work() {
            self.waiting.wake_one();
        }
    }

    /// The longest row of instances that watch this one.
    fn above(&self) -> usize {
        let mut most = 0;
        self.watchers.for_each(|watcher| {
            let watcher: &dyn Any = watcher;
            if let Some(outer) = watcher.downcast_ref::<Self>() {
                most = most.max(1 + outer.above());
            }
        });
        most
    }
}

impl Watcher for Shared {
    fn changed(&self, key: u64, _events: Events) {
        self.queue(key as u32);
    }

    fn changed_for_one(&self, key: u64, _events: Events) -> bool {
        self.queue(key as u32)
    }

    fn closed(&self, key: u64) {
        let closed = self.state.lock().remove(key as u32);
        drop(closed);
    }
}

/// An `epoll` instance.
pub struct Epoll {
    control: Mutex<()>,
    shared: Arc<Shared>,
}

impl Epoll {
    /// An instance that watches nothing.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn new() -> Result<Self, Errno> {
        let shared = fallible::arc(Shared {
            state: Mutex::new(State::new()),
            waiting: WaitQueue::new(),
            watchers: Watchers::new(),
        })?;
        Ok(Self { control: Mutex::new(()), shared })
    }

    /// Watches a file (`EPOLL_CTL_ADD`), until it is closed. With [`Events::EXCLUSIVE`] it is enough that
    /// one of several instances has somebody who wakes up for it.
    ///
    /// # Errors
    /// `EEXIST`; `EPERM` for files that are always ready; `ELOOP`; `EINVAL` for instances that are to be
    /// watched exclusively; `ENOMEM`
    pub fn add(&self, fd: i32, file: &Arc<Description>, interest: Interest) -> Result<(), Errno> {
        if file.file().watchers().is_none() {
            return Err(Errno::EPERM);
        }
        let inner = file.downcast::<Self>();
        if inner.is_some() && interest.events.contains(Events::EXCLUSIVE) {
            return Err(Errno::EINVAL);
        }
        let _nesting = inner.map(|_| NESTING.lock());
        if let Some(inner) = inner
            && inner.below(self, 0)? + 1 + self.shared.above() > MAX_NESTS
        {
            return Err(Errno::ELOOP);
        }
        let _control = self.control.lock();
        let id = {
            let mut state = self.shared.state.lock();
            if state.find(fd, Arc::as_ptr(file)).is_some() {
                return Err(Errno::EEXIST);
            }
            state.insert(Item::new(fd, Arc::downgrade(file), interest, file.file().is_timed()))?
        };
        let watch = file.watch(self.shared.clone(), interest.events, id.into());
        let mut state = self.shared.state.lock();
        match watch {
            Ok(watch) => state.get_mut(id).into_iter().for_each(|item| item.watch = Some(watch)),
            Err(error) => {
                let item = state.remove(id);
                drop(state);
                drop(item);
                return Err(error);
            }
        }
        drop(state);
        self.queue_if_ready(id, file, interest);
        Ok(())
    }

    /// Changes what is wanted of a file (`EPOLL_CTL_MOD`).
    ///
    /// # Errors
    /// `ENOENT`; `EINVAL` when it is watched exclusively
    pub fn modify(
        &self,
        fd: i32,
        file: &Arc<Description>,
        interest: Interest,
    ) -> Result<(), Errno> {
        let _control = self.control.lock();
        let (id, watch) = {
            let mut state = self.shared.state.lock();
            let id = state.find(fd, Arc::as_ptr(file)).ok_or(Errno::ENOENT)?;
            let item = state.get_mut(id).ok_or(Errno::ENOENT)?;
            if item.interest.events.contains(Events::EXCLUSIVE) {
                return Err(Errno::EINVAL);
            }
            item.interest = interest;
            item.silent = false;
            (id, item.watch)
        };
        if let (Some(watch), Some(watchers)) = (watch, file.file().watchers()) {
            watchers.set_interest(watch, interest.events);
        }
        self.queue_if_ready(id, file, interest);
        Ok(())
    }

    /// Watches a file no longer (`EPOLL_CTL_DEL`).
    ///
    /// # Errors
    /// `ENOENT`
    pub fn remove(&self, fd: i32, file: &Arc<Description>) -> Result<(), Errno> {
        let _control = self.control.lock();
        let found = self.shared.state.lock().find(fd, Arc::as_ptr(file));
        let id = found.ok_or(Errno::ENOENT)?;
        let watch = self.shared.state.lock().get(id).and_then(|item| item.watch);
        // Before the number of the item is free for another.
        if let Some(watch) = watch {
            file.unwatch(watch);
        }
        let removed = self.shared.state.lock().remove(id);
        drop(removed);
        Ok(())
    }

    fn queue_if_ready(&self, id: u32, file: &Arc<Description>, interest: Interest) {
        // When a timed file gets ready has to be found out by those that wait.
        if file.file().is_timed() || file.file().ready().intersects(interest.wanted()) {
            self.shared.queue(id);
        }
    }

    /// The longest row of instances that this one watches; `depth` have been gone through.
    fn below(&self, outer: &Self, depth: usize) -> Result<usize, Errno> {
        if core::ptr::eq(self, outer) || depth >= MAX_NESTS {
            return Err(Errno::ELOOP);
        }
        let mut most = 0;
        let slots = self.shared.state.lock().slots();
        for id in 0..slots {
            // Not dropped under the lock: it may be the last who has the file.
            let file = self.shared.state.lock().get(id).and_then(|item| item.file.upgrade());
            if let Some(inner) = file.as_ref().and_then(|file| file.downcast::<Self>()) {
                most = most.max(1 + inner.below(outer, depth + 1)?);
            }
        }
        Ok(most)
    }

    /// Looks at the next item of the queue that was not looked at in this round: what it is, what was
    /// wanted, and what its file is ready for. The item is in the queue no more.
    fn look_at_next(&self) -> Option<(u32, Interest, Events)> {
        loop {
            let mut state = self.shared.state.lock();
            let id = state.take_next()?;
            let item = state.get(id)?;
            let interest = item.interest;
            // It may be just being closed; then it forgets itself.
            let Some(file) = item.file.upgrade() else { continue };
            // Without the lock: the file may be another instance. It may tell meanwhile, and then is
            // in the queue again.
            drop(state);
            let (found, next) = look(file.file(), interest.wanted());
            if next.is_some() {
                self.shared.state.lock().set_deadline(id, next);
            }
            if !found.is_empty() {
                return Some((id, interest, found));
            }
        }
    }

    /// Takes events of files that are ready, as many as there is room for; returns how many.
    fn take(&self, room: usize, put: &mut impl FnMut(Ready)) -> usize {
        let _control = self.control.lock();
        self.shared.state.lock().begin(ukplat::monotonic_ns);
        let mut count = 0;
        while count < room
            && let Some((id, interest, events)) = self.look_at_next()
        {
            put(Ready { events, data: interest.data });
            count += 1;
            let mut state = self.shared.state.lock();
            match interest.edge {
                // At the end of the queue, so that others have their turn.
                Edge::Level => {
                    state.queue(id);
                }
                Edge::Edge => {}
                Edge::Once => {
                    state.unqueue(id);
                    state.get_mut(id).into_iter().for_each(|item| item.silent = true);
                }
            }
        }
        count
    }

    /// Waits for events until the monotonic clock is at `deadline_ns`; `put` is called with each, at
    /// most `room` of them. Returns how many there were.
    ///
    /// # Errors
    /// `EINTR`
    pub fn wait(
        &self,
        room: usize,
        deadline_ns: Option<u64>,
        mut put: impl FnMut(Ready),
    ) -> Result<usize, Errno> {
        loop {
            let count = self.take(room, &mut put);
            let over = |deadline| ukplat::monotonic_ns() >= deadline;
            if count > 0 || deadline_ns.is_some_and(over) {
                self.shared.pass_on();
                return Ok(count);
            }
            let next = self.shared.state.lock().cover();
            let until = next.into_iter().chain(deadline_ns).min();
            let told = || self.shared.state.lock().has_work();
            let waited = self.shared.waiting.wait_interruptible(until, told);
            if let Some(next) = next {
                self.shared.state.lock().uncover(next);
            }
            if waited.is_err() {
                self.shared.pass_on();
                return Err(Errno::EINTR);
            }
        }
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        let items = self.shared.state.lock().clear();
        for item in items {
            // One that is being closed ends it itself.
            if let (Some(watch), Some(file)) = (item.watch, item.file.upgrade()) {
                file.unwatch(watch);
            }
        }
    }
}

impl File for Epoll {
    fn ready(&self) -> Events {
        let _control = self.control.lock();
        self.shared.state.lock().begin(ukplat::monotonic_ns);
        let ready = self.look_at_next();
        if let Some((id, ..)) = ready {
            self.shared.state.lock().queue_first(id);
        }
        // The deadlines that were found are new to those that wait.
        self.shared.pass_on();
        if ready.is_some() { Events::READABLE } else { Events::empty() }
    }

    fn watchers(&self) -> Option<&Watchers> {
        Some(&self.shared.watchers)
    }

    /// What it watches may be.
    fn is_timed(&self) -> bool {
        true
    }

    fn ready_at(&self) -> Option<u64> {
        self.shared.state.lock().earliest()
    }
}

impl fmt::Debug for Epoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoll").field("items", &self.shared.state.lock().len()).finish()
    }
}
