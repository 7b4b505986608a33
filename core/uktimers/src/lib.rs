//! Deadlines of whatever waits: an intrusive pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986).
//!
//! The nodes lie in what waits, so that waiting never needs memory. Inserting takes constant
//! time, taking the earliest or any other out the logarithm of their number, amortised.
//!
//! ```
//! use uktimers::{Deadlines, Entry, Node};
//!
//! #[derive(Default)]
//! struct Task { name: &'static str, timer: Node<TaskRef> }
//!
//! #[derive(Clone, Copy)]
//! struct TaskRef(&'static Task);
//! impl PartialEq for TaskRef {
//!     fn eq(&self, other: &Self) -> bool { core::ptr::eq(self.0, other.0) }
//! }
//! impl Entry for TaskRef {
//!     fn node(&self) -> &Node<Self> { &self.0.timer }
//! }
//!
//! let task = |name| TaskRef(Box::leak(Box::new(Task { name, ..Task::default() })));
//! let mut deadlines = Deadlines::new();
//! deadlines.insert(task("tea"), 300);
//! deadlines.insert(task("egg"), 100);
//! assert_eq!(deadlines.earliest(), Some(100));
//! assert_eq!(deadlines.pop_expired(200).map(|task| task.0.name), Some("egg"));
//! assert!(deadlines.pop_expired(200).is_none());
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A handle of something that waits: equal handles have the same node.
pub trait Entry: Copy + PartialEq {
    /// The place among the deadlines.
    fn node(&self) -> &Node<Self>;
}

/// The place of something that waits among the deadlines. Only whoever may use the [`Deadlines`]
/// it is in touches it, but for [`Node::is_queued`].
pub struct Node<E> {
    deadline: Cell<u64>,
    child: Cell<Option<E>>,
    sibling: Cell<Option<E>>,
    /// The sibling before this one, or the parent of the first.
    before: Cell<Option<E>>,
    queued: AtomicBool,
}

impl<E> Node<E> {
    /// A node that is in no heap.
    pub const fn new() -> Self {
        Self {
            deadline: Cell::new(0),
            child: Cell::new(None),
            sibling: Cell::new(None),
            before: Cell::new(None),
            queued: AtomicBool::new(false),
        }
    }

    /// Whether the node is in a heap; other CPUs than the heap's may ask.
    #[inline]
    pub fn is_queued(&self) -> bool {
        self.queued.load(Acquire)
    }
}

impl<E> Default for Node<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Node<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("deadline", &self.deadline.get()).finish_non_exhaustive()
    }
}

/// Entries by deadline, in whatever unit the user counts time.
pub struct Deadlines<E: Entry> {
    root: Option<E>,
}

impl<E: Entry> Default for Deadlines<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entry> fmt::Debug for Deadlines<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("earliest", &self.earliest()).finish_non_exhaustive()
    }
}

impl<E: Entry> Deadlines<E> {
    /// None.
    pub const fn new() -> Self {
        Self { root: None }
    }

    /// The earliest deadline.
    #[inline]
    pub fn earliest(&self) -> Option<u64> {
        self.root.map(|root| root.node().deadline.get())
    }

    /// Adds an entry that is in no heap.
    pub fn insert(&mut self, entry: E, deadline: u64) {
        let node = entry.node();
        debug_assert!(!node.queued.load(Relaxed));
        node.deadline.set(deadline);
        node.child.set(None);
        node.sibling.set(None);
        node.before.set(None);
        node.queued.store(true, Relaxed);
        self.root = merge(self.root, Some(entry));
    }

    /// Takes an entry out, if it is in.
    #[inline]
    pub fn remove(&mut self, entry: E) {
        let node = entry.node();
        if !node.queued.load(Relaxed) {
            return;
        }
        node.queued.store(false, Release);
        match node.before.get() {
            None => self.root = merge_pairs(node.child.take()),
            Some(before) => {
                // Cut the tree below out, and put what hung there back.
                let before_node = before.node();
                let is_first_child = before_node.child.get() == Some(entry);
                let link = if is_first_child { &before_node.child } else { &before_node.sibling };
                link.set(node.sibling.get());
                if let Some(next) = node.sibling.get() {
                    next.node().before.set(Some(before));
                }
                let below = merge_pairs(node.child.take());
                self.root = merge(self.root, below);
            }
        }
    }

