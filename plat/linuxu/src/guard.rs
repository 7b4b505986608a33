//! Guard pages of stacks that are made while the image runs, and what may be done with other memory.

use ukplat::memory::PAGE_SIZE;
use ukplat::rights::{Rights, RightsError};

use crate::sys;

/// Makes a page inaccessible, or accessible again; see [`ukplat::stack::guard`].
///
/// # Safety
/// As there.
pub unsafe fn set(page: usize, on: bool) -> bool {
    const READ_WRITE: usize = 3;
    let protection = if on { 0 } else { READ_WRITE };
    // SAFETY: nobody uses the page (the caller's promise).
    unsafe { sys::call(sys::MPROTECT, [page, PAGE_SIZE, protection, 0, 0, 0]) == 0 }
}

/// See [`ukplat::rights::set`].
///
/// # Safety
/// As there.
pub unsafe fn set_rights(at: usize, len: usize, rights: Rights) -> Result<(), RightsError> {
    let protection = usize::from(rights.reads())
        | usize::from(rights.writes()) << 1
        | usize::from(rights.executes()) << 2;
    // SAFETY: nobody uses the memory otherwise than allowed (the caller's promise).
    match unsafe { sys::call(sys::MPROTECT, [at, len, protection, 0, 0, 0]) } {
        0 => Ok(()),
        sys::ENOMEM => Err(RightsError::OutOfMemory),
        // The host's policy, against code that is written while it runs.
        _ => Err(RightsError::Denied),
    }
}
