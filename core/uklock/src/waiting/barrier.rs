//! The barrier.

use core::panic::Location;

use super::list::{List, Node, Taken};
use crate::diagnose::{self, Kind};
use crate::guarded::Guarded;
use crate::sys;

struct State {
    arrived: usize,
    waiting: List,
}

/// Lets a number of threads wait for each other, again and again.
pub struct RawBarrier {
    threads: usize,
    state: Guarded<State>,
}

impl RawBarrier {
    /// A barrier for this many threads; 0 is as 1.
    pub const fn new(threads: usize) -> Self {
        Self { threads, state: Guarded::new(State { arrived: 0, waiting: List::new() }) }
    }

    /// Waits until all threads are here. Returns true in one of them, the last to arrive.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn wait(&self) -> bool {
        let id = core::ptr::from_ref(self).cast();
        let _waits = diagnose::waits(id, Kind::Barrier, Location::caller(), true);
        let node = Node::new(sys::current());
        let last = {
            let _critical = sys::critical();
            let others = self.state.with(|state| {
                state.arrived += 1;
                if state.arrived >= self.threads {
                    state.arrived = 0;
                    return Some(state.waiting.take_all());
                }
                // SAFETY: the node is new; this function returns when it is granted, out of the
                // list.
                unsafe { state.waiting.push_back(&node) };
                None
            });
            others.map(Taken::grant).is_some()
        };
        if !last {
            node.wait_granted();
        }
        last
    }
}
