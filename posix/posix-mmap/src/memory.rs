//! The memory behind mappings.

use crate::PAGE;

#[cfg(not(test))]
fn heap() -> &'static dyn ukalloc::Alloc {
    ukalloc::for_library("posix-mmap")
}

#[cfg(test)]
use crate::tests::heap;

/// Pages that hold zeros; their address, or `None` when there are none.
pub fn take(pages: usize) -> Option<usize> {
    let block = heap().palloc(pages);
    if block.is_null() {
        return None;
    }
    // SAFETY: the block is ours and has that many pages.
    unsafe { block.write_bytes(0, pages * PAGE) };
    Some(block as usize)
}

/// Gives pages back.
///
/// # Safety
/// They come from [`take`], with this number, and nobody uses them.
pub unsafe fn give_back(block: usize, pages: usize) {
    // SAFETY: the caller's promise.
    unsafe { heap().pfree(block as *mut u8, pages) }
}

/// Fills mapped memory with zeros.
///
/// # Safety
/// The range is mapped, and the program does not use its content.
pub unsafe fn clear(start: usize, end: usize) {
    // SAFETY: the caller's promise.
    unsafe { (start as *mut u8).write_bytes(0, end - start) }
}

/// Copies from one mapping to another.
///
/// # Safety
/// Both are mapped, that long, and do not overlap.
pub unsafe fn copy(from: usize, to: usize, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { core::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, len) }
}

/// Mapped memory as bytes.
///
/// # Safety
/// The range is mapped, and nobody else uses it meanwhile.
pub unsafe fn bytes<'a>(start: usize, len: usize) -> &'a mut [u8] {
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(start as *mut u8, len) }
}
