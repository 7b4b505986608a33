//! The guest's physical memory. Accesses go through `vm-memory`, which checks them; addresses that the
//! tender itself computed are inside, and what misses is not written and reads as zero.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use hvt_abi::PAGE;
use vm_memory::{
    Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion,
    MemoryRegionAddress, VolatileMemory as _, VolatileSlice,
};

use crate::error::Error;
use crate::layout::{HOLE, HOLE_END, LARGE_PAGE, Layout, SYSTEM};
use crate::paging::{NewTable, TableMemory};

/// Memory of a guest, and the tender's tables in the hole.
#[derive(Debug)]
pub struct GuestRam {
    memory: GuestMemoryMmap,
}

/// A range of physical memory and where it is in this process.
#[derive(Clone, Copy, Debug)]
pub struct HostRange {
    /// Physical address.
    pub physical: u64,
    /// Length in bytes.
    pub len: u64,
    /// Address in this process.
    pub host: u64,
}

/// How pages are taken from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Populate {
    /// As they are: those of a file stay the ones that all have who map it.
    Shared,
    /// To write to: those of a file are copied.
    Own,
}

impl GuestRam {
    /// Takes memory from the host; pages of it are committed when they are touched.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn new(memory: u64) -> Result<Self, Error> {
        let memory = memory / PAGE * PAGE;
        let mut ranges = vec![
            (GuestAddress(0), memory.min(HOLE) as usize),
            (GuestAddress(SYSTEM), (LARGE_PAGE + Layout::table_memory(memory)) as usize),
        ];
        if memory > HOLE {
            ranges.push((GuestAddress(HOLE_END), (memory - HOLE) as usize));
        }
        let memory = GuestMemoryMmap::from_ranges(&ranges);
        Ok(Self { memory: memory.map_err(|e| Error::Memory(e.to_string()))? })
    }

    /// Its ranges.
    pub fn ranges(&self) -> impl Iterator<Item = HostRange> {
        self.memory.iter().filter_map(|region| {
            let host = region.get_host_address(MemoryRegionAddress(0)).ok()? as u64;
            Some(HostRange { physical: region.start_addr().0, len: region.len(), host })
        })
    }

    /// Puts whole pages of a file in place of memory; they are copied when they are written to.
    ///
    /// # Errors
    /// Those of the call, and one for ranges that are not whole pages of memory.
    pub fn map_file(
        &self,
        physical: u64,
        file: &File,
        offset: u64,
        len: u64,
    ) -> std::io::Result<()> {
        let pages = (physical | offset | len).is_multiple_of(PAGE);
        let slice = self.memory.get_slice(GuestAddress(physical), len as usize);
        let (Ok(slice), true) = (slice, pages) else {
            return Err(std::io::ErrorKind::InvalidInput.into());
        };
        let guard = slice.ptr_guard_mut();
        // SAFETY: the range is a part of a mapping that is ours and stays as long as `self` (the
        // regions own it, and unmap it as a whole), and nobody has references into it.
        let result = unsafe {
            libc::mmap(
                guard.as_ptr().cast(),
                len as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_FIXED,
                file.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        if result == libc::MAP_FAILED { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes pages from the host before the guest touches them; whether that worked does not matter.
    pub fn populate(&self, physical: u64, len: u64, how: Populate) {
        let Ok(slice) = self.memory.get_slice(GuestAddress(physical), len as usize) else { return };
        let guard = slice.ptr_guard_mut();
        let advice = match how {
            Populate::Shared => libc::MADV_POPULATE_READ,
            Populate::Own => libc::MADV_POPULATE_WRITE,
        };
        // SAFETY: the range is memory of ours; the call changes no content.
        unsafe { libc::madvise(guard.as_ptr().cast(), len as usize, advice) };
    }

    /// Takes a range from the host in large pages, where it has them to give, when it is touched.
    pub fn want_large_pages(&self, physical: u64, len: u64) {
        let Ok(slice) = self.memory.get_slice(GuestAddress(physical), len as usize) else { return };
        let guard = slice.ptr_guard_mut();
        // SAFETY: the range is memory of ours; the call changes no content.
        unsafe { libc::madvise(guard.as_ptr().cast(), len as usize, libc::MADV_HUGEPAGE) };
    }

    /// A range of memory; `None` when it is not all memory.
    pub fn slice(&self, physical: u64, len: u64) -> Option<VolatileSlice<'_>> {
        self.memory.get_slice(GuestAddress(physical), usize::try_from(len).ok()?).ok()
    }

    /// Writes bytes.
    pub fn write(&self, physical: u64, bytes: &[u8]) {
        let _ = self.memory.write_slice(bytes, GuestAddress(physical));
    }

    /// Reads bytes.
    pub fn read(&self, physical: u64, bytes: &mut [u8]) {
        if self.memory.read_slice(bytes, GuestAddress(physical)).is_err() {
            bytes.fill(0);
        }
    }

    /// Reads a word at a multiple of 8.
    pub fn word(&self, physical: u64) -> u64 {
        self.memory
            .load(GuestAddress(physical), std::sync::atomic::Ordering::Acquire)
            .unwrap_or_default()
    }

    /// Writes a word at a multiple of 8.
    pub fn set_word(&self, physical: u64, value: u64) {
        let order = std::sync::atomic::Ordering::Release;
        let _ = self.memory.store(value, GuestAddress(physical), order);
    }

    /// Sets bits of a word at a multiple of 8, while the guest may do the same.
    pub fn set_bits(&self, physical: u64, bits: u64) {
        let word = self.slice(physical, 8);
        if let Some(Ok(word)) = word.as_ref().map(|word| word.get_atomic_ref::<AtomicU64>(0)) {
            word.fetch_or(bits, SeqCst);
        }
    }

    /// Writes words from a multiple of 8 on.
    pub fn write_words(&self, physical: u64, words: &[u64]) {
        for (at, word) in (physical..).step_by(8).zip(words) {
            self.set_word(at, *word);
        }
    }

    /// Reads words from a multiple of 8 on.
    pub fn read_words<const N: usize>(&self, physical: u64) -> [u64; N] {
        std::array::from_fn(|i| self.word(physical + 8 * i as u64))
    }
}

/// The part of the tender's memory in which page tables lie.
#[derive(Debug)]
pub struct Tables {
    ram: std::sync::Arc<GuestRam>,
    next: u64,
    end: u64,
    free: Vec<u64>,
}

/// Bytes of the tables that the smallest guest has.
const FIRST_TABLES: u64 = 12 * PAGE;
/// Physical address of the first table.
pub const TABLES: u64 = SYSTEM + LARGE_PAGE;

impl Tables {
    /// For this much memory.
    pub fn new(ram: std::sync::Arc<GuestRam>, memory: u64) -> Self {
        let end = TABLES + Layout::table_memory(memory / PAGE * PAGE);
        // Else the first look at each, and the first write to it, would be a fault. Not later: the
        // tender is confined when it makes the others.
        ram.populate(TABLES, FIRST_TABLES.min(end - TABLES), Populate::Own);
        Self { ram, next: TABLES, end, free: Vec::new() }
    }
}

impl TableMemory for Tables {
    fn load(&self, address: u64) -> u64 {
        self.ram.word(address)
    }

    fn store(&mut self, address: u64, value: u64) {
        self.ram.set_word(address, value);
    }

    fn allocate(&mut self) -> Option<NewTable> {
        if let Some(address) = self.free.pop() {
            return Some(NewTable { address, fresh: false });
        }
        let address = self.next;
        (address < self.end).then(|| {
            self.next += PAGE;
            NewTable { address, fresh: true }
        })
    }

    fn free(&mut self, address: u64) {
        self.free.push(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pages_are_wanted_where_it_is_said_and_nowhere_else() {
        let ram = GuestRam::new(16 << 20).unwrap();
        ram.want_large_pages(4 << 20, 8 << 20);
        ram.want_large_pages(12 << 20, 0);
        let start = ram.ranges().next().unwrap().host;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        // Of each mapping the flags are the last line: `hg` is MADV_HUGEPAGE, where the host knows it.
        let is_wanted = |at: u64| {
            let mut inside = false;
            for line in maps.lines() {
                let range = line.split(' ').next().and_then(|word| word.split_once('-'));
                let number = |text| u64::from_str_radix(text, 16);
                match range.map(|(from, to)| (number(from), number(to))) {
                    Some((Ok(from), Ok(to))) => inside = (from..to).contains(&(start + at)),
                    _ if inside && line.starts_with("VmFlags:") => return line.contains(" hg"),
                    _ => {}
                }
            }
            panic!("{at:#x} is not mapped");
        };
        let known = std::fs::exists("/sys/kernel/mm/transparent_hugepage").unwrap();
        let wanted = [0, 4, 11, 12, 15].map(|mib| is_wanted(mib << 20));
        assert_eq!(wanted, [false, known, known, false, false]);
    }
}
