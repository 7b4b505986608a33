//! No inheritance.

use super::Change;
use crate::guarded::Guarded;
use crate::waiting::list::{List, Node};
use crate::waiting::mutex::RawMutex;

/// The threads that wait for a mutex.
pub struct Queue(Guarded<List>);

impl Queue {
    pub const fn new() -> Self {
        Self(Guarded::new(List::new()))
    }

    /// Calls `f` with the queue of `mutex`, while nobody else uses it.
    #[inline]
    pub fn with<R>(_mutex: &RawMutex, f: impl FnOnce(&mut List) -> (R, Change)) -> R {
        _mutex.queue.0.with(|list| f(list).0)
    }

    /// Adds a node at the end; returns whether it goes before who was first.
    ///
    /// # Safety
    /// As [`List::push_back`].
    pub unsafe fn insert(list: &mut List, node: &Node) -> bool {
        // SAFETY: the caller's promise.
        unsafe { list.push_back(node) };
        false
    }
}
