//! First in, first out, without memory of its own.

use crate::ThreadRef;

/// A thread that is ready to run and in no queue. There is at most one for each thread.
#[derive(Debug)]
#[must_use = "a thread whose `Ready` is dropped never runs again"]
pub struct Ready(ThreadRef);

impl Ready {
    /// The caller made sure that there is no other one for this thread.
    pub(crate) fn new(thread: ThreadRef) -> Self {
        Self(thread)
    }

    /// The thread.
    #[inline]
    pub fn thread(&self) -> ThreadRef {
        self.0
    }
}

/// A queue of ready threads, linked through the threads themselves: nothing is allocated, every
/// call takes constant time, but [`Queue::remove_if`].
#[derive(Debug, Default)]
pub struct Queue {
    ends: Option<(ThreadRef, ThreadRef)>,
}

// SAFETY: the links are touched by the owner of the threads' `Ready`s alone, which the queue is.
unsafe impl Send for Queue {}

impl Queue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { ends: None }
    }

    /// Whether nothing is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    /// The thread that [`Queue::pop`] would return.
    pub fn front(&self) -> Option<ThreadRef> {
        self.ends.map(|(first, _)| first)
    }

    /// To the end.
    #[inline]
    pub fn push(&mut self, thread: Ready) {
        let thread = thread.0;
        thread.0.link.set(None);
        self.ends = match self.ends {
            None => Some((thread, thread)),
            Some((first, last)) => {
                last.0.link.set(Some(thread));
                Some((first, thread))
            }
        };
    }

    /// Before all others.
    #[inline]
    pub fn push_front(&mut self, thread: Ready) {
        let thread = thread.0;
        thread.0.link.set(self.front());
        self.ends = Some((thread, self.ends.map_or(thread, |(_, last)| last)));
    }

    /// The first.
    #[inline]
    pub fn pop(&mut self) -> Option<Ready> {
        let (first, last) = self.ends?;
        self.ends = first.0.link.get().map(|next| (next, last));
        Some(Ready(first))
    }

    /// The first that `wanted` says yes to.
    pub fn remove_if(&mut self, wanted: &mut dyn FnMut(ThreadRef) -> bool) -> Option<Ready> {
        let (first, last) = self.ends?;
        if wanted(first) {
            return self.pop();
        }
        let mut before = first;
        while let Some(thread) = before.0.link.get() {
            if wanted(thread) {
                before.0.link.set(thread.0.link.get());
                if thread == last {
                    self.ends = Some((first, before));
                }
                return Some(Ready(thread));
            }
            before = thread;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::thread::Thread;

    fn thread() -> ThreadRef {
        ThreadRef(Box::leak(Box::new(Thread::new())))
    }

    proptest! {
        #[test]
        fn behaves_like_a_deque(calls in prop::collection::vec((0u8..4, 0usize..8), 0..60)) {
            let threads: Vec<ThreadRef> = (0..8).map(|_| thread()).collect();
            let mut outside: Vec<usize> = (0..8).collect();
            let (mut queue, mut model) = (Queue::new(), VecDeque::new());
            let index = |t: ThreadRef| threads.iter().position(|x| *x == t).unwrap();
            for (call, n) in calls {
                match call {
                    0 | 1 if !outside.is_empty() => {
                        let i = outside.swap_remove(n % outside.len());
                        if call == 0 {
                            queue.push(Ready::new(threads[i]));
                            model.push_back(i);
                        } else {
                            queue.push_front(Ready::new(threads[i]));
                            model.push_front(i);
                        }
                    }
                    2 => {
                        let got = queue.pop().map(|r| index(r.thread()));
                        prop_assert_eq!(got, model.pop_front());
                        outside.extend(got);
                    }
                    _ => {
                        let got = queue.remove_if(&mut |t| index(t) >= n).map(|r| index(r.thread()));
                        let at = model.iter().position(|i| *i >= n);
                        prop_assert_eq!(got, at.and_then(|at| model.remove(at)));
                        outside.extend(got);
                    }
                }
                prop_assert_eq!(queue.is_empty(), model.is_empty());
                prop_assert_eq!(queue.front().map(index), model.front().copied());
            }
        }
    }
}
