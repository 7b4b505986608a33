//! Flows of control with stacks of their own, and switching between them: what schedulers are
//! made of.
//!
//! A [`Context`] is a flow that does not run: all that is kept of it outside its stack is one stack
//! pointer. [`switch`] saves what the platform's calling convention lets a function rely on over a
//! call (callee-saved registers, the control bits of the floating-point units) and nothing else,
//! so that it costs little more than that. Status flags of the floating-point units, vector
//! registers and the [thread pointer](crate::thread_pointer) are not switched; a flow that is
//! interrupted against its will has all registers saved by the interrupt
//! (see [`preempt`](crate::preempt)).
//!
//! ```
//! use std::cell::Cell;
//! use ukplat::context::{Context, switch};
//!
//! struct Pair { main: Cell<Context>, other: Cell<Context>, steps: Cell<u32> }
//!
//! extern "C" fn count(pair: usize) -> ! {
//!     // SAFETY: the argument is the pair below, which outlives both flows.
//!     let pair = unsafe { &*(pair as *const Pair) };
//!     loop {
//!         pair.steps.set(pair.steps.get() + 1);
//!         // SAFETY: `main` was saved by the switch that came here.
//!         unsafe { switch(pair.other.as_ptr(), pair.main.get()) };
//!     }
//! }
//!
//! let none = Cell::new(Context::NONE);
//! let pair = Pair { main: none.clone(), other: none, steps: Cell::new(0) };
//! let mut stack = vec![0u8; 64 << 10];
//! let top = stack.as_mut_ptr_range().end as usize;
//! // SAFETY: the stack is used by this context alone and outlives it.
//! pair.other.set(unsafe { Context::new(top, count, &raw const pair as usize) });
//! for _ in 0..3 {
//!     // SAFETY: `other` is suspended whenever `main` runs.
//!     unsafe { switch(pair.main.as_ptr(), pair.other.get()) };
//! }
//! assert_eq!(pair.steps.get(), 3);
//! ```

use crate::local::Word;
use crate::platform::bound;

/// A flow of control that does not run now.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context(usize);

impl Context {
    /// No flow: a place for [`switch`] to save into. Must not be switched to.
    pub const NONE: Self = Self(0);

    /// A context that, when switched to for the first time, calls `entry` with `argument` on the
    /// stack that ends at `stack_top`. Backtraces end there. The control bits of the floating-point
    /// units are those of the caller, as POSIX wants it for new threads.
    ///
    /// # Safety
    /// Below `stack_top` there must be writable memory, used by nothing else as long as the context
    /// can run, enough for what `entry` does. What the memory is must be known to the caller:
    /// nobody stops a context at the end of its stack, unless a page there is not accessible.
    #[inline]
    pub unsafe fn new(stack_top: usize, entry: extern "C" fn(usize) -> !, argument: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { (bound().context_new)(stack_top, entry, argument) }
    }

    /// The context with this stack pointer; for platforms.
    pub const fn from_stack_pointer(stack_pointer: usize) -> Self {
        Self(stack_pointer)
    }

    /// Its stack pointer, from which tools can read where a suspended flow is.
    pub const fn stack_pointer(self) -> usize {
        self.0
    }
}

/// Suspends the running flow, saves it to `save` and goes on with `to`. Returns when somebody
/// switches to what was saved.
///
/// The return from here is predicted well when all flows are suspended by the same call of this
/// function: a scheduler has one, in a function that is not inlined.
///
/// # Safety
/// `save` must be valid for a write. `to` must come from [`Context::new`] or from an earlier
/// `switch`, and must not have been switched to since. Interrupts that may look at the same data
/// must be disabled. With several CPUs, what was saved may only be switched to elsewhere once this
/// call is over, on the side of `to`.
#[inline(always)]
pub unsafe fn switch(save: *mut Context, to: Context) {
    // SAFETY: the caller's promise.
    unsafe { (bound().context_switch)(save, to) }
}

/// What a scheduler noted about the flow that runs on this CPU; 0 before it did.
#[inline]
pub fn flow() -> usize {
    Word::Flow.load()
}

/// Notes something about the flow that runs, or is about to run, on this CPU.
#[inline]
pub fn set_flow(value: usize) {
    Word::Flow.store(value)
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::*;

    /// What two flows share.
    struct Ring {
        contexts: [Context; 3],
        turns: Vec<usize>,
        sums: [f64; 3],
    }

    extern "C" fn member(argument: usize) -> ! {
        // SAFETY: the argument is the ring of the test, which outlives all flows; one runs at a time.
        let ring = unsafe { &mut **(argument as *const *mut Ring) };
        let me = ring.turns.len() + 1;
        let mut local = [me; 50];
        loop {
            ring.turns.push(me);
            ring.sums[me] += local.iter().sum::<usize>() as f64 / 50.0;
            local.rotate_left(7);
            let next = (me + 1) % 3;
            let to = ring.contexts[next];
            // SAFETY: every member is suspended but the running one.
            unsafe { switch(&raw mut ring.contexts[me], to) };
        }
    }

    #[test]
    fn a_ring_of_contexts() {
        let mut ring = Ring { contexts: [Context::NONE; 3], turns: Vec::new(), sums: [0.0; 3] };
        let pointer = &raw mut ring;
        let mut stacks = [vec![0u8; 128 << 10], vec![0u8; 128 << 10]];
        for (slot, stack) in [1, 2].into_iter().zip(&mut stacks) {
            // An end that is not aligned is made so.
            let top = stack.as_mut_ptr_range().end as usize - slot;
            let argument = &raw const pointer as usize;
            // SAFETY: the stack is this context's alone and outlives the test's switches.
            ring.contexts[slot] = unsafe { Context::new(top, member, argument) };
        }
        for round in 0..1000 {
            // SAFETY: as above.
            unsafe {
                let to = (*pointer).contexts[1];
                switch(&raw mut (*pointer).contexts[0], to);
                assert_eq!((*pointer).turns.len(), 2 * (round + 1));
            }
        }
        // SAFETY: the members are suspended for ever.
        let ring = unsafe { &*pointer };
        assert!(ring.turns.chunks(2).all(|turn| turn == [1, 2]));
        assert_eq!(ring.sums, [0.0, 1000.0, 2000.0]);
    }
}
