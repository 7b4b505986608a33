//! The guest's memory as a device sees it: by the addresses that the guest uses, with the guest's
//! own rights. So a device can be made to do nothing that the guest could not do itself: not write to
//! its code, nor reach page tables or pages that it was told to keep away from.

use std::iter::FusedIterator;
use std::sync::{Arc, Mutex, PoisonError};

use vm_memory::{
    GuestAddress, GuestMemory, GuestMemoryError, GuestMemoryMmap, Permissions, VolatileSlice,
};

use vm_memory::guest_memory::GuestMemorySliceIterator;

use crate::memory::{GuestRam, Tables};
use crate::paging::AddressSpace;

/// Memory of a guest, by its own addresses.
#[derive(Clone, Debug)]
pub struct DeviceMemory {
    /// All of it.
    pub ram: Arc<GuestRam>,
    /// Where user mode finds what.
    pub space: Arc<Mutex<AddressSpace<Tables>>>,
}

impl DeviceMemory {
    /// The physical address behind an address of the guest, and how many bytes follow each other.
    fn translate(&self, address: u64, write: bool) -> Option<(u64, u64)> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner).translate(address, write)
    }
}

impl GuestMemory for DeviceMemory {
    type PhysicalMemory = GuestMemoryMmap;
    type Bitmap = ();

    fn check_range(&self, address: GuestAddress, len: usize, access: Permissions) -> bool {
        Slices::new(self, address, len, access).all(|slice| slice.is_ok())
    }

    fn get_slices<'a>(
        &'a self,
        address: GuestAddress,
        len: usize,
        access: Permissions,
    ) -> vm_memory::GuestMemoryResult<impl GuestMemorySliceIterator<'a, ()>> {
        Ok(Slices::new(self, address, len, access))
    }
}

/// The pieces of memory behind a range of addresses.
#[derive(Debug)]
pub struct Slices<'a> {
    memory: &'a DeviceMemory,
    at: u64,
    left: u64,
    write: bool,
}

impl<'a> Slices<'a> {
    fn new(memory: &'a DeviceMemory, at: GuestAddress, len: usize, access: Permissions) -> Self {
        let write = matches!(access, Permissions::Write | Permissions::ReadWrite);
        Self { memory, at: at.0, left: len as u64, write }
    }

    /// The next piece: all that follows each other in physical memory.
    fn piece(&mut self) -> Option<VolatileSlice<'a>> {
        let (physical, room) = self.memory.translate(self.at, self.write)?;
        let mut len = room.min(self.left);
        while len < self.left
            && let Some((next, room)) = self.memory.translate(self.at + len, self.write)
            && next == physical + len
        {
            len += room.min(self.left - len);
        }
        // What is no memory, as registers, has no slice.
        let slice = self.memory.ram.slice(physical, len)?;
        self.at += len;
        self.left -= len;
        Some(slice)
    }
}

impl<'a> Iterator for Slices<'a> {
    type Item = vm_memory::GuestMemoryResult<VolatileSlice<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let bad = GuestAddress(self.at);
        Some(self.piece().ok_or_else(|| {
            self.left = 0;
            GuestMemoryError::InvalidGuestAddress(bad)
        }))
    }
}

impl FusedIterator for Slices<'_> {}
impl<'a> GuestMemorySliceIterator<'a, ()> for Slices<'a> {}
