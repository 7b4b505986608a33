//! What is in use without being in a block: where marking begins.

use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ukplat::{BootInfo, preempt};

use crate::mark::Marker;

/// Ranges at most.
const MAX_ROOTS: usize = 32;

/// Start and end of each range; free places are empty ranges.
static ROOTS: [[AtomicUsize; 2]; MAX_ROOTS] =
    [const { [const { AtomicUsize::new(0) }; 2] }; MAX_ROOTS];

/// There are 32 ranges already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootsFull;

impl fmt::Display for RootsFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the collector remembers 32 ranges at most")
    }
}

impl core::error::Error for RootsFull {}

/// From now on what the words in a range lead to is kept: for memory that the collector does not
/// know, such as another heap's.
///
/// # Errors
/// [`RootsFull`].
///
/// # Safety
/// The range must be readable until it is given to [`remove_root`].
pub unsafe fn add_root(range: Range<usize>) -> Result<(), RootsFull> {
    let _no_collection = preempt::disable();
    let free = ROOTS.iter().find(|[start, end]| start.load(Relaxed) == end.load(Relaxed));
    let [start, end] = free.ok_or(RootsFull)?;
    start.store(range.start, Relaxed);
    end.store(range.end.max(range.start), Relaxed);
    Ok(())
}

/// Forgets a range that was given to [`add_root`]; returns whether it was.
pub fn remove_root(range: &Range<usize>) -> bool {
    let _no_collection = preempt::disable();
    let found = ROOTS
        .iter()
        .find(|[start, end]| (start.load(Relaxed), end.load(Relaxed)) == (range.start, range.end));
    if let Some([start, end]) = found {
        start.store(0, Relaxed);
        end.store(0, Relaxed);
    }
    found.is_some()
}

/// Marks from the ranges of [`add_root`].
pub fn mark_registered(marker: &mut Marker<'_>) {
    for [start, end] in &ROOTS {
        // SAFETY: readable, as promised to `add_root`.
        unsafe { marker.range(start.load(Relaxed)..end.load(Relaxed)) };
    }
}

/// Marks from everything in the image that may hold addresses. `stack_pointer` is that of the flow
/// of control that waits for the collection, with its registers saved above.
///
/// # Safety
/// Preemption must be disabled, with one CPU; the flow must be the current thread.
pub unsafe fn mark_image(marker: &mut Marker<'_>, early: Range<usize>, stack_pointer: usize) {
    let Some(boot) = BootInfo::get() else { return };
    // Stacks are blocks, too, but left alone: only what is in use of them counts.
    for thread in uksched::threads() {
        // SAFETY: the caller's promise.
        let saved = unsafe { thread.saved_stack() };
        let start = if thread == uksched::current() { stack_pointer } else { saved.stack_pointer };
        let end = if saved.memory.is_empty() { boot.stack.end } else { saved.memory.end };
        // SAFETY: a stack from its pointer up.
        unsafe { marker.range(start..end) };
    }
    // SAFETY: the image's statics, and memory of the early stage.
    unsafe {
        marker.range(boot.data.clone());
        marker.range(early);
    }
    mark_registered(marker);
}
