//! The deadlines of waiting threads: a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986).
//!
//! The nodes lie in the threads, so that waiting never needs memory. Inserting takes constant
//! time, taking the earliest or any other out the logarithm of their number, amortised.

use core::sync::atomic::Ordering::{Relaxed, Release};

use crate::ThreadRef;

/// Waiting threads by deadline.
#[derive(Default)]
pub struct Timers {
    root: Option<ThreadRef>,
}

impl Timers {
    pub const fn new() -> Self {
        Self { root: None }
    }

    /// The earliest deadline.
    #[inline]
    pub fn earliest(&self) -> Option<u64> {
        self.root.map(deadline)
    }

    /// Adds a thread that is not in it.
    pub fn insert(&mut self, thread: ThreadRef, deadline_ns: u64) {
        let node = &thread.0.timer;
        debug_assert!(!node.queued.load(Relaxed));
        node.deadline_ns.set(deadline_ns);
        node.child.set(None);
        node.sibling.set(None);
        node.before.set(None);
        node.queued.store(true, Relaxed);
        self.root = merge(self.root, Some(thread));
    }

    /// Takes a thread out, if it is in.
    #[inline]
    pub fn remove(&mut self, thread: ThreadRef) {
        if !thread.0.timer.queued.load(Relaxed) {
            return;
        }
        thread.0.timer.queued.store(false, Release);
        let node = &thread.0.timer;
        match node.before.get() {
            None => self.root = merge_pairs(node.child.take()),
            Some(before) => {
                // Cut the tree below out, and put what hung there back.
                let is_first_child = before.0.timer.child.get() == Some(thread);
                let link =
                    if is_first_child { &before.0.timer.child } else { &before.0.timer.sibling };
                link.set(node.sibling.get());
                if let Some(next) = node.sibling.get() {
                    next.0.timer.before.set(Some(before));
                }
                let below = merge_pairs(node.child.take());
                self.root = merge(self.root, below);
            }
        }
    }

    /// Takes out a thread whose deadline is `now` or earlier.
    pub fn pop_expired(&mut self, now: u64) -> Option<ThreadRef> {
        let first = self.root.filter(|first| deadline(*first) <= now)?;
        self.remove(first);
        Some(first)
    }
}

fn deadline(thread: ThreadRef) -> u64 {
    thread.0.timer.deadline_ns.get()
}

/// Two trees, each without siblings, become one.
fn merge(a: Option<ThreadRef>, b: Option<ThreadRef>) -> Option<ThreadRef> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    let (top, below) = if deadline(b) < deadline(a) { (b, a) } else { (a, b) };
    let first = top.0.timer.child.replace(Some(below));
    below.0.timer.sibling.set(first);
    below.0.timer.before.set(Some(top));
    if let Some(first) = first {
        first.0.timer.before.set(Some(below));
    }
    top.0.timer.sibling.set(None);
    top.0.timer.before.set(None);
    Some(top)
}

/// A list of siblings becomes one tree: first pairs, left to right, then all of them, right to left.
fn merge_pairs(mut list: Option<ThreadRef>) -> Option<ThreadRef> {
    let detach = |thread: ThreadRef| {
        thread.0.timer.before.set(None);
        thread.0.timer.sibling.take()
    };
    let mut pairs: Option<ThreadRef> = None;
    while let Some(first) = list {
        let second = detach(first);
        list = second.and_then(detach);
        let Some(pair) = merge(Some(first), second) else { break };
        pair.0.timer.sibling.set(pairs);
        pairs = Some(pair);
    }
    let mut root = None;
    while let Some(pair) = pairs {
        pairs = pair.0.timer.sibling.take();
        root = merge(root, Some(pair));
    }
    root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::thread::Thread;

    proptest! {
        #[test]
        fn behaves_like_a_sorted_list(calls in prop::collection::vec((0u8..3, 0usize..40, 0u64..50), 0..200)) {
            let threads: Vec<ThreadRef> =
                (0..40).map(|_| ThreadRef(Box::leak(Box::new(Thread::new())))).collect();
            let mut model: Vec<(u64, usize)> = Vec::new();
            let mut timers = Timers::new();
            for (call, i, time) in calls {
                match call {
                    0 if model.iter().all(|(_, x)| *x != i) => {
                        timers.insert(threads[i], time);
                        model.push((time, i));
                    }
                    1 => {
                        timers.remove(threads[i]);
                        model.retain(|(_, x)| *x != i);
                    }
                    _ => {
                        let earliest = model.iter().map(|(t, _)| *t).min();
                        prop_assert_eq!(timers.earliest(), earliest);
                        match timers.pop_expired(time) {
                            None => prop_assert!(earliest.is_none_or(|t| t > time)),
                            Some(thread) => {
                                let at = model.iter().position(|(_, x)| threads[*x] == thread);
                                let (when, _) = model.swap_remove(at.unwrap());
                                prop_assert_eq!(Some(when), earliest);
                                prop_assert!(when <= time);
                            }
                        }
                    }
                }
            }
            let mut left = 0;
            let mut last = 0;
            while let Some(thread) = timers.pop_expired(u64::MAX) {
                prop_assert!(deadline(thread) >= last);
                last = deadline(thread);
                left += 1;
            }
            prop_assert_eq!(left, model.len());
        }
    }

    #[test]
    fn ten_thousand_sleepers_take_few_comparisons() {
        let mut timers = Timers::new();
        for i in 0..10_000u64 {
            let thread = ThreadRef(Box::leak(Box::new(Thread::new())));
            timers.insert(thread, i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32);
        }
        let mut last = 0;
        while let Some(thread) = timers.pop_expired(u64::MAX) {
            assert!(deadline(thread) >= last);
            last = deadline(thread);
        }
    }
}
