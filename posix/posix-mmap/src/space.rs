//! What is mapped: pure book-keeping.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use syscall_shim::Errno;

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
    /// By whom the last of it was unmapped.
    ended: Option<Removal>,
}

/// Tells those apart who unmap something at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal(u64);

/// More regions than before, where a range is split from what is around it.
const SPLITS: usize = 2;

/// All mappings of the process, in the order of their addresses.
#[derive(Debug, Default)]
pub struct Space {
    regions: Vec<Region>,
    blocks: Vec<Block>,
    segments: Vec<Arc<Segment>>,
    removals: u64,
}

impl Space {
    pub const fn new() -> Self {
        Self { regions: Vec::new(), blocks: Vec::new(), segments: Vec::new(), removals: 0 }
    }

    /// Index of the first region that ends behind an address.
    fn first_behind(&self, address: usize) -> usize {
        self.regions.partition_point(|region| region.end <= address)
    }

    /// Maps a new block.
    ///
    /// # Errors
    /// `ENOMEM`; here and below nothing has changed then.
    pub fn insert(&mut self, block: usize, pages: usize, protection: u32) -> Result<(), Errno> {
        reserve(&mut self.blocks, 1)?;
        reserve(&mut self.regions, 1)?;
        let at = self.blocks.partition_point(|other| other.start < block);
        self.blocks.insert(at, Block { start: block, pages, mapped: pages, ended: None });
        let end = block + pages * PAGE;
        let at = self.first_behind(block);
        self.regions.insert(at, Region { start: block, end, block, protection, users: 1 });
        Ok(())
    }

    /// Notes that a mapped range is a part of a file.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn add_segment(&mut self, segment: Arc<Segment>) -> Result<(), Errno> {
        reserve(&mut self.segments, 1)?;
        self.segments.push(segment);
        Ok(())
    }

    /// The parts of files that are mapped, in no order.
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// Ends a part of a file that is in a range; `None` when there is no more. It is to be dropped
    /// when nobody holds the lock: the file lets go of the memory.
    pub fn end_segment(&mut self, start: usize, end: usize) -> Option<Arc<Segment>> {
        let inside = |s: &Arc<Segment>| start <= s.range().start && s.range().end <= end;
        let index = self.segments.iter().position(inside)?;
        Some(self.segments.swap_remove(index))
    }

    /// Maps a range in one block once more, or again where it is not mapped.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn insert_again(&mut self, start: usize, end: usize, protection: u32) -> Result<(), Errno> {
        // One more between any two, and at both ends.
        let more = self.overlapping(start, end).count() + 1 + SPLITS;
        reserve(&mut self.regions, more)?;
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
        Ok(())
    }

    /// Addresses within a block that are not mapped any more, that long.
    pub fn hole(&self, len: usize) -> Option<usize> {
        self.blocks.iter().filter(|block| block.ended.is_none()).find_map(|block| {
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

    /// The regions within a range that is split at both ends. There must be room for [`SPLITS`].
    fn within(&mut self, start: usize, end: usize) -> Range<usize> {
        self.split(start);
        self.split(end);
        let first = self.first_behind(start);
        first..self.regions.partition_point(|region| region.start < end).max(first)
    }

    /// Unmaps what is mapped of a range, except for what other mappings have too; `each` gets what is
    /// not mapped any more. Then follow [`Space::end_unmapped`] and [`Space::end_block`], until
    /// there is nothing more.
    ///
    /// # Errors
    /// `ENOMEM`, only when less than a whole mapping goes: memory can be given back without any.
    pub fn remove(
        &mut self,
        start: usize,
        end: usize,
        mut each: impl FnMut(&Region),
    ) -> Result<Removal, Errno> {
        let spans = |at| self.overlapping(at, at + 1).any(|region| region.start < at);
        let splits = usize::from(spans(start)) + usize::from(spans(end));
        reserve(&mut self.regions, splits)?;
        let removal = Removal(self.removals);
        self.removals += 1;
        for index in self.within(start, end).rev() {
            let region = &mut self.regions[index];
            region.users -= 1;
            if region.users > 0 {
                continue;
            }
            let region = self.regions.remove(index);
            each(&region);
            let holder = self.blocks.partition_point(|block| block.start < region.block);
            let block = &mut self.blocks[holder];
            block.mapped -= (region.end - region.start) / PAGE;
            if block.mapped == 0 {
                block.ended = Some(removal);
            }
        }
        Ok(removal)
    }

    /// Ends a part of a file that was unmapped with a range, if nothing else of it is mapped. See
    /// [`Space::end_segment`].
    pub fn end_unmapped(&mut self, start: usize, end: usize) -> Option<Arc<Segment>> {
        let ended = |segment: &Arc<Segment>| {
            let own = segment.range();
            own.start < end && start < own.end && !self.touches(own.start, own.end)
        };
        let index = self.segments.iter().position(ended)?;
        Some(self.segments.swap_remove(index))
    }

    /// Forgets a block of which a removal left nothing; its start and its pages. Files have let go
    /// of it by then.
    pub fn end_block(&mut self, removal: Removal) -> Option<(usize, usize)> {
        let index = self.blocks.iter().position(|block| block.ended == Some(removal))?;
        let block = self.blocks.remove(index);
        Some((block.start, block.pages))
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

    /// Whether something of a range is in a block, and not mapped any more.
    pub fn has_hole(&self, start: usize, end: usize) -> bool {
        self.blocks.iter().any(|block| {
            let (from, to) = (start.max(block.start), end.min(block.start + block.pages * PAGE));
            from < to && !self.covers(from, to)
        })
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

    /// The first region that ends behind an address, and its protection.
    pub fn region_behind(&self, address: usize) -> Option<(Range<usize>, u32)> {
        let region = self.regions.get(self.first_behind(address))?;
        Some((region.start..region.end, region.protection))
    }

    /// All regions.
    #[cfg(test)]
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
    /// `ENOMEM`, and those of `apply`.
    pub fn protect(
        &mut self,
        start: usize,
        end: usize,
        protection: u32,
        mut apply: impl FnMut(Range<usize>, u32) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        reserve(&mut self.regions, SPLITS)?;
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

fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<(), Errno> {
    list.try_reserve(more).map_err(|_| Errno::ENOMEM)
}
