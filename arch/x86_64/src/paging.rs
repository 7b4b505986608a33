//! Page tables of four levels: a builder that runs on any memory holding tables (Intel SDM
//! volume 3A, chapter 4).
//!
//! The builder only writes entries. Loading the root into CR3, flushing the TLB after a change of
//! what was mapped, and the enable bits are the platform's: EFER.NXE for [`Flags::EXEC`] to mean
//! something (without it, entries that lack the flag fault), CR0.WP for the missing
//! [`Flags::WRITE`] to bind the kernel too.
//!
//! ```
//! use ukarch_x86_64::paging::{Flags, Mapper, PageSize, Table, TablePool};
//!
//! let mut tables = [const { Table::EMPTY }; 8];
//! let mut pool = TablePool::new(&mut tables, 0x10_0000);
//! let mut mapper = Mapper::new(&mut pool, PageSize::Large)?;
//! // All memory, then the image's text over it, then a guard page.
//! mapper.map(&mut pool, 0, 0, 1 << 30, Flags::WRITE)?;
//! mapper.protect(&mut pool, 0x20_0000, 0x3000, Flags::EXEC)?;
//! mapper.unmap(&mut pool, 0x20_3000, 0x1000)?;
//! let text = mapper.translate(&mut pool, 0x20_1234).unwrap();
//! assert_eq!((text.physical, text.flags, text.size), (0x20_1234, Flags::EXEC, PageSize::Small));
//! assert_eq!(mapper.translate(&mut pool, 0x20_3000), None);
//! # Ok::<(), ukarch_x86_64::paging::MapError>(())
//! ```

mod mapper;
mod pool;

pub use mapper::{MapError, Mapper, Mapping};
pub use pool::{Table, TableMemory, TablePool};

/// Size in bytes of the smallest page and of a table.
pub const PAGE_SIZE: u64 = 4096;

// Bits of an entry (SDM tables 4-15 to 4-20).
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER_MODE: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
/// The entry maps a page although it is not in the lowest table.
const BIG: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
/// Bits 51 to 12: the physical address of a table or of a small page.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What may be done with a page; it may always be read. Combined with `|`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags(u64);

impl Flags {
    /// Reading only.
    pub const READ: Flags = Flags(0);
    /// Writing.
    pub const WRITE: Flags = Flags(WRITABLE);
    /// Executing.
    pub const EXEC: Flags = Flags(NO_EXECUTE);
    /// Access at CPL 3.
    pub const USER: Flags = Flags(USER_MODE);
    /// No caching: for device registers (PCD and PWT, the strong-uncacheable entry of the
    /// page-attribute table as it is after reset, SDM section 12.12.4).
    pub const UNCACHED: Flags = Flags(WRITE_THROUGH | CACHE_DISABLE);

    const ALL: u64 = WRITABLE | NO_EXECUTE | USER_MODE | WRITE_THROUGH | CACHE_DISABLE;

    /// Whether all of `flags` are in this set.
    pub const fn contains(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The bits of an entry that maps a page. Execution is the one flag with inverted meaning.
    const fn to_entry(self) -> u64 {
        self.0 ^ NO_EXECUTE | PRESENT
    }

    const fn from_entry(entry: u64) -> Self {
        Flags((entry ^ NO_EXECUTE) & Self::ALL)
    }
}

impl core::ops::BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl core::fmt::Debug for Flags {
    /// As in listings of mappings: `rwxu-`, with `c` last for pages that are not cached.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("r")?;
        let letters = [
            (Flags::WRITE, "w"),
            (Flags::EXEC, "x"),
            (Flags::USER, "u"),
            (Flags::UNCACHED, "c"),
        ];
        for (flag, letter) in letters {
            f.write_str(if self.contains(flag) { letter } else { "-" })?;
        }
        Ok(())
    }
}

/// The three sizes of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageSize {
    /// 4 KiB.
    Small = 1,
    /// 2 MiB.
    Large = 2,
    /// 1 GiB. A CPU has them if CPUID leaf 8000_0001h says so in EDX bit 26.
    Giant = 3,
}

impl PageSize {
    /// Size in bytes.
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    const fn shift(self) -> u32 {
        entry_shift(self as u32)
    }
}

/// Base-2 logarithm of the bytes that one entry of a table of `level` (1 to 4) spans.
const fn entry_shift(level: u32) -> u32 {
    3 + 9 * level
}

#[cfg(test)]
mod tests;
