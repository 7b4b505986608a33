//! Guard pages of stacks that are made while the image runs, and what may be done with other memory.
//!
//! Memory is mapped in large pages, so the first change in one of them costs a page for a table of
//! small ones, which stays.

use core::sync::atomic::{AtomicBool, Ordering};

use ukarch_x86_64::page_table::{Flags, LARGE_PAGE, MapError, Mapper, PAGE, TableMemory};
use ukarch_x86_64::regs::{invlpg, read_cr3};
use ukplat::rights::{Rights, RightsError};
use ukplat::stack::Frames;
use ukplat::vm::FrameSource;

use crate::vm::WINDOW;

/// The running system's tables, which are memory at its physical address.
pub struct Running<'a, 'b>(&'a mut Frames<'b>);

impl TableMemory for Running<'_, '_> {
    fn allocate(&mut self) -> Option<u64> {
        let frame = (self.0)()?;
        // SAFETY: the source gives whole pages that are nobody else's.
        unsafe { core::ptr::write_bytes(frame as *mut u8, 0, PAGE as usize) };
        Some(frame as u64)
    }

    fn table(&mut self, address: u64) -> &mut [u64; 512] {
        // SAFETY: the mapper passes the root and addresses that it found in tables or was given by
        // `allocate`. The borrow of `self`, and the lock, keep the reference unique.
        unsafe { &mut *(address as *mut [u64; 512]) }
    }
}

/// Changes the tables in use; one at a time, on all CPUs.
pub fn with_tables<R>(
    frames: &mut Frames<'_>,
    change: impl FnOnce(&mut Mapper<Running<'_, '_>>) -> R,
) -> R {
    static CHANGING: AtomicBool = AtomicBool::new(false);
    let _interrupts = ukplat::irq::disable();
    while CHANGING.swap(true, Ordering::Acquire) {
        core::hint::spin_loop();
    }
    let result = change(&mut Mapper::of(Running(frames), read_cr3()));
    CHANGING.store(false, Ordering::Release);
    result
}

/// Makes a page inaccessible, or accessible again; see [`ukplat::stack::guard`].
///
/// Other CPUs are not told. What they may remember of a page that nobody uses is that it can be
/// written, and that a page is absent no CPU remembers.
///
/// # Safety
/// As there.
pub unsafe fn set(page: usize, on: bool, frames: &mut Frames<'_>) -> bool {
    let page = page as u64;
    let result = with_tables(frames, |mapper| {
        if on { mapper.unmap(page, PAGE) } else { mapper.map(page, page, PAGE, Flags::WRITE) }
    });
    // SAFETY: the platform runs in kernel mode.
    unsafe { invlpg(page) };
    result.is_ok()
}

/// See [`ukplat::rights::set`].
///
/// # Errors
/// [`RightsError::Unsupported`] for addresses that are not the memory's first.
///
/// # Safety
/// As there.
pub unsafe fn set_rights(
    at: usize,
    len: usize,
    rights: Rights,
    frames: &mut dyn FrameSource,
) -> Result<(), RightsError> {
    let (start, end) = (at as u64, at as u64 + len as u64);
    if at + len > WINDOW.start {
        return Err(RightsError::Unsupported);
    }
    let flags = match rights {
        Rights::None => None,
        Rights::Read => Some(Flags::READ),
        Rights::Write => Some(Flags::WRITE),
        Rights::Execute => Some(Flags::EXECUTE),
        Rights::WriteExecute => Some(Flags::WRITE | Flags::EXECUTE),
    };
    let mut spare = None;
    let mut result = Ok(());
    let mut address = start;
    while address < end && result.is_ok() {
        // In halves of large pages: a whole one would become a large page, and its table be lost.
        let stop = end.min((address | (LARGE_PAGE / 2 - 1)) + 1);
        // Not in the lock: the heap may have one too.
        spare = spare.or_else(|| frames.take());
        result = with_tables(&mut || spare.take(), |mapper| match flags {
            None => mapper.unmap(address, stop - address),
            Some(flags) => mapper.map(address, address, stop - address, flags),
        });
        for page in (address..stop).step_by(PAGE as usize) {
            // SAFETY: the platform runs in kernel mode.
            unsafe { invlpg(page) };
        }
        address = stop;
    }
    if let Some(frame) = spare {
        frames.give(frame);
    }
    #[cfg(feature = "smp")]
    crate::cpus::flush_others(at..at + len);
    result.map_err(|error| match error {
        MapError::NoMemory => RightsError::OutOfMemory,
        MapError::Unaligned | MapError::OutOfRange | MapError::InUse => RightsError::Unsupported,
    })
}
