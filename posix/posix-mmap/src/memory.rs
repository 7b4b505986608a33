//! The memory behind mappings.

use core::ops::Range;

use syscall_shim::Errno;
use ukplat::rights::{Rights, RightsError, set};
use ukplat::vm::FrameSource;

use crate::PAGE;

/// The protection that memory has when it comes from the heap, and must have when it goes back.
pub const READ_WRITE: u32 = 3;
const WRITE: u32 = 2;
const EXECUTE: u32 = 4;

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

/// What may be done with memory of a protection: with any, reading (as the processor has it).
fn rights(protection: u32) -> Rights {
    match (protection & WRITE != 0, protection & EXECUTE != 0) {
        (true, true) => Rights::WriteExecute,
        (true, false) => Rights::Write,
        (false, true) => Rights::Execute,
        (false, false) if protection != 0 => Rights::Read,
        (false, false) => Rights::None,
    }
}

/// Pages for the platform's tables.
struct Frames;

impl FrameSource for Frames {
    fn take(&mut self) -> Option<usize> {
        Some(heap().palloc(1) as usize).filter(|frame| *frame != 0)
    }

    fn give(&mut self, frame: usize) {
        // SAFETY: `take` gave it.
        unsafe { heap().pfree(frame as *mut u8, 1) }
    }
}

/// Changes what may be done with mapped memory, as far as the platform can: `EACCES` when it never
/// lets memory be what the new protection says; `ENOMEM`.
pub fn protect(range: Range<usize>, old: u32, new: u32) -> Result<(), Errno> {
    if rights(old) == rights(new) {
        return Ok(());
    }
    // SAFETY: the range is mapped, and it is the program that wants it so.
    let result = unsafe { set(range.start, range.len(), rights(new), &mut Frames) };
    match result {
        Err(RightsError::OutOfMemory) => Err(Errno::ENOMEM),
        Err(RightsError::Denied) => Err(Errno::EACCES),
        // Such platforms leave memory as it is.
        Ok(()) | Err(RightsError::Unsupported) => Ok(()),
    }
}

/// Makes memory with a protection readable and writable.
pub fn open(range: Range<usize>, protection: u32) {
    // Tables that this needs exist since the memory got that protection.
    let _ = protect(range, protection, READ_WRITE);
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

/// Copies from mapped memory.
///
/// # Safety
/// It is mapped and readable.
pub unsafe fn load(at: usize, to: &mut [u8]) {
    // SAFETY: the caller's promise. The program may write there meanwhile, as in any shared mapping.
    unsafe { core::ptr::copy(at as *const u8, to.as_mut_ptr(), to.len()) }
}

/// Copies to mapped memory.
///
/// # Safety
/// It is mapped and writable.
pub unsafe fn store(at: usize, from: &[u8]) {
    // SAFETY: the caller's promise; as above.
    unsafe { core::ptr::copy(from.as_ptr(), at as *mut u8, from.len()) }
}
