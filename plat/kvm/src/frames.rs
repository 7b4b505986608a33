//! Memory for what the platform itself needs: page tables, stacks, the command line.

use ukarch_x86_64::page_table::{PAGE, TableMemory};

/// Hands out pages of one free range from its start; they are never given back.
#[derive(Debug)]
pub struct Frames {
    next: u64,
    end: u64,
}

impl Frames {
    /// Pages of `[start, end)`.
    ///
    /// # Safety
    /// The range must be page-aligned, unused, and mapped writable at its own address.
    pub const unsafe fn new(start: u64, end: u64) -> Self {
        Self { next: start, end }
    }

    /// Address of the next page to be handed out.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Address of `len` bytes, rounded up to pages, all zero.
    pub fn take(&mut self, len: u64) -> Option<u64> {
        let start = self.next;
        let end = start.checked_add(len.checked_next_multiple_of(PAGE)?)?;
        if end > self.end {
            return None;
        }
        self.next = end;
        // SAFETY: the range is ours (promise of `new`) and was not handed out before.
        unsafe { core::ptr::write_bytes(start as *mut u8, 0, (end - start) as usize) };
        Some(start)
    }
}

impl TableMemory for Frames {
    fn allocate(&mut self) -> Option<u64> {
        self.take(PAGE)
    }

    fn table(&mut self, address: u64) -> &mut [u64; 512] {
        // SAFETY: the builder passes only addresses that `allocate` returned, which are zeroed
        // pages at their own address; the borrow of `self` keeps the reference unique.
        unsafe { &mut *(address as *mut [u64; 512]) }
    }
}
