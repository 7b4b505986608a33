//! Guard pages of stacks that are made while the image runs.

use ukplat::memory::PAGE_SIZE;

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
