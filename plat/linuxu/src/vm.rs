//! Aliases of memory by the calls of Linux.
//!
//! Each alias is a mapping of its own, of which a process may have 65 530 (sysctl
//! `vm.max_map_count`): with more, `alias` finds no memory.

use core::ops::Range;

use ukplat::memory::PAGE_SIZE;
use ukplat::vm::VmError;

use crate::sys;

/// Far above the image and its heap, far below where the kernel places mappings that ask for no
/// address, stack and vDSO (from 2^47 downwards).
pub const WINDOW: Range<usize> = 0x1000_0000_0000..0x5000_0000_0000;

const PROT_READ_WRITE: usize = 3;
/// `MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE`
const SHARED_FIXED: usize = 0x1 | 0x10 | 0x20 | 0x4000;
/// `MREMAP_MAYMOVE | MREMAP_FIXED`
const MOVE_TO: usize = 1 | 2;

fn whole_pages(at: usize, len: usize, inside: Range<usize>) -> Result<(), VmError> {
    let end = at.checked_add(len).ok_or(VmError::BadRange)?;
    let good = len > 0 && (at | len) & (PAGE_SIZE - 1) == 0;
    if good && inside.start <= at && end <= inside.end { Ok(()) } else { Err(VmError::BadRange) }
}

fn expect(result: isize, wanted: usize) -> Result<(), VmError> {
    match result {
        result if result == wanted as isize => Ok(()),
        sys::ENOMEM => Err(VmError::OutOfMemory),
        _ => Err(VmError::BadRange),
    }
}

/// See [`ukplat::vm::prepare`]: mapped anew as shared, because only shared memory can be mapped a
/// second time. Not for aliases: that would only hide the memory below them.
///
/// # Safety
/// See there.
pub unsafe fn prepare(base: usize, len: usize) -> Result<(), VmError> {
    whole_pages(base, len, 0..WINDOW.start)
        .or_else(|_| whole_pages(base, len, WINDOW.end..usize::MAX))?;
    // SAFETY: the pages are nobody else's (the caller's promise), their content may go.
    let result =
        unsafe { sys::call(sys::MMAP, [base, len, PROT_READ_WRITE, SHARED_FIXED, usize::MAX, 0]) };
    expect(result, base)
}

/// See [`ukplat::vm::alias`].
///
/// # Safety
/// See there.
pub unsafe fn alias(at: usize, memory: usize, len: usize) -> Result<(), VmError> {
    whole_pages(at, len, WINDOW)?;
    // SAFETY: the range at `at` is free (the caller's promise). An old length of 0 leaves the
    // shared mapping where it is and makes another one of the same pages (mremap(2)).
    let result = unsafe { sys::call(sys::MREMAP, [memory, 0, len, MOVE_TO, at, 0]) };
    expect(result, at)
}

/// See [`ukplat::vm::revoke`].
///
/// # Safety
/// See there.
pub unsafe fn revoke(at: usize, len: usize) -> Result<(), VmError> {
    whole_pages(at, len, WINDOW)?;
    // SAFETY: nobody uses the aliases any more (the caller's promise).
    expect(unsafe { sys::call(sys::MUNMAP, [at, len, 0, 0, 0, 0]) }, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte(address: usize) -> *mut u8 {
        address as *mut u8
    }

    #[test]
    fn aliases_share_memory_until_they_are_revoked() {
        let memory = sys::map_memory(4 * PAGE_SIZE).unwrap();
        let (a, b) = (WINDOW.end - 8 * PAGE_SIZE, WINDOW.end - 4 * PAGE_SIZE);
        // SAFETY: the memory and the addresses are this test's alone.
        unsafe {
            byte(memory).write(1);
            prepare(memory, 4 * PAGE_SIZE).unwrap();
            assert_eq!(byte(memory).read(), 0, "prepared memory is fresh");
            alias(a, memory + PAGE_SIZE, 2 * PAGE_SIZE).unwrap();
            alias(b, memory + PAGE_SIZE, 2 * PAGE_SIZE).unwrap();
            byte(a + PAGE_SIZE + 5).write_volatile(9);
            assert_eq!(byte(b + PAGE_SIZE + 5).read_volatile(), 9);
            assert_eq!(byte(memory + 2 * PAGE_SIZE + 5).read_volatile(), 9);
            revoke(a, 2 * PAGE_SIZE).unwrap();
            assert_eq!(byte(b + PAGE_SIZE + 5).read_volatile(), 9);
            revoke(b, 2 * PAGE_SIZE).unwrap();
        }
    }

    #[test]
    fn wrong_ranges_are_refused() {
        // SAFETY: refused before anything is mapped.
        unsafe {
            for (at, len) in [
                (WINDOW.start - PAGE_SIZE, PAGE_SIZE),
                (WINDOW.end, PAGE_SIZE),
                (WINDOW.start + 1, PAGE_SIZE),
                (WINDOW.start, 1),
                (WINDOW.start, 0),
                (WINDOW.start, usize::MAX & !(PAGE_SIZE - 1)),
            ] {
                assert_eq!(alias(at, 0x1000, len), Err(VmError::BadRange));
                assert_eq!(revoke(at, len), Err(VmError::BadRange));
            }
            assert_eq!(prepare(1, PAGE_SIZE), Err(VmError::BadRange));
            assert_eq!(prepare(WINDOW.start, PAGE_SIZE), Err(VmError::BadRange));
            // Nothing is mapped at the source.
            assert!(alias(WINDOW.end - PAGE_SIZE, 0x1000, PAGE_SIZE).is_err());
        }
    }
}
