//! What is mapped: pure book-keeping.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use crate::PAGE;

/// Mapped addresses of one block of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    end: usize,
    /// Start of the block.
    block: usize,
    protection: u32,
}

/// Memory that was taken from the heap at once, and how much of it is still mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    pages: usize,
    mapped: usize,
}

/// All mappings of the process.
#[derive(Debug, Default)]
pub struct Space {
    regions: BTreeMap<usize, Region>,
    blocks: BTreeMap<usize, Block>,
}

impl Space {
    pub const fn new() -> Self {
        Self { regions: BTreeMap::new(), blocks: BTreeMap::new() }
    }

    /// Maps a new block.
    pub fn insert(&mut self, block: usize, pages: usize, protection: u32) {
        self.blocks.insert(block, Block { pages, mapped: pages });
        self.regions.insert(block, Region { end: block + pages * PAGE, block, protection });
    }

    /// Makes regions begin and end at an address, where one spans it.
    fn split(&mut self, at: usize) {
        if let Some((&start, region)) = self.regions.range_mut(..at).next_back()
            && at < region.end
        {
            debug_assert!(start < at);
            let second = *region;
            region.end = at;
            self.regions.insert(at, second);
        }
    }

    /// Starts of the regions within a range that is split at both ends.
    fn within(&mut self, start: usize, end: usize) -> Vec<usize> {
        self.split(start);
        self.split(end);
        self.regions.range(start..end).map(|(&start, _)| start).collect()
    }

    /// Unmaps what is mapped of a range; returns blocks of which nothing is mapped any more, with
    /// their number of pages.
    pub fn remove(&mut self, start: usize, end: usize) -> Vec<(usize, usize)> {
        let mut free = Vec::new();
        for start in self.within(start, end) {
            let Some(region) = self.regions.remove(&start) else { continue };
            let Some(block) = self.blocks.get_mut(&region.block) else { continue };
            block.mapped -= (region.end - start) / PAGE;
            if block.mapped == 0 {
                free.push((region.block, block.pages));
                self.blocks.remove(&region.block);
            }
        }
        free
    }

    /// Whether all of a range is mapped.
    pub fn covers(&self, start: usize, end: usize) -> bool {
        let mut at = start;
        while at < end {
            match self.regions.range(..=at).next_back() {
                Some((_, region)) if region.end > at => at = region.end,
                _ => return false,
            }
        }
        true
    }

    /// Start of the region that an address is in: where its protection or its block begin.
    pub fn start_of(&self, address: usize) -> Option<usize> {
        let (start, region) = self.regions.range(..=address).next_back()?;
        (address < region.end).then_some(*start)
    }

    /// All regions with their protection.
    pub fn regions(&self) -> Vec<(Range<usize>, u32)> {
        let all = self.regions.iter();
        all.map(|(start, region)| (*start..region.end, region.protection)).collect()
    }

    /// Whether any of a range is mapped.
    pub fn touches(&self, start: usize, end: usize) -> bool {
        let before = self.regions.range(..end).next_back();
        before.is_some_and(|(_, region)| region.end > start)
    }

    /// Remembers another protection for a mapped range.
    pub fn protect(&mut self, start: usize, end: usize, protection: u32) {
        for start in self.within(start, end) {
            if let Some(region) = self.regions.get_mut(&start) {
                region.protection = protection;
            }
        }
    }
}
