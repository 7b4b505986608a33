//! Inheritance.

use core::cell::{Cell, UnsafeCell};
use core::ptr;
use core::sync::atomic::Ordering::Relaxed;

use super::Change;
use crate::guarded::Guarded;
use crate::sys::ThreadRef;
use crate::sys::atomic::AtomicUsize;
use crate::waiting::list::{List, Node};
use crate::waiting::mutex::RawMutex;

/// Guards the queues of all mutexes, their `Links`, and the words of threads.
static GRAPH: Guarded<()> = Guarded::new(());

/// A thread's word that leads to the first mutex it holds that others wait for.
const HOLDS: usize = 0;
/// A thread's word that leads to its node in the queue of a mutex; 0 when it is in none.
const WAITS: usize = 1;

/// The threads that wait for a mutex, the most urgent first, the longest waiting first among equals.
pub struct Queue(UnsafeCell<List>);

// SAFETY: lists are used under `GRAPH` alone.
unsafe impl Sync for Queue {}
// SAFETY: as above.
unsafe impl Send for Queue {}

/// The next mutex that the same thread holds and others wait for.
pub struct Links(Cell<*const RawMutex>);

// SAFETY: as for queues.
unsafe impl Sync for Links {}
// SAFETY: as above.
unsafe impl Send for Links {}

impl Links {
    pub const fn new() -> Self {
        Self(Cell::new(ptr::null()))
    }
}

impl Queue {
    pub const fn new() -> Self {
        Self(UnsafeCell::new(List::new()))
    }

    /// Calls `f` with the queue of `mutex`, while nobody else uses any; then passes on priorities as
    /// the change that it tells of wants it.
    pub fn with<R>(mutex: &RawMutex, f: impl FnOnce(&mut List) -> (R, Change)) -> R {
        GRAPH.with(|()| {
            // SAFETY: GRAPH is held, and `f` knows nothing of other references.
            let (result, change) = f(unsafe { &mut *mutex.queue.0.get() });
            apply(mutex, change);
            result
        })
    }

    /// Adds a node by priority; returns whether it goes before who was first.
    ///
    /// # Safety
    /// As [`List::push_back`].
    pub unsafe fn insert(list: &mut List, node: &Node) -> bool {
        let priority = node.thread.priority();
        // SAFETY: the caller's promise.
        unsafe { list.insert_before(node, |other| other.thread.priority() < priority) };
        list.is_front(node) && list.has_second()
    }
}

fn word(thread: Option<ThreadRef>, which: usize) -> Option<&'static AtomicUsize> {
    thread?.lock_words().map(|words| &words[which])
}

fn set_waits(thread: ThreadRef, node: *const Node) {
    if let Some(waits) = word(Some(thread), WAITS) {
        waits.store(node.expose_provenance(), Relaxed);
    }
}

fn apply(mutex: &RawMutex, change: Change) {
    // Nodes: those in changes belong to threads that are in the function that tells
    // of the change, or in the queue, or taken out and not granted yet.
    match change {
        Change::None => {}
        Change::Waits { node, owner } => {
            // SAFETY: see above.
            let node = unsafe { &*node };
            node.companion.set(ptr::from_ref(mutex).cast());
            set_waits(node.thread, node);
            attach(mutex, owner);
            settle(owner);
        }
        Change::Taken { owner, node, queued } => {
            if let Some(node) = node {
                // SAFETY: see above.
                set_waits(unsafe { &*node }.thread, ptr::null());
            }
            if queued {
                attach(mutex, owner);
                settle(owner);
            }
        }
        Change::GaveUp { node, owner, queued } => {
            // SAFETY: see above.
            set_waits(unsafe { &*node }.thread, ptr::null());
            if !queued {
                detach(mutex, owner);
            }
            settle(owner);
        }
        Change::Released { owner } => {
            detach(mutex, owner);
            settle(owner);
        }
        Change::HandedOver { from, node, queued } => {
            // SAFETY: see above.
            let to = unsafe { &*node }.thread;
            set_waits(to, ptr::null());
            detach(mutex, from);
            if queued {
                attach(mutex, Some(to));
            }
            settle(from);
            settle(Some(to));
        }
    }
}

