//! The map of physical memory that a platform hands over.
//!
//! ```
//! use ukplat::memory::{MemoryKind, MemoryMap};
//!
//! let mut map = MemoryMap::<16>::new();
//! map.add(0, 16 << 20, MemoryKind::Free)?;
//! map.add(1 << 20, 64 << 10, MemoryKind::Image)?;
//! let free: Vec<_> = map.regions().iter().filter(|r| r.is_free()).collect();
//! assert_eq!((free[0].base, free[0].len), (0, 1 << 20));
//! assert_eq!(free[1].base, (1 << 20) + (64 << 10));
//! # Ok::<(), ukplat::memory::MapFull>(())
//! ```

/// Size in bytes to which free regions are trimmed.
pub const PAGE_SIZE: usize = 4096;

/// What a region holds. Later kinds win where regions overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryKind {
    /// Usable by allocators.
    Free,
    /// Firmware tables that may be read.
    Firmware,
    /// Code and data of the image, its stacks and page tables.
    Image,
    /// The initial ram disk.
    Initrd,
    /// Not to be touched.
    Reserved,
}

impl MemoryKind {
    /// Short name for reports.
    pub const fn name(self) -> &'static str {
        match self {
            MemoryKind::Free => "free",
            MemoryKind::Firmware => "firmware",
            MemoryKind::Image => "image",
            MemoryKind::Initrd => "initrd",
            MemoryKind::Reserved => "reserved",
        }
    }
}

/// One range of memory, accessible at the address `base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    /// Address of the first byte.
    pub base: usize,
    /// Length in bytes, never 0 in a map.
    pub len: usize,
    /// What it holds.
    pub kind: MemoryKind,
}

impl MemoryRegion {
    const EMPTY: Self = Self { base: 0, len: 0, kind: MemoryKind::Reserved };

    /// Address after the last byte.
    pub const fn end(&self) -> usize {
        self.base + self.len
    }

    /// Whether allocators may have it.
    pub const fn is_free(&self) -> bool {
        matches!(self.kind, MemoryKind::Free)
    }
}

/// The map has no room for another region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapFull;

impl core::fmt::Display for MapFull {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the memory map has more regions than the platform can hold")
    }
}

impl core::error::Error for MapFull {}

/// A sorted map without overlaps, of at most `N` regions.
///
/// Invariant: regions are sorted by base, disjoint, not empty; neighbours of equal kind are joined.
#[derive(Clone, Debug)]
pub struct MemoryMap<const N: usize> {
    regions: [MemoryRegion; N],
    len: usize,
}

impl<const N: usize> Default for MemoryMap<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> MemoryMap<N> {
    /// An empty map.
    pub const fn new() -> Self {
        Self { regions: [MemoryRegion::EMPTY; N], len: 0 }
    }

    /// The regions, sorted by address.
    pub fn regions(&self) -> &[MemoryRegion] {
        &self.regions[..self.len]
    }

    /// Adds `[base, base + len)`. Where it overlaps what is there, the later [`MemoryKind`] wins.
    /// A range that would wrap around the address space is cut at its end.
    ///
    /// # Errors
    /// [`MapFull`] when there is no room; the map is then unchanged.
    pub fn add(&mut self, base: usize, len: usize, kind: MemoryKind) -> Result<(), MapFull> {
        let end = base.saturating_add(len);
        let mut next = Self::new();
        // The new range cut into the pieces that survive, merged in order with the old regions,
        // which are in turn cut by it.
        let mut cursor = base;
        for old in self.regions() {
            let (cut_start, cut_end) = (old.base.max(base), old.end().min(end));
            if cut_start >= cut_end {
                // No overlap. Emit what is left of the new range if it lies before this region.
                if old.base >= end && cursor < end {
                    next.push(cursor, end, kind)?;
                    cursor = end;
                }
                next.push(old.base, old.end(), old.kind)?;
                continue;
            }
            if old.kind > kind {
                if cursor < cut_start {
                    next.push(cursor, cut_start, kind)?;
                }
                next.push(old.base, old.end(), old.kind)?;
                cursor = cut_end;
            } else {
                next.push(old.base, cut_start, old.kind)?;
                next.push(cursor.max(base), cut_end, kind)?;
                next.push(cut_end, old.end(), old.kind)?;
                cursor = cut_end;
            }
        }
        next.push(cursor, end, kind)?;
        *self = next;
        Ok(())
    }

