//! Stacks that belong to somebody else: a program that brings the stacks of its threads.

use core::cell::UnsafeCell;
use core::ops::Range;
use core::sync::atomic::Ordering::Relaxed;

use crate::sys::atomic::AtomicUsize;
use crate::sys::{Context, context};

/// The stack that a thread runs on in place of its own.
pub struct Foreign {
    /// Where the thread goes on on its own stack.
    home: UnsafeCell<Context>,
    start: AtomicUsize,
    /// 0 when the thread is on its own stack.
    end: AtomicUsize,
}

impl Foreign {
    pub const fn new() -> Self {
        Self {
            home: UnsafeCell::new(Context::NONE),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
        }
    }

    pub fn forget(&self) {
        self.end.store(0, Relaxed);
    }

    /// The memory of the foreign stack, if the thread is on one.
    pub fn memory(&self) -> Option<Range<usize>> {
        let end = self.end.load(Relaxed);
        (end != 0).then(|| self.start.load(Relaxed)..end)
    }
}

/// Calls `entry` with `argument` on another stack, whose memory is given. Returns when the thread
/// calls [`leave_stack`]; from then on the memory can be used for something else.
///
/// What is on the thread's own stack stays there meanwhile.
///
/// # Safety
/// The memory must be writable and be used by nothing else until the call returns, and be enough for
/// what `entry` does. The thread must be on its own stack.
pub unsafe fn enter_stack(memory: Range<usize>, entry: extern "C" fn(usize) -> !, argument: usize) {
    let foreign = &crate::current().0.foreign;
    foreign.start.store(memory.start, Relaxed);
    foreign.end.store(memory.end, Relaxed);
    // SAFETY: the stack is the caller's promise. `home` is this thread's alone, and saved before
    // anybody on the new stack can switch to it.
    unsafe {
        let there = Context::new(memory.end, entry, argument);
        context::switch(foreign.home.get(), there);
    }
    foreign.forget();
}

/// Leaves the stack of [`enter_stack`] for ever: that call returns. Nothing on the stack is dropped.
///
/// # Panics
/// When the thread is on its own stack.
pub fn leave_stack() -> ! {
    let foreign = &crate::current().0.foreign;
    assert!(foreign.memory().is_some(), "the thread is on its own stack");
    let mut nobody = Context::NONE;
    // SAFETY: `enter_stack` saved the context, which is used once; nobody comes back to this one.
    unsafe { context::switch(&raw mut nobody, *foreign.home.get()) };
    unreachable!("nobody knows of the stack that was left")
}
