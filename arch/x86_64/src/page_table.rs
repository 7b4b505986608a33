//! Page tables with four levels (Intel SDM volume 3, chapter 4.5): format and builder.
//!
//! Pure logic: tables live wherever [`TableMemory`] says, so the builder runs on the host too.
//!
//! ```
//! use ukarch_x86_64::page_table::{Flags, Mapper, TableMemory};
//!
//! struct Tables(Vec<[u64; 512]>);
//! impl TableMemory for Tables {
//!     fn allocate(&mut self) -> Option<u64> {
//!         self.0.push([0; 512]);
//!         Some((self.0.len() as u64 - 1) << 12)
//!     }
//!     fn table(&mut self, address: u64) -> &mut [u64; 512] {
//!         &mut self.0[(address >> 12) as usize]
//!     }
//! }
//!
//! let mut mapper = Mapper::new(Tables(Vec::new()))?;
//! mapper.map(0, 0, 16 << 20, Flags::WRITE)?;
//! mapper.map(0x10_0000, 0x10_0000, 0x4000, Flags::EXECUTE)?; // splits a 2 MiB page
//! mapper.unmap(0, 0x1000)?;
//! assert_eq!(mapper.translate(0x10_2345), Some((0x10_2345, Flags::EXECUTE)));
//! assert_eq!(mapper.translate(0x20_0000), Some((0x20_0000, Flags::WRITE)));
//! assert_eq!(mapper.translate(0xfff), None);
//! # Ok::<(), ukarch_x86_64::page_table::MapError>(())
//! ```

mod live;

use core::fmt;

pub use live::{LiveMapper, LiveMemory};

/// Size in bytes of the smallest page.
pub const PAGE: u64 = 4096;
/// Size in bytes of a page one level up.
pub const LARGE_PAGE: u64 = 2 << 20;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
/// In the second and third level: the entry maps a page.
const LEAF: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Addresses with four levels have 48 bits, the highest repeated upwards.
const CANONICAL_LIMIT: u64 = 1 << 47;

/// What may be done with a page. Everything mapped can be read; combine with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u64);

impl Flags {
    /// Only reading.
    pub const READ: Self = Self(0);
    /// Writing.
    pub const WRITE: Self = Self(WRITABLE);
    /// Running code from it.
    pub const EXECUTE: Self = Self(NO_EXECUTE);
    /// Use by code outside kernel mode.
    pub const USER: Self = Self(USER);
    /// No caching, as device registers need it.
    pub const UNCACHED: Self = Self(CACHE_DISABLE | WRITE_THROUGH);

    /// The bits of a page's entry: the no-execute bit says the opposite of the flag.
    const fn bits(self) -> u64 {
        (self.0 ^ NO_EXECUTE) | PRESENT
    }

    const fn of(entry: u64) -> Self {
        Self((entry ^ NO_EXECUTE) & (WRITABLE | USER | WRITE_THROUGH | CACHE_DISABLE | NO_EXECUTE))
    }
}

impl core::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Where tables are.
pub trait TableMemory {
    /// Physical address of a new table, page-aligned and all zero; `None` when memory is used up.
    fn allocate(&mut self) -> Option<u64>;
    /// The table at a physical address that [`Self::allocate`] returned.
    fn table(&mut self, address: u64) -> &mut [u64; 512];
}

/// Why a range could not be mapped. What was mapped of it before the error stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// An address or length is not a multiple of the page size.
    Unaligned,
    /// The range does not lie in the lower half of the address space.
    OutOfRange,
    /// There is no memory for another table.
    NoMemory,
    /// The page is mapped already (only [`LiveMapper`] minds).
    InUse,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MapError::Unaligned => "the range is not page-aligned",
            MapError::OutOfRange => "the range is outside the address space",
            MapError::NoMemory => "no memory for page tables",
            MapError::InUse => "the page is mapped already",
        })
    }
}

impl core::error::Error for MapError {}

/// Builds page tables. Larger pages are used where they fit, and split when a part of them is
/// mapped in another way.
#[derive(Debug)]
pub struct Mapper<M> {
    memory: M,
    root: u64,
}

