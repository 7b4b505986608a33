//! What may be done with memory: where a platform has control of it, accesses that are not allowed
//! fault.
//!
//! ```
//! use ukplat::memory::PAGE_SIZE;
//! use ukplat::rights::{self, Rights};
//! # use ukplat::vm;
//! # struct None;
//! # impl vm::FrameSource for None {
//! #     fn take(&mut self) -> Option<usize> { Option::None }
//! #     fn give(&mut self, _frame: usize) {}
//! # }
//!
//! # #[cfg(target_os = "linux")] {
//! # use std::alloc::{Layout, alloc};
//! # // SAFETY: the layout is not of size 0.
//! let page = unsafe { alloc(Layout::from_size_align(PAGE_SIZE, PAGE_SIZE).unwrap()) };
//! // SAFETY: the page is this example's alone, which only reads it in between.
//! unsafe {
//!     page.write(7);
//!     rights::set(page as usize, PAGE_SIZE, Rights::Read, &mut None)?;
//!     assert_eq!(page.read(), 7);
//!     rights::set(page as usize, PAGE_SIZE, Rights::Write, &mut None)?;
//!     page.write(8);
//! }
//! # }
//! # Ok::<(), rights::RightsError>(())
//! ```

use core::fmt;

use crate::platform::bound;
use crate::vm::FrameSource;

/// What may be done with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Nothing.
    None,
    /// Reading.
    Read,
    /// Reading and writing, as all memory that is handed out.
    Write,
    /// Reading and running code.
    Execute,
    /// Everything.
    WriteExecute,
}

impl Rights {
    /// Whether memory may be read.
    pub const fn reads(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether memory may be written.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::WriteExecute)
    }

    /// Whether code may run from it.
    pub const fn executes(self) -> bool {
        matches!(self, Self::Execute | Self::WriteExecute)
    }
}

/// Why rights could not be changed. Those of a part of the range may be as wanted already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightsError {
    /// The platform has no control of that memory: everything but running code stays allowed.
    Unsupported,
    /// The platform never allows this.
    Denied,
    /// There is no memory for page tables.
    OutOfMemory,
}

impl fmt::Display for RightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "the platform has no control of that memory",
            Self::Denied => "the platform does not allow memory to be used so",
            Self::OutOfMemory => "no memory for page tables",
        })
    }
}

impl core::error::Error for RightsError {}

/// Sets what may be done with whole pages of the heap's memory. When this returns, no CPU allows
/// more.
///
/// # Errors
/// [`RightsError`]
///
/// # Safety
/// The range must be whole pages of memory that the caller has from the heap, which must have
/// [`Rights::Write`] again before it goes back. Nobody may use them otherwise than allowed. Frames
/// that `frames` gives must be pages of memory from the memory map; those that are needed stay the
/// platform's, others are given back.
pub unsafe fn set(
    at: usize,
    len: usize,
    rights: Rights,
    frames: &mut dyn FrameSource,
) -> Result<(), RightsError> {
    // SAFETY: the caller's promise.
    unsafe { (bound().set_rights)(at, len, rights, frames) }
}
