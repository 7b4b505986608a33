//! Changing and reading a tree of tables.

use core::fmt;

use super::{ADDRESS, BIG, Flags, PAGE_SIZE, PRESENT, PageSize, TableMemory};
use super::{USER_MODE, WRITABLE, entry_shift};

/// Bits of an entry that points to a table. It allows everything: the entry of the page decides.
const TABLE: u64 = PRESENT | WRITABLE | USER_MODE;
/// Virtual addresses have this many bits below the sign extension.
const VIRTUAL_BITS: u32 = 48;

/// Why a range could not be changed. Of a range that failed with [`OutOfTables`](Self::OutOfTables)
/// or [`NotMapped`](Self::NotMapped) the part before the failure is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// an address or length is not a multiple of the page size
    Unaligned,
    /// the range is not within one half of the 48-bit address space
    NonCanonical,
    /// the range passes the end of the physical address space
    Overflow,
    /// no memory is left for page tables
    OutOfTables,
    /// a page of the range is not mapped
    NotMapped,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MapError::Unaligned => "an address or length is not a multiple of the page size",
            MapError::NonCanonical => {
                "the range is not within one half of the 48-bit address space"
            }
            MapError::Overflow => "the range passes the end of the physical address space",
            MapError::OutOfTables => "no memory is left for page tables",
            MapError::NotMapped => "a page of the range is not mapped",
        })
    }
}

impl core::error::Error for MapError {}

/// Where a virtual address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The physical address of the same byte.
    pub physical: u64,
    /// What may be done there.
    pub flags: Flags,
    /// Size of the page that maps it.
    pub size: PageSize,
}

/// A tree of page tables. The tables are in a [`TableMemory`], the same one for each call.
///
/// Addresses and lengths are in bytes and multiples of 4096.
#[derive(Debug)]
pub struct Mapper {
    root: u64,
    largest: PageSize,
}

impl Mapper {
    /// A tree that maps nothing and will use pages of at most `largest`.
    ///
    /// # Errors
    /// [`MapError::OutOfTables`].
    pub fn new<M: TableMemory>(memory: &mut M, largest: PageSize) -> Result<Self, MapError> {
        let root = memory.allocate().ok_or(MapError::OutOfTables)?;
        Ok(Self { root, largest })
    }

    /// Physical address of the root table, for CR3.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Maps `len` bytes at `virt` to physical memory at `phys`, with the largest pages that fit.
    /// What was mapped there is replaced; a larger page that is covered in part is split.
    ///
    /// # Errors
    /// As [`MapError`] says, except for [`MapError::NotMapped`].
    pub fn map<M: TableMemory>(
        &mut self,
        memory: &mut M,
        virt: u64,
        phys: u64,
        len: u64,
        flags: Flags,
    ) -> Result<(), MapError> {
        if !(phys % PAGE_SIZE == 0) {
            return Err(MapError::Unaligned);
        }
        // MAXPHYADDR is at most 52 (SDM section 4.1.4).
        if phys.checked_add(len).is_none_or(|end| end > 1 << 52) {
            return Err(MapError::Overflow);
        }
        let (virt, end) = check(virt, len)?;
        let change = Change::Map {
            offset: phys.wrapping_sub(virt),
            entry: flags.to_entry(),
        };
        self.apply(memory, virt, end, change)
    }

    /// Removes whatever is mapped in `len` bytes at `virt`.
    ///
    /// # Errors
    /// As [`MapError`] says, except for [`MapError::NotMapped`]; splitting a larger page may need
    /// a table.
    pub fn unmap<M: TableMemory>(
        &mut self,
        memory: &mut M,
        virt: u64,
        len: u64,
    ) -> Result<(), MapError> {
        let (virt, end) = check(virt, len)?;
        self.apply(memory, virt, end, Change::Unmap)
    }

    /// Replaces the flags of all pages in `len` bytes at `virt`.
    ///
    /// # Errors
    /// As [`MapError`] says.
    pub fn protect<M: TableMemory>(
        &mut self,
        memory: &mut M,
        virt: u64,
        len: u64,
        flags: Flags,
    ) -> Result<(), MapError> {
        let (virt, end) = check(virt, len)?;
        let entry = flags.to_entry();
        self.apply(memory, virt, end, Change::Protect { entry })
    }

    /// Where the byte at `virt` is, if it is mapped.
    pub fn translate<M: TableMemory>(&self, memory: &mut M, virt: u64) -> Option<Mapping> {
        if !is_canonical(virt) {
            return None;
        }
        let mut table = self.root;
        for level in (1..=4).rev() {
            let entry = memory.table(table)[index(virt, level)];
            if entry & PRESENT == 0 {
                return None;
            }
            let size = match level {
                1 => PageSize::Small,
                2 if entry & BIG != 0 => PageSize::Large,
                3 if entry & BIG != 0 => PageSize::Giant,
                _ => {
                    table = entry & ADDRESS;
                    continue;
                }
            };
            let inside = size.bytes() - 1;
            return Some(Mapping {
                physical: entry & ADDRESS & !inside | virt & inside,
                flags: Flags::from_entry(entry),
                size,
            });
        }
        None
    }

