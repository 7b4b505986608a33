//! Firmware tables, before the page tables of our own are in use.

use core::cell::RefCell;

use ukarch_x86_64::page_table::PAGE;
use ukarch_x86_64::regs::read_cr3;

use crate::frames::Frames;
use crate::pvh::PhysicalMemory;

/// Firmware tables wherever they are: the entry code's page tables get what they lack.
pub struct Firmware<'a>(RefCell<&'a mut Frames>);

impl<'a> Firmware<'a> {
    /// Firmware tables. Those in use must be the entry code's.
    pub fn new(frames: &'a mut Frames) -> Self {
        Self(RefCell::new(frames))
    }

    /// Maps a GiB read-only. `None` when there is no memory for the table.
    fn map(&self, gib: u64) -> Option<()> {
        const PRESENT_WRITABLE: u64 = 3;
        const PRESENT_LARGE: u64 = 0x81;
        const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
        // SAFETY: the entry code's tables lie in the image, at their physical address, and nobody
        // else looks at them; its top-level table has one entry, for the first 512 GiB.
        let level3 = unsafe {
            let level4 = &*(read_cr3() as *const [u64; 512]);
            &mut *((level4[0] & ADDRESS) as *mut [u64; 512])
        };
        let entry = level3.get_mut(gib as usize)?;
        if *entry == 0 {
            let table = self.0.borrow_mut().take(PAGE)?;
            // SAFETY: a fresh page.
            let pages = unsafe { &mut *(table as *mut [u64; 512]) };
            for (index, page) in (0..).zip(pages) {
                *page = gib << 30 | index << 21 | PRESENT_LARGE;
            }
            *entry = table | PRESENT_WRITABLE;
        }
        Some(())
    }
}

impl PhysicalMemory for Firmware<'_> {
    fn bytes(&self, address: u64, len: usize) -> Option<&'static [u8]> {
        let last = address.checked_add(len as u64)?.checked_sub(1)?;
        if address == 0 {
            return None;
        }
        for gib in address >> 30..=last >> 30 {
            self.map(gib)?;
        }
        // SAFETY: mapped just now; firmware tables are not written, and nothing of them is used
        // once memory is given to allocators.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, len) })
    }
}