impl<M: TableMemory> Mapper<M> {
    /// An empty address space.
    ///
    /// # Errors
    /// [`MapError::NoMemory`].
    pub fn new(mut memory: M) -> Result<Self, MapError> {
        let root = memory.allocate().ok_or(MapError::NoMemory)?;
        Ok(Self { memory, root })
    }

    /// Changes the address space of the top-level table at the physical address `root`. Where the
    /// tables are in use, the caller makes CPUs forget what they remember.
    pub const fn of(memory: M, root: u64) -> Self {
        Self { memory, root }
    }

    /// Physical address of the top-level table, for CR3.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Ends building; what is left of the memory for tables.
    pub fn into_memory(self) -> M {
        self.memory
    }

    /// Maps `[virtual_address, + len)` to `[physical, + len)`, replacing what was mapped there.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn map(
        &mut self,
        virtual_address: u64,
        physical: u64,
        len: u64,
        flags: Flags,
    ) -> Result<(), MapError> {
        if physical & !ADDRESS != 0 {
            return Err(MapError::Unaligned);
        }
        self.set(virtual_address, len, Some((physical, flags)))
    }

    /// Makes accesses to `[virtual_address, + len)` fault.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn unmap(&mut self, virtual_address: u64, len: u64) -> Result<(), MapError> {
        self.set(virtual_address, len, None)
    }

    fn set(&mut self, start: u64, len: u64, target: Option<(u64, Flags)>) -> Result<(), MapError> {
        if (start | len) & (PAGE - 1) != 0 {
            return Err(MapError::Unaligned);
        }
        let end = start.checked_add(len).filter(|e| *e <= CANONICAL_LIMIT);
        let end = end.ok_or(MapError::OutOfRange)?;
        let mut address = start;
        while address < end {
            // One third-level table covers 1 GiB; all entries of it that the range touches are
            // done before the tables are walked again.
            let table = self.third_level(address)?;
            let stop = end.min((address | ((1 << 30) - 1)) + 1);
            while address < stop {
                let entry_end = (address | (LARGE_PAGE - 1)) + 1;
                let to = target.map(|(physical, flags)| (physical + (address - start), flags));
                let aligned = (address | to.map_or(0, |(p, _)| p)) & (LARGE_PAGE - 1) == 0;
                let index = index(address, 1);
                if aligned && entry_end <= stop {
                    let entry = to.map_or(0, |(p, flags)| p | flags.bits() | LEAF);
                    self.memory.table(table)[index] = entry;
                } else {
                    self.set_small(table, index, address, stop.min(entry_end), to)?;
                }
                address = entry_end.min(stop);
            }
        }
        Ok(())
    }

    /// Sets the 4 KiB pages of a part of one third-level entry.
    fn set_small(
        &mut self,
        table: u64,
        entry_index: usize,
        start: u64,
        end: u64,
        target: Option<(u64, Flags)>,
    ) -> Result<(), MapError> {
        let entry = self.memory.table(table)[entry_index];
        if entry == 0 && target.is_none() {
            return Ok(());
        }
        let pages = if entry & (PRESENT | LEAF) == PRESENT {
            entry & ADDRESS
        } else {
            let pages = self.memory.allocate().ok_or(MapError::NoMemory)?;
            if entry != 0 {
                // Split: the same mapping in small pages.
                let (physical, flags) = (entry & ADDRESS & !(LARGE_PAGE - 1), Flags::of(entry));
                for (i, page) in (0..).zip(self.memory.table(pages)) {
                    *page = (physical + i * PAGE) | flags.bits();
                }
            }
            self.memory.table(table)[entry_index] = pages | PRESENT | WRITABLE | USER;
            pages
        };
        let small = self.memory.table(pages);
        for address in (start..end).step_by(PAGE as usize) {
            small[index(address, 0)] =
                target.map_or(0, |(p, flags)| (p + (address - start)) | flags.bits());
        }
        Ok(())
    }

    /// The third-level table for an address; made when missing.
    fn third_level(&mut self, address: u64) -> Result<u64, MapError> {
        let mut table = self.root;
        for level in [3, 2] {
            let entry = self.memory.table(table)[index(address, level)];
            table = if entry & PRESENT != 0 {
                entry & ADDRESS
            } else {
                let new = self.memory.allocate().ok_or(MapError::NoMemory)?;
                // Rights are decided by the last level alone.
                self.memory.table(table)[index(address, level)] = new | PRESENT | WRITABLE | USER;
                new
            };
        }
        Ok(table)
    }

    /// Where an address leads and what may be done there; `None` when it is not mapped.
    pub fn translate(&mut self, address: u64) -> Option<(u64, Flags)> {
        if address >= CANONICAL_LIMIT {
            return None;
        }
        let mut table = self.root;
        for level in [3, 2, 1, 0] {
            let entry = self.memory.table(table)[index(address, level)];
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 0 || (level == 1 && entry & LEAF != 0) {
                let mask = (PAGE << (9 * level)) - 1;
                return Some((entry & ADDRESS & !mask | address & mask, Flags::of(entry)));
            }
            table = entry & ADDRESS;
        }
        None
    }
}

