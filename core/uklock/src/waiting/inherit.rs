//! Priority inheritance (Sha, Rajkumar, Lehoczky 1990): who holds a mutex runs with the priority of
//! the most urgent thread that waits for it, also when it waits for another mutex itself.
//!
//! Without the feature `inherit` nothing of this is compiled; mutexes then have a queue each, first
//! in, first out. With it queues are ordered by priority, and one lock guards all of them, so that
//! chains of threads and mutexes can be followed. Uncontended mutexes do not come here.

use super::list::Node;
use crate::sys::ThreadRef;

#[cfg(not(feature = "inherit"))]
mod off;
#[cfg(not(feature = "inherit"))]
pub use off::Queue;
#[cfg(feature = "inherit")]
mod on;
#[cfg(feature = "inherit")]
pub use on::{Links, Queue};

/// Whether it is compiled.
pub const ENABLED: bool = cfg!(feature = "inherit");

/// What happened to a mutex and one of its threads. Owners are `None` when the mutex is free, or
/// held by what boots.
#[cfg_attr(not(feature = "inherit"), expect(dead_code, reason = "nobody has to know"))]
pub enum Change {
    /// Nothing that counts.
    None,
    /// The node was put into the queue.
    Waits { node: *const Node, owner: Option<ThreadRef> },
    /// A thread took the mutex; `node` had been in the queue, `queued` says that others are.
    Taken { owner: Option<ThreadRef>, node: Option<*const Node>, queued: bool },
    /// The node left the queue without the mutex.
    GaveUp { node: *const Node, owner: Option<ThreadRef>, queued: bool },
    /// The owner released the mutex.
    Released { owner: Option<ThreadRef> },
    /// The owner handed the mutex to a thread that was in the queue.
    HandedOver { from: Option<ThreadRef>, node: *const Node, queued: bool },
}