    /// Keeps at most `limit` bytes free, counted from the lowest address; the rest is reserved.
    pub fn limit_free(&mut self, limit: usize) {
        let mut left = limit;
        for region in &mut self.regions[..self.len] {
            if region.is_free() {
                if left == 0 {
                    region.kind = MemoryKind::Reserved;
                } else {
                    region.len = region.len.min(left);
                    left -= region.len;
                }
            }
        }
    }

    /// Trims free regions to whole pages; drops those smaller than a page.
    pub fn align_free(&mut self) {
        let mut kept = 0;
        for i in 0..self.len {
            let mut region = self.regions[i];
            if region.is_free() {
                let end = region.end() & !(PAGE_SIZE - 1);
                // No multiple left below the end of the address space: less than a page.
                let base = region.base.checked_next_multiple_of(PAGE_SIZE).unwrap_or(usize::MAX);
                if base >= end {
                    continue;
                }
                region = MemoryRegion { base, len: end - base, ..region };
            }
            self.regions[kept] = region;
            kept += 1;
        }
        self.len = kept;
    }

    fn push(&mut self, base: usize, end: usize, kind: MemoryKind) -> Result<(), MapFull> {
        if base >= end {
            return Ok(());
        }
        if let Some(last) = self.regions[..self.len].last_mut()
            && last.kind == kind
            && last.end() == base
        {
            last.len = end - last.base;
            return Ok(());
        }
        let slot = self.regions.get_mut(self.len).ok_or(MapFull)?;
        *slot = MemoryRegion { base, len: end - base, kind };
        self.len += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = MemoryKind> {
        prop_oneof![
            Just(MemoryKind::Free),
            Just(MemoryKind::Firmware),
            Just(MemoryKind::Image),
            Just(MemoryKind::Initrd),
            Just(MemoryKind::Reserved),
        ]
    }

    proptest! {
        /// The map agrees, byte for byte, with an array in which the later kind wins.
        #[test]
        fn agrees_with_a_byte_array(ranges in prop::collection::vec((0usize..200, 0usize..80, kinds()), 0..20)) {
            let mut map = MemoryMap::<64>::new();
            let mut model = [None::<MemoryKind>; 300];
            for (base, len, kind) in ranges {
                map.add(base, len, kind).unwrap();
                for cell in &mut model[base..base + len] {
                    *cell = Some(cell.map_or(kind, |k| k.max(kind)));
                }
            }
            let mut seen = [None; 300];
            let mut last_end = 0;
            for r in map.regions() {
                prop_assert!(r.len > 0 && r.base >= last_end);
                last_end = r.end();
                seen[r.base..r.end()].fill(Some(r.kind));
            }
            prop_assert_eq!(seen, model);
            for pair in map.regions().windows(2) {
                prop_assert!(pair[0].end() < pair[1].base || pair[0].kind != pair[1].kind);
            }
        }
    }

    #[test]
    fn a_full_map_is_left_as_it_was() {
        let mut map = MemoryMap::<2>::new();
        map.add(0, 10, MemoryKind::Free).unwrap();
        assert_eq!(map.add(4, 2, MemoryKind::Reserved), Err(MapFull));
        assert_eq!(map.regions(), [MemoryRegion { base: 0, len: 10, kind: MemoryKind::Free }]);
    }

    #[test]
    fn ranges_past_the_end_of_the_address_space_are_cut() {
        let mut map = MemoryMap::<4>::new();
        map.add(usize::MAX - 9, 100, MemoryKind::Free).unwrap();
        assert_eq!(map.regions()[0].len, 9);
        map.align_free();
        assert!(map.regions().is_empty(), "less than a page: {:?}", map.regions());
    }

    #[test]
    fn free_memory_is_limited_and_page_aligned() {
        let mut map = MemoryMap::<8>::new();
        map.add(100, 5 * PAGE_SIZE, MemoryKind::Free).unwrap();
        map.add(10 * PAGE_SIZE, 5 * PAGE_SIZE, MemoryKind::Free).unwrap();
        map.add(20 * PAGE_SIZE, 100, MemoryKind::Free).unwrap();
        map.align_free();
        assert_eq!(map.regions().len(), 2);
        map.limit_free(5 * PAGE_SIZE);
        let free: usize = map.regions().iter().filter(|r| r.is_free()).map(|r| r.len).sum();
        assert_eq!(free, 5 * PAGE_SIZE);
        map.limit_free(PAGE_SIZE);
        assert_eq!(map.regions().iter().filter(|r| r.is_free()).count(), 1);
    }
}
