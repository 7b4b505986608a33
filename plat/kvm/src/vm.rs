//! Aliases of memory by page tables of our own.
//!
//! Only this CPU is made to forget what was revoked. With several that run, the others would have to
//! be told before memory and page tables are used for something else; so there are no aliases then.

use core::ops::Range;

use ukarch_x86_64::page_table::{Flags, LiveMapper, LiveMemory, MapError, PAGE, TableMemory};
use ukarch_x86_64::regs::{invlpg, read_cr3};
use ukplat::Platform;
use ukplat::memory::PAGE_SIZE;
use ukplat::vm::{FrameSource, VmError};

use crate::Kvm;

/// Far above all memory, which is mapped at its physical addresses; whole entries of the top-level
/// table, so that no other mapping shares a table with it.
pub const WINDOW: Range<usize> = 0x1000_0000_0000..0x5000_0000_0000;

/// The running system's tables, which are memory at its physical address.
struct Running<'a>(&'a mut dyn FrameSource);

impl TableMemory for Running<'_> {
    fn allocate(&mut self) -> Option<u64> {
        let frame = self.0.take()?;
        // SAFETY: the source gives pages of memory that are nobody else's (promise of `alias`).
        unsafe { core::ptr::write_bytes(frame as *mut u8, 0, PAGE_SIZE) };
        Some(frame as u64)
    }

    fn table(&mut self, address: u64) -> &mut [u64; 512] {
        // SAFETY: the mapper passes the root, which `start` made, and addresses that `allocate`
        // returned: tables, at their physical address. The borrow of `self` keeps the reference
        // unique: there is one mapper at a time, used with interrupts as the caller has them, and
        // handlers map nothing.
        unsafe { &mut *(address as *mut [u64; 512]) }
    }
}

impl LiveMemory for Running<'_> {
    fn free(&mut self, address: u64) {
        self.0.give(address as usize);
    }

    fn forget(&mut self, virtual_address: u64) {
        // SAFETY: the platform runs in kernel mode.
        unsafe { invlpg(virtual_address) };
    }
}

fn pages(at: usize, len: usize) -> Result<impl DoubleEndedIterator<Item = u64>, VmError> {
    let end = at.checked_add(len).ok_or(VmError::BadRange)?;
    if len == 0 || (at | len) & (PAGE_SIZE - 1) != 0 || at < WINDOW.start || end > WINDOW.end {
        return Err(VmError::BadRange);
    }
    Ok((at..end).step_by(PAGE_SIZE).map(|page| page as u64))
}

/// See [`ukplat::vm::prepare`]. All memory can be mapped a second time as it is; but it must be at
/// its physical address, not itself an alias.
///
/// # Errors
/// [`VmError::Unsupported`] with several CPUs, [`VmError::BadRange`].
pub fn prepare(base: usize, len: usize) -> Result<(), VmError> {
    if Kvm::cpu_count() > 1 {
        return Err(VmError::Unsupported);
    }
    let end = base.checked_add(len).ok_or(VmError::BadRange)?;
    if (base | len) & (PAGE_SIZE - 1) == 0 && end <= WINDOW.start {
        Ok(())
    } else {
        Err(VmError::BadRange)
    }
}

/// See [`ukplat::vm::alias`].
///
/// # Safety
/// See there.
pub unsafe fn alias(
    at: usize,
    memory: usize,
    len: usize,
    frames: &mut dyn FrameSource,
) -> Result<(), VmError> {
    let mut mapper = LiveMapper::new(Running(frames), read_cr3());
    let mut physical = memory as u64;
    for page in pages(at, len)? {
        if let Err(error) = mapper.map(page, physical, Flags::WRITE) {
            for mapped in pages(at, len)?.take_while(|mapped| *mapped < page) {
                mapper.unmap(mapped);
            }
            return Err(match error {
                MapError::NoMemory => VmError::OutOfMemory,
                MapError::Unaligned | MapError::OutOfRange | MapError::InUse => VmError::BadRange,
            });
        }
        physical += PAGE;
    }
    // The CPU remembers no absent pages, so there is nothing to forget; the compiler must not move
    // accesses to the aliases before the tables are written.
    // SAFETY: no instruction at all.
    unsafe { core::arch::asm!("", options(nostack, preserves_flags)) };
    Ok(())
}

/// See [`ukplat::vm::revoke`].
///
/// # Safety
/// See there.
pub unsafe fn revoke(at: usize, len: usize, frames: &mut dyn FrameSource) -> Result<(), VmError> {
    let mut mapper = LiveMapper::new(Running(frames), read_cr3());
    for page in pages(at, len)? {
        if mapper.unmap(page).is_none() {
            return Err(VmError::BadRange);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        assert_eq!(prepare(0x10_0000, 0x1000), Ok(()));
        for (base, len) in [(1, 0x1000), (0x1000, 1), (WINDOW.start, 0x1000), (!0xfff, 0x1000)] {
            assert_eq!(prepare(base, len), Err(VmError::BadRange));
        }
        let all = |at, len| pages(at, len).map(|pages| pages.collect::<Vec<u64>>());
        let start = WINDOW.start;
        assert_eq!(all(start, 0x2000), Ok(vec![start as u64, start as u64 + 0x1000]));
        for (at, len) in
            [(start, 0), (start + 1, 0x1000), (start, 1), (WINDOW.end, 0x1000), (0, 0x1000)]
        {
            assert_eq!(all(at, len), Err(VmError::BadRange));
        }
    }
}