    fn apply<M: TableMemory>(
        &self,
        memory: &mut M,
        virt: u64,
        end: u64,
        change: Change,
    ) -> Result<(), MapError> {
        Walk {
            memory,
            largest: self.largest as u32,
            change,
        }
        .table(self.root, 4, virt, end)
    }
}

/// What happens to each page of a range.
#[derive(Clone, Copy)]
enum Change {
    /// `offset` is what to add to the 48-bit virtual address to get the physical one.
    Map {
        offset: u64,
        entry: u64,
    },
    Unmap,
    Protect {
        entry: u64,
    },
}

struct Walk<'m, M> {
    memory: &'m mut M,
    /// Level of the largest pages to map.
    largest: u32,
    change: Change,
}

impl<M: TableMemory> Walk<'_, M> {
    /// Applies the change to `virt..end`, a range of 48-bit addresses that is not empty and that
    /// the table at `address`, of `level`, covers.
    fn table(
        &mut self,
        address: u64,
        level: u32,
        mut virt: u64,
        end: u64,
    ) -> Result<(), MapError> {
        let shift = entry_shift(level);
        let span = 1u64 << shift;
        while virt < end {
            let next = ((virt >> shift) + 1) << shift;
            let slot = index(virt, level);
            let whole = virt.is_multiple_of(span) && next <= end;
            let old = self.memory.table(address)[slot];
            let is_table = old & PRESENT != 0 && level > 1 && old & BIG == 0;
            match self.change {
                Change::Map { offset, entry }
                    if whole
                        && level <= self.largest
                        && virt.wrapping_add(offset).is_multiple_of(span) =>
                {
                    let big = if level > 1 { BIG } else { 0 };
                    if is_table {
                        self.memory.table(address)[slot] = virt.wrapping_add(offset) | entry | big;
                        self.release(old & ADDRESS, level - 1);
                        virt = next;
                        continue;
                    }
                    // The usual case is a run of entries: the rest of the table, as long as the
                    // range lasts and no table is in the way.
                    for slot in &mut self.memory.table(address)[slot..] {
                        let table = *slot & PRESENT != 0 && *slot & BIG == 0 && level > 1;
                        if end - virt < span || table {
                            break;
                        }
                        *slot = virt.wrapping_add(offset) | entry | big;
                        virt += span;
                    }
                    continue;
                }
                Change::Unmap if whole || old & PRESENT == 0 => {
                    self.memory.table(address)[slot] = 0;
                    if is_table {
                        self.release(old & ADDRESS, level - 1);
                    }
                    virt = next;
                    continue;
                }
                Change::Protect { .. } if old & PRESENT == 0 => return Err(MapError::NotMapped),
                Change::Protect { entry } if whole && !is_table => {
                    let keep = old & (ADDRESS | if level > 1 { BIG } else { 0 });
                    self.memory.table(address)[slot] = keep | entry;
                    virt = next;
                    continue;
                }
                _ => {}
            }
            let below = if is_table {
                old & ADDRESS
            } else {
                let below = self.split(old, level)?;
                self.memory.table(address)[slot] = below | TABLE;
                below
            };
            self.table(below, level - 1, virt, next.min(end))?;
            virt = next;
        }
        Ok(())
    }

    /// A new table that maps what `entry` of a table of `level` does: one page, or nothing.
    fn split(&mut self, entry: u64, level: u32) -> Result<u64, MapError> {
        let address = self.memory.allocate().ok_or(MapError::OutOfTables)?;
        if entry & PRESENT != 0 {
            let step = 1 << entry_shift(level - 1);
            let mut part = if level == 2 { entry & !BIG } else { entry };
            for slot in self.memory.table(address) {
                *slot = part;
                part += step;
            }
        }
        Ok(address)
    }

    /// Gives back the table at `address`, of `level`, and those below it.
    fn release(&mut self, address: u64, level: u32) {
        if level > 1 {
            for slot in 0..512 {
                let entry = self.memory.table(address)[slot];
                if entry & PRESENT != 0 && entry & BIG == 0 {
                    self.release(entry & ADDRESS, level - 1);
                }
            }
        }
        self.memory.release(address);
    }
}

/// The entry for `virt` in a table of `level`.
fn index(virt: u64, level: u32) -> usize {
    (virt >> entry_shift(level)) as usize % 512
}

/// Whether bits 63 to 47 are equal (SDM volume 1, section 3.3.7.1).
fn is_canonical(virt: u64) -> bool {
    let high = virt as i64 >> (VIRTUAL_BITS - 1);
    high == 0 || high == -1
}

/// The range without the sign extension: first address and the one after the last.
fn check(virt: u64, len: u64) -> Result<(u64, u64), MapError> {
    if virt % PAGE_SIZE != 0 || len % PAGE_SIZE != 0 {
        return Err(MapError::Unaligned);
    }
    let last = virt.checked_add(len.saturating_sub(1));
    let last = last.ok_or(MapError::NonCanonical)?;
    // Both ends canonical, and with the same sign.
    if !is_canonical(virt) || !is_canonical(last) || (virt ^ last) >> 63 != 0 {
        return Err(MapError::NonCanonical);
    }
    let start = virt & ((1 << VIRTUAL_BITS) - 1);
    Ok((start, start + len))
}
