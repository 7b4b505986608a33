//! What is mapped: pure book-keeping.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::PAGE;
use crate::file::Segment;

/// Mapped addresses of one block of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub start: usize,
    pub end: usize,
    /// Start of the block.
    block: usize,
    pub protection: u32,
    /// How many mappings have it: more than one only of the same part of a file.
    users: u32,
}

/// Memory that was taken from the heap at once, and how much of it is still mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    start: usize,
    pages: usize,
    mapped: usize,
}

/// What is left when something was unmapped.
#[derive(Debug, Default)]
pub struct Unmapped {
    /// What is not mapped any more.
    pub regions: Vec<Region>,
    /// Blocks of which nothing is mapped any more, with their number of pages.
    pub blocks: Vec<(usize, usize)>,
    /// Parts of files of which nothing is mapped any more.
    pub segments: Vec<Arc<Segment>>,
}

/// All mappings of the process, in the order of their addresses.
#[derive(Debug, Default)]
pub struct Space {
    regions: Vec<Region>,
    blocks: Vec<Block>,
    segments: Vec<Arc<Segment>>,
}

impl Space {
    pub const fn new() -> Self {
        Self { regions: Vec::new(), blocks: Vec::new(), segments: Vec::new() }
    }

    /// Index of the first region that ends behind an address.
    fn first_behind(&self, address: usize) -> usize {
        self.regions.partition_point(|region| region.end <= address)
    }

    /// Maps a new block.
    pub fn insert(&mut self, block: usize, pages: usize, protection: u32) {
        let at = self.blocks.partition_point(|other| other.start < block);
        self.blocks.insert(at, Block { start: block, pages, mapped: pages });
        let end = block + pages * PAGE;
        let at = self.first_behind(block);
        self.regions.insert(at, Region { start: block, end, block, protection, users: 1 });
    }

    /// Notes that a mapped range is a part of a file.
    pub fn add_segment(&mut self, segment: Arc<Segment>) {
        self.segments.push(segment);
    }

    /// The parts of files that are mapped, in no order.
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// Ends the parts of files that are in a range.
    pub fn end_segments(&mut self, start: usize, end: usize) -> Vec<Arc<Segment>> {
        let inside = |s: &mut Arc<Segment>| start <= s.range().start && s.range().end <= end;
        self.segments.extract_if(.., inside).collect()
    }

    /// Maps a range in one block once more, or again where it is not mapped.
    pub fn insert_again(&mut self, start: usize, end: usize, protection: u32) {
        for index in self.within(start, end) {
            self.regions[index].users += 1;
            self.regions[index].protection |= protection;
        }
        let holder = self.blocks.partition_point(|block| block.start <= start) - 1;
        let block = &mut self.blocks[holder];
        let mut at = start;
        while at < end {
            let next = self.regions.partition_point(|region| region.end <= at);
            let gap_end = self.regions.get(next).map_or(end, |region| region.start.clamp(at, end));
            if at < gap_end {
                let region =
                    Region { start: at, end: gap_end, block: block.start, protection, users: 1 };
                block.mapped += (gap_end - at) / PAGE;
                self.regions.insert(next, region);
            }
            at = self.regions.get(next).map_or(end, |region| region.end);
        }
    }

    /// Addresses within a block that are not mapped any more, that long.
    pub fn hole(&self, len: usize) -> Option<usize> {
        self.blocks.iter().find_map(|block| {
            let end = block.start + block.pages * PAGE;
            let mut at = block.start;
            for region in self.overlapping(block.start, end) {
                if region.start - at >= len {
                    return Some(at);
                }
                at = region.end;
            }
            (end - at >= len).then_some(at)
        })
    }

    /// Makes regions begin and end at an address, where one spans it.
    fn split(&mut self, at: usize) {
        let index = self.first_behind(at);
        if let Some(region) = self.regions.get_mut(index)
            && region.start < at
        {
            let second = Region { start: at, ..*region };
            region.end = at;
            self.regions.insert(index + 1, second);
        }
    }

    /// The regions within a range that is split at both ends.
    fn within(&mut self, start: usize, end: usize) -> Range<usize> {
        self.split(start);
        self.split(end);
        let first = self.first_behind(start);
        first..self.regions.partition_point(|region| region.start < end).max(first)
    }

    /// Unmaps what is mapped of a range.
    pub fn remove(&mut self, start: usize, end: usize) -> Unmapped {
        let mut gone = Unmapped::default();
        for index in self.within(start, end).rev() {
            let region = &mut self.regions[index];
            region.users -= 1;
            if region.users > 0 {
                continue;
            }
            let region = self.regions.remove(index);
            gone.regions.push(region);
            let holder = self.blocks.partition_point(|block| block.start < region.block);
            let block = &mut self.blocks[holder];
            block.mapped -= (region.end - region.start) / PAGE;
            if block.mapped == 0 {
                gone.blocks.push((block.start, block.pages));
                self.blocks.remove(holder);
            }
        }
        let regions = &self.regions;
        let ended = |segment: &mut Arc<Segment>| {
            let Range { start, end } = segment.range();
            let first = regions.partition_point(|region| region.end <= start);
            regions.get(first).is_none_or(|region| region.start >= end)
        };
        gone.segments.extend(self.segments.extract_if(.., ended));
        gone
    }

    /// Whether all of a range is mapped.
    pub fn covers(&self, start: usize, end: usize) -> bool {
        let mut at = start;
        for region in &self.regions[self.first_behind(start)..] {
            if at >= end || region.start > at {
                break;
            }
            at = region.end;
        }
        at >= end
    }

    /// Whether something in a range is mapped more than once.
    pub fn is_shared(&self, start: usize, end: usize) -> bool {
        self.overlapping(start, end).any(|region| region.users > 1)
    }

    /// The regions that have something of a range.
    fn overlapping(&self, start: usize, end: usize) -> impl Iterator<Item = &Region> {
        let first = self.first_behind(start);
        self.regions[first..].iter().take_while(move |region| region.start < end)
    }

    /// Start of the region that an address is in: where its protection or its block begin.
    pub fn start_of(&self, address: usize) -> Option<usize> {
        self.overlapping(address, address + 1).next().map(|region| region.start)
    }

    /// All regions.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Parts of a range with their protection, as far as they are mapped.
    pub fn protections(
        &self,
        start: usize,
        end: usize,
    ) -> impl Iterator<Item = (Range<usize>, u32)> {
        self.overlapping(start, end)
            .map(move |r| (r.start.max(start)..r.end.min(end), r.protection))
    }

    /// Whether any of a range is mapped.
    pub fn touches(&self, start: usize, end: usize) -> bool {
        self.overlapping(start, end).next().is_some()
    }

    /// Sets the protection of what is mapped of a range. `apply` is called with each part whose
    /// protection changes, and the old one; where it fails this ends, and the rest stays as it is.
    ///
    /// # Errors
    /// Those of `apply`.
    pub fn protect<E>(
        &mut self,
        start: usize,
        end: usize,
        protection: u32,
        mut apply: impl FnMut(Range<usize>, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        for index in self.within(start, end) {
            let region = &mut self.regions[index];
            if region.protection != protection {
                apply(region.start..region.end, region.protection)?;
                region.protection = protection;
            }
        }
        Ok(())
    }
}
