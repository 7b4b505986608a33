//! Lists of waiting threads. The nodes lie on the stacks of those threads.

use core::cell::Cell;
use core::marker::PhantomPinned;
use core::ptr;
use core::sync::atomic::Ordering;

use crate::diagnose;
use crate::sys::atomic::AtomicU8;
use crate::sys::{self, ThreadRef};

/// In a list, or about to be.
pub(super) const WAITING: u8 = 0;
/// Moved from a condition variable's list to that of its mutex.
pub(super) const MOVED: u8 = 1;
/// Out of the list, about to be granted.
const TAKEN: u8 = 2;
/// What the thread waited for is its own, or has happened.
const GRANTED: u8 = 3;

/// One waiting thread.
///
/// Its state changes under the lock of the list, up to `TAKEN`. `GRANTED` is stored when that lock
/// has been released, as the last access to both primitive and node: the thread may go on at once,
/// take its stack along, and free the primitive if it is the last to use it.
pub(super) struct Node {
    pub thread: ThreadRef,
    state: AtomicU8,
    /// The thread was woken once and came too late; it shall be handed the lock.
    pub impatient: Cell<bool>,
    /// What the thread waits with: the mutex of a condition variable.
    pub companion: Cell<*const ()>,
    prev: Cell<*const Node>,
    next: Cell<*const Node>,
    _pinned: PhantomPinned,
}

impl Node {
    pub fn new(thread: ThreadRef) -> Self {
        Self {
            thread,
            state: AtomicU8::new(WAITING),
            impatient: Cell::new(false),
            companion: Cell::new(ptr::null()),
            prev: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            _pinned: PhantomPinned,
        }
    }

    pub fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    pub fn is_granted(&self) -> bool {
        self.state() == GRANTED
    }

    /// Whether it is out of its list and will be granted. To be asked under the list's lock.
    pub fn is_taken(&self) -> bool {
        self.state() >= TAKEN
    }

    /// Waits for what `is_taken` announced.
    pub fn wait_granted(&self) {
        while !self.is_granted() {
            sys::park(None);
        }
    }

    pub fn set_moved(&self) {
        self.state.store(MOVED, Ordering::Release);
    }
}

/// First in, first out.
pub(super) struct List {
    head: *const Node,
    tail: *const Node,
    len: usize,
}

impl List {
    pub const fn new() -> Self {
        Self { head: ptr::null(), tail: ptr::null(), len: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_front(&self, node: &Node) -> bool {
        ptr::eq(self.head, node)
    }

    /// Whether there is a node beside the first.
    pub fn has_second(&self) -> bool {
        self.len > 1
    }

    /// The longest waiting.
    pub fn front(&self) -> Option<&Node> {
        // SAFETY: nodes in the list are alive (contract of `push_back`).
        unsafe { self.head.as_ref() }
    }

    /// Adds a node at the end.
    ///
    /// # Safety
    /// The node is in no list. It stays where it is until it is out of this one.
    pub unsafe fn push_back(&mut self, node: &Node) {
        node.prev.set(self.tail);
        node.next.set(ptr::null());
        // SAFETY: nodes in the list are alive (contract of this function).
        match unsafe { self.tail.as_ref() } {
            Some(last) => last.next.set(node),
            None => self.head = node,
        }
        self.tail = node;
        self.len += 1;
    }

    /// Adds a node before the first one that `goes_after` it, else at the end.
    ///
    /// # Safety
    /// As [`List::push_back`].
    #[cfg(feature = "inherit")]
    pub unsafe fn insert_before(&mut self, node: &Node, goes_after: impl Fn(&Node) -> bool) {
        let mut next = self.head;
        // SAFETY: nodes in the list are alive (contract of `push_back`).
        while let Some(other) = unsafe { next.as_ref() } {
            if goes_after(other) {
                node.prev.set(other.prev.get());
                node.next.set(other);
                // SAFETY: as above.
                match unsafe { other.prev.get().as_ref() } {
                    Some(before) => before.next.set(node),
                    None => self.head = node,
                }
                other.prev.set(node);
                self.len += 1;
                return;
            }
            next = other.next.get();
        }
        // SAFETY: the caller's promise.
        unsafe { self.push_back(node) };
    }

    /// Takes a node out.
    ///
    /// # Safety
    /// It is in this list.
    pub unsafe fn remove(&mut self, node: &Node) {
        let (prev, next) = (node.prev.get(), node.next.get());
        // SAFETY: nodes in the list are alive (contract of `push_back`).
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.next.set(next),
            None => self.head = next,
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.prev.set(prev),
            None => self.tail = prev,
        }
        self.len -= 1;
    }

    /// Takes the first node out; it stays alive while its state is not changed to GRANTED.
    pub fn pop_front(&mut self) -> Option<&Node> {
        // SAFETY: nodes in the list are alive (contract of `push_back`).
        let node = unsafe { self.head.as_ref() }?;
        // SAFETY: it is the first of this list.
        unsafe { self.remove(node) };
        Some(node)
    }

    /// Takes the first node out, to be granted what it waits for.
    pub fn take_front(&mut self) -> Taken {
        let Some(node) = self.pop_front() else { return Taken::NOBODY };
        node.state.store(TAKEN, Ordering::Release);
        node.next.set(ptr::null());
        Taken { first: node }
    }

    /// Takes all nodes out, to be granted what they wait for.
    pub fn take_all(&mut self) -> Taken {
        let taken = Taken { first: self.head };
        for node in taken.nodes() {
            node.state.store(TAKEN, Ordering::Release);
        }
        *self = Self::new();
        taken
    }
}

/// Threads out of a list that wait for nothing but [`Taken::grant`]. Call it without the list's
/// lock, and not preempted since that was held: their deadlines do not help them any more.
#[must_use = "the threads would wait for ever"]
pub(super) struct Taken {
    first: *const Node,
}

impl Taken {
    pub const NOBODY: Self = Self { first: ptr::null() };

    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        let mut next = self.first;
        core::iter::from_fn(move || {
            // SAFETY: nodes are alive until their state is GRANTED. `grant` stores that to a node
            // after this iterator has left it: the link is read here, before it is given out.
            let node = unsafe { next.as_ref() }?;
            next = node.next.get();
            Some(node)
        })
    }

    /// Lets them go on; returns how many.
    pub fn grant(self) -> usize {
        // All of them before the first goes on: else it could find others still waiting for it.
        if diagnose::ENABLED {
            for node in self.nodes() {
                diagnose::waits_no_more(node.thread);
            }
        }
        let mut count = 0;
        for node in self.nodes() {
            let thread = node.thread;
            node.state.store(GRANTED, Ordering::Release);
            thread.unpark();
            count += 1;
        }
        count
    }
}