    /// Takes out an entry whose deadline is `now` or earlier, the earliest first.
    pub fn pop_expired(&mut self, now: u64) -> Option<E> {
        let first = self.root.filter(|first| first.node().deadline.get() <= now)?;
        self.remove(first);
        Some(first)
    }
}

/// Two trees, each without siblings, become one.
fn merge<E: Entry>(a: Option<E>, b: Option<E>) -> Option<E> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    let b_is_earlier = b.node().deadline.get() < a.node().deadline.get();
    let (top, below) = if b_is_earlier { (b, a) } else { (a, b) };
    let first = top.node().child.replace(Some(below));
    below.node().sibling.set(first);
    below.node().before.set(Some(top));
    if let Some(first) = first {
        first.node().before.set(Some(below));
    }
    top.node().sibling.set(None);
    top.node().before.set(None);
    Some(top)
}

/// A list of siblings becomes one tree: first pairs, left to right, then all of them, right to left.
fn merge_pairs<E: Entry>(mut list: Option<E>) -> Option<E> {
    let detach = |entry: E| {
        entry.node().before.set(None);
        entry.node().sibling.take()
    };
    let mut pairs: Option<E> = None;
    while let Some(first) = list {
        let second = detach(first);
        list = second.and_then(detach);
        let Some(pair) = merge(Some(first), second) else { break };
        pair.node().sibling.set(pairs);
        pairs = Some(pair);
    }
    let mut root = None;
    while let Some(pair) = pairs {
        pairs = pair.node().sibling.take();
        root = merge(root, Some(pair));
    }
    root
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;

    /// A number with a node, in a shared list: handles are positions.
    #[derive(Clone, Copy)]
    struct Handle(&'static [Node<Handle>], usize);

    impl PartialEq for Handle {
        fn eq(&self, other: &Self) -> bool {
            self.1 == other.1
        }
    }

    impl Entry for Handle {
        fn node(&self) -> &Node<Self> {
            &self.0[self.1]
        }
    }

    fn handles(count: usize) -> Rc<[Handle]> {
        let nodes: Vec<Node<Handle>> = (0..count).map(|_| Node::new()).collect();
        let nodes: &'static [Node<Handle>] = nodes.leak();
        (0..count).map(|i| Handle(nodes, i)).collect()
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_list(calls in prop::collection::vec((0u8..3, 0usize..40, 0u64..50), 0..200)) {
            let handles = handles(40);
            let mut model: Vec<(u64, usize)> = Vec::new();
            let mut deadlines = Deadlines::new();
            for (call, i, time) in calls {
                match call {
                    0 if model.iter().all(|(_, x)| *x != i) => {
                        deadlines.insert(handles[i], time);
                        model.push((time, i));
                    }
                    1 => {
                        deadlines.remove(handles[i]);
                        model.retain(|(_, x)| *x != i);
                    }
                    _ => {
                        let earliest = model.iter().map(|(t, _)| *t).min();
                        prop_assert_eq!(deadlines.earliest(), earliest);
                        match deadlines.pop_expired(time) {
                            None => prop_assert!(earliest.is_none_or(|t| t > time)),
                            Some(entry) => {
                                let at = model.iter().position(|(_, x)| *x == entry.1);
                                let (when, _) = model.swap_remove(at.unwrap());
                                prop_assert_eq!(Some(when), earliest);
                                prop_assert!(when <= time);
                            }
                        }
                    }
                }
                for handle in handles.iter() {
                    let expected = model.iter().any(|(_, x)| *x == handle.1);
                    prop_assert_eq!(handle.node().is_queued(), expected);
                }
            }
            let mut left = 0;
            let mut last = 0;
            while let Some(entry) = deadlines.pop_expired(u64::MAX) {
                prop_assert!(entry.node().deadline.get() >= last);
                last = entry.node().deadline.get();
                left += 1;
            }
            prop_assert_eq!(left, model.len());
        }
    }

    #[test]
    fn ten_thousand_come_out_in_order() {
        let mut deadlines = Deadlines::new();
        for (i, handle) in handles(10_000).iter().enumerate() {
            deadlines.insert(*handle, (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32);
        }
        let mut last = 0;
        let mut count = 0;
        while let Some(entry) = deadlines.pop_expired(u64::MAX) {
            assert!(entry.node().deadline.get() >= last);
            last = entry.node().deadline.get();
            count += 1;
        }
        assert_eq!(count, 10_000);
    }
}
