//! Control of address translation: further addresses for memory, and taking them away again.
//!
//! Memory is reached at the addresses of the [memory map](crate::memory). A platform that
//! provides the interface `vm` can make *aliases*: other addresses, within its [`window`], at which
//! the same memory is reached until they are [revoked](revoke). From then on every access there
//! faults. Aliases can be read and written; code cannot run from them.
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
//! // The last page: no other user of the window comes this far.
//! let at = vm::window().end - PAGE_SIZE;
//! // SAFETY: the memory is this example's alone; nobody else uses that address.
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

/// The addresses where aliases may be made, whole pages; empty where the platform can make none.
/// Nothing but aliases is ever there. Its users divide it among themselves.
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
/// `at` must be in the [`window`], no part of the range may be an alias already, `len` must not be
/// 0, and the memory must lie in one piece that was [prepared](prepare). Frames that `frames` gives
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
