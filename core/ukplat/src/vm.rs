//! Control of address translation: further addresses for memory, and taking them away again.
//!
//! Memory is reached at the addresses of the [memory map](crate::memory). A platform that
//! provides the interface `vm` can make *aliases*: other addresses, within its [`window`], at which
//! the same memory is reached until they are [revoked](revoke). From then on every access there
//! faults. Aliases can be read and written; code cannot run from them. Each user of the window takes
//! a [`Part`] of it.
//!
//! Whoever uses this states `requires = ["vm"]` in its metadata, so that a configuration for a
//! platform without it is refused before anything is built.
//!
//! ```
//! use ukplat::memory::PAGE_SIZE;
//! use ukplat::vm;
//!
//! // The `host` platform keeps its tables in the kernel and needs no frames.
//! struct None;
//! impl vm::FrameSource for None {
//!     fn take(&mut self) -> Option<usize> { Option::None }
//!     fn give(&mut self, _frame: usize) {}
//! }
//!
//! # #[cfg(target_os = "linux")] {
//! # use std::alloc::{Layout, alloc};
//! # // SAFETY: the layout is not of size 0.
//! let memory = unsafe { alloc(Layout::from_size_align(4 * PAGE_SIZE, PAGE_SIZE).unwrap()) };
//! let part = vm::Part::take().expect("the window has several parts");
//! let at = part.addresses().start;
//! // SAFETY: memory and addresses are this example's alone.
//! unsafe {
//!     vm::prepare(memory as usize, 4 * PAGE_SIZE)?;
//!     vm::alias(at, memory as usize + PAGE_SIZE, PAGE_SIZE, &mut None)?;
//!     (at as *mut u8).write_volatile(7);
//!     assert_eq!(memory.add(PAGE_SIZE).read_volatile(), 7);
//!     vm::revoke(at, PAGE_SIZE, &mut None)?;
//! }
//! # }
//! # Ok::<(), vm::VmError>(())
//! ```

use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::PAGE_SIZE;
use crate::platform::bound;

/// Where a platform gets memory for its page tables. Platforms whose tables are kept by somebody
/// else, as by the kernel below `linuxu`, never ask.
pub trait FrameSource {
    /// Address of a page, of any content and used by nobody else; `None` when there is none.
    fn take(&mut self) -> Option<usize>;
    /// Takes back a page that [`Self::take`] gave, perhaps in another call of the platform.
    fn give(&mut self, frame: usize);
}

/// Why address translation could not be changed. It is then as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmError {
    /// The platform has no control of address translation.
    Unsupported,
    /// There is no memory for page tables, or the host allows no further mapping.
    OutOfMemory,
    /// The addresses are not whole pages, not in the window, or not as the call needs them.
    BadRange,
}

impl fmt::Display for VmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            VmError::Unsupported => "the platform has no control of address translation",
            VmError::OutOfMemory => "no memory for page tables",
            VmError::BadRange => "the address range cannot be mapped in that way",
        })
    }
}

impl core::error::Error for VmError {}

/// The platform's functions; see those of this module.
pub(crate) struct Table {
    pub window: fn() -> Range<usize>,
    pub prepare: unsafe fn(usize, usize) -> Result<(), VmError>,
    pub alias: unsafe fn(usize, usize, usize, &mut dyn FrameSource) -> Result<(), VmError>,
    pub revoke: unsafe fn(usize, usize, &mut dyn FrameSource) -> Result<(), VmError>,
}

/// Users that the window can have at a time.
pub const PARTS: usize = 4;

/// Bit `i`: part `i` is taken.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// A part of the window, for one user; given back when it is dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    index: usize,
}

impl Part {
    /// Takes a part; `None` when all are taken or the window is empty.
    // Not inline: it is needed once, and its atomic instruction does not belong into code that
    // otherwise has none.
    #[cold]
    #[inline(never)]
    pub fn take() -> Option<Self> {
        let next = |taken: usize| Some(taken | taken.wrapping_add(1)).filter(|t| *t < 1 << PARTS);
        let before = TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        let part = Self { index: before.trailing_ones() as usize };
        (!part.addresses().is_empty()).then_some(part)
    }

    /// Which part it is, below [`PARTS`].
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its addresses, whole pages.
    pub fn addresses(&self) -> Range<usize> {
        let window = window();
        let len = (window.len() / PARTS) & !(PAGE_SIZE - 1);
        let start = window.start + self.index * len;
        start..start + len
    }
}

impl Drop for Part {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        TAKEN.fetch_and(!(1 << self.index), Ordering::Relaxed);
    }
}

/// The addresses where aliases may be made, whole pages; empty where the platform can make none.
/// Nothing but aliases is ever there.
pub fn window() -> Range<usize> {
    (bound().vm.window)()
}

/// Makes memory ready to be aliased. Its content is lost. To be called once for each piece, before
/// it is used.
///
/// # Errors
/// [`VmError`]; the memory can still be used, but not be aliased.
///
/// # Safety
/// `[base, base + len)` must be whole pages of readable and writable memory that nobody else uses.
pub unsafe fn prepare(base: usize, len: usize) -> Result<(), VmError> {
    // SAFETY: the caller's promise is that of the platform's function.
    unsafe { (bound().vm.prepare)(base, len) }
}

/// Makes `[at, at + len)` another address of the memory at `memory`.
///
/// # Errors
/// [`VmError`]; nothing of the range is then mapped.
///
/// # Safety
/// The range must be in the caller's [`Part`], no page of it may be an alias already, `len` must not
/// be 0, and the memory must lie in one piece that was [prepared](prepare). Frames that `frames` gives
/// must be pages of memory from the memory map, and stay the platform's until they are given back.
pub unsafe fn alias(
    at: usize,
    memory: usize,
    len: usize,
    frames: &mut dyn FrameSource,
) -> Result<(), VmError> {
    // SAFETY: the caller's promise is that of the platform's function.
    unsafe { (bound().vm.alias)(at, memory, len, frames) }
}

/// Makes the aliases in `[at, at + len)` inaccessible: when this returns, no CPU reaches memory
/// through them. Gives back frames of tables that have become empty.
///
/// # Errors
/// [`VmError`]; the aliases may then still be accessible.
///
/// # Safety
/// Every page of the range must be an alias, and nobody may use it any more. `frames` must lead to
/// where the frames for these aliases came from.
pub unsafe fn revoke(at: usize, len: usize, frames: &mut dyn FrameSource) -> Result<(), VmError> {
    // SAFETY: the caller's promise is that of the platform's function.
    unsafe { (bound().vm.revoke)(at, len, frames) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_divided() {
        let parts: Vec<Part> = core::iter::from_fn(Part::take).collect();
        assert_eq!(parts.len(), PARTS);
        for (i, part) in parts.iter().enumerate() {
            assert_eq!(part.index(), i);
            let Range { start, end } = part.addresses();
            assert!(start < end && window().start <= start && end <= window().end);
            assert!(i == 0 || parts[i - 1].addresses().end <= start);
        }
        let mut parts = parts;
        parts.remove(1);
        assert_eq!(Part::take().map(|part| part.index()), Some(1));
    }
}