/// Index into the table of a level, 0 for the last one.
const fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level) & 511) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    struct Tables {
        tables: Vec<[u64; 512]>,
        limit: usize,
    }

    impl TableMemory for Tables {
        fn allocate(&mut self) -> Option<u64> {
            (self.tables.len() < self.limit).then(|| {
                self.tables.push([0; 512]);
                (self.tables.len() as u64 - 1) << 12
            })
        }
        fn table(&mut self, address: u64) -> &mut [u64; 512] {
            &mut self.tables[(address >> 12) as usize]
        }
    }

    fn mapper(limit: usize) -> Mapper<Tables> {
        Mapper::new(Tables { tables: Vec::new(), limit }).unwrap()
    }

    #[test]
    fn large_pages_need_few_tables() {
        let mut m = mapper(usize::MAX);
        m.map(0, 0, 4 << 30, Flags::WRITE).unwrap();
        assert_eq!(m.memory.tables.len(), 1 + 1 + 4);
    }

    #[test]
    fn wrong_ranges_are_refused() {
        let mut m = mapper(usize::MAX);
        assert_eq!(m.map(1, 0, PAGE, Flags::READ), Err(MapError::Unaligned));
        assert_eq!(m.map(0, 1, PAGE, Flags::READ), Err(MapError::Unaligned));
        assert_eq!(m.map(0, 0, 5, Flags::READ), Err(MapError::Unaligned));
        assert_eq!(m.map(CANONICAL_LIMIT, 0, PAGE, Flags::READ), Err(MapError::OutOfRange));
        assert_eq!(m.map(!(PAGE - 1), 0, PAGE, Flags::READ), Err(MapError::OutOfRange));
        assert_eq!(m.translate(u64::MAX), None);
        let mut small = mapper(3);
        assert_eq!(small.map(0, 0, PAGE, Flags::READ), Err(MapError::NoMemory));
    }

    fn flags() -> impl Strategy<Value = Flags> {
        prop::collection::vec(
            prop::sample::select(vec![Flags::WRITE, Flags::EXECUTE, Flags::USER, Flags::UNCACHED]),
            0..3,
        )
        .prop_map(|list| list.into_iter().fold(Flags::READ, |a, b| a | b))
    }

    /// Page numbers near the borders of large pages and of third-level tables.
    fn page() -> impl Strategy<Value = u64> {
        (prop::sample::select(vec![0u64, 510, 1020, 262_140]), 0u64..8).prop_map(|(a, b)| a + b)
    }

    proptest! {
        #[test]
        fn agrees_with_a_map_of_pages(
            steps in prop::collection::vec((page(), page(), 1u64..1100, prop::option::of(flags())), 1..12)
        ) {
            let mut m = mapper(usize::MAX);
            let mut model = BTreeMap::new();
            for (at, to, count, flags) in steps {
                match flags {
                    Some(flags) => m.map(at * PAGE, to * PAGE, count * PAGE, flags).unwrap(),
                    None => m.unmap(at * PAGE, count * PAGE).unwrap(),
                }
                for i in 0..count {
                    match flags {
                        Some(flags) => model.insert(at + i, (to + i, flags)),
                        None => model.remove(&(at + i)),
                    };
                }
            }
            for page in (0..2600).chain(262_000..263_500) {
                let want = model.get(&page).map(|(to, flags)| (to * PAGE + 7, *flags));
                prop_assert_eq!(m.translate(page * PAGE + 7), want);
            }
        }
    }
}