/// The mutex at the beginning of a list of those that a thread holds.
fn held(thread: Option<ThreadRef>) -> *const RawMutex {
    let first = word(thread, HOLDS).map_or(0, |word| word.load(Relaxed));
    ptr::with_exposed_provenance(first)
}

/// Mutexes that a thread holds and others wait for.
fn all_held(thread: ThreadRef) -> impl Iterator<Item = &'static RawMutex> {
    let mut next = held(Some(thread));
    core::iter::from_fn(move || {
        // SAFETY: a mutex that others wait for is borrowed by them, and detached before they end
        // to wait. The reference does not leave this file.
        let mutex: &'static RawMutex = unsafe { next.as_ref() }?;
        next = mutex.links.0.get();
        Some(mutex)
    })
}

/// The owner's urgency depends on the mutex from now on.
fn attach(mutex: &RawMutex, owner: Option<ThreadRef>) {
    let Some(holds) = word(owner, HOLDS) else { return };
    if owner.is_some_and(|owner| all_held(owner).any(|other| ptr::eq(other, mutex))) {
        return;
    }
    mutex.links.0.set(held(owner));
    holds.store(ptr::from_ref(mutex).expose_provenance(), Relaxed);
}

/// The owner's urgency does not depend on the mutex any more.
fn detach(mutex: &RawMutex, owner: Option<ThreadRef>) {
    let (Some(thread), Some(holds)) = (owner, word(owner, HOLDS)) else { return };
    let next = mutex.links.0.get();
    if ptr::eq(held(owner), mutex) {
        holds.store(next.expose_provenance(), Relaxed);
    } else if let Some(before) = all_held(thread).find(|m| ptr::eq(m.links.0.get(), mutex)) {
        before.links.0.set(next);
    } else {
        return;
    }
    mutex.links.0.set(ptr::null());
}

/// The most urgent thread that waits for a mutex.
fn most_urgent(mutex: &RawMutex) -> Option<u8> {
    // SAFETY: GRAPH is held, and no other reference to the list is in use.
    let list = unsafe { &*mutex.queue.0.get() };
    list.front().map(|node| node.thread.priority())
}

/// Gives a thread the priority it should have, and then whoever it waits for, and so on. Ends: each
/// step takes what is right by now, and circles of threads that wait for each other agree.
fn settle(thread: Option<ThreadRef>) {
    let mut next = thread;
    while let Some(thread) = next {
        let inherited = all_held(thread).filter_map(most_urgent).max();
        let wanted = inherited.map_or(thread.base_priority(), |p| p.max(thread.base_priority()));
        if wanted == thread.priority() {
            return;
        }
        thread.inherit_priority(wanted);
        let waits = word(Some(thread), WAITS).map_or(0, |word| word.load(Relaxed));
        // SAFETY: the word is cleared before the node's function ends.
        let node: Option<&Node> = unsafe { ptr::with_exposed_provenance::<Node>(waits).as_ref() };
        let Some(node) = node else { return };
        // SAFETY: the thread's call borrows the mutex it waits for.
        let mutex = unsafe { &*node.companion.get().cast::<RawMutex>() };
        reorder(mutex, node);
        next = mutex.owner();
    }
}

/// Puts a node where its priority wants it.
fn reorder(mutex: &RawMutex, node: &Node) {
    // SAFETY: GRAPH is held, and no other reference to the list is in use.
    let list = unsafe { &mut *mutex.queue.0.get() };
    let first = |list: &List| list.front().map(ptr::from_ref);
    let before = first(list);
    // SAFETY: the node is in this list, and stays where it is.
    unsafe {
        list.remove(node);
        let _ = Queue::insert(list, node);
    }
    if first(list) != before {
        mutex.front_changed();
    }
}
