//! One of two policies: how several schedulers share an image without calls through pointers.

use crate::{Policy, Ready, Reason, ThreadRef};

/// The policy of a CPU in an image with several schedulers. More than two nest.
#[derive(Debug)]
pub enum Either<A, B> {
    /// The first.
    First(A),
    /// The second.
    Second(B),
}

macro_rules! each {
    ($this:expr, $policy:ident => $call:expr) => {
        match $this {
            Either::First($policy) => $call,
            Either::Second($policy) => $call,
        }
    };
}

impl<A: Policy, B: Policy> Policy for Either<A, B> {
    /// Whether one of them is. Which CPUs are, tells their [`Instance`](crate::Instance).
    const PREEMPTIVE: bool = A::PREEMPTIVE || B::PREEMPTIVE;

    #[inline]
    fn push(&mut self, thread: Ready, reason: Reason) {
        each!(self, policy => policy.push(thread, reason))
    }

    #[inline]
    fn pop(&mut self) -> Option<Ready> {
        each!(self, policy => policy.pop())
    }

    #[inline]
    fn is_empty(&self) -> bool {
        each!(self, policy => policy.is_empty())
    }

    #[inline]
    fn time_slice_ns(&self, running: ThreadRef) -> Option<u64> {
        each!(self, policy => policy.time_slice_ns(running))
    }

    #[inline]
    fn steal(&mut self, may: &mut dyn FnMut(ThreadRef) -> bool) -> Option<Ready> {
        each!(self, policy => policy.steal(may))
    }

    fn reorder(&mut self, thread: ThreadRef) -> bool {
        each!(self, policy => policy.reorder(thread))
    }

    fn steals(&self) -> bool {
        each!(self, policy => policy.steals())
    }
}
