//! What is mapped: pure book-keeping.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use syscall_shim::Errno;

use crate::PAGE;
use crate::file::{File, Segment};
use crate::source::{Content, Sources};

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
    /// Which of the [`Sources`] its content is a copy of; none for zeros and what is shared.
    source: Option<u32>,
}

/// Memory that was taken from the heap at once, and how much of it is still mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    start: usize,
    pages: usize,
    mapped: usize,
    /// By whom the last of it was unmapped.
    ended: Option<Removal>,
    /// Its neighbours among those that are mapped in part, if it is one.
    part: Option<Links>,
}

impl Block {
    fn end(&self) -> usize {
        self.start + self.pages * PAGE
    }
}

/// Starts of the blocks before and behind in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Links {
    before: Option<usize>,
    after: Option<usize>,
}

/// Tells those apart who unmap something at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal(u64);

/// More regions than before, where a range is split from what is around it.
const SPLITS: usize = 2;

/// All mappings of the process. All lists but that of the blocks that are mapped in part are in the order
/// of their addresses, so that what is in a range is found without looking at the rest.
#[derive(Debug, Default)]
pub struct Space {
    regions: Vec<Region>,
    blocks: Vec<Block>,
    segments: Vec<Arc<Segment>>,
    sources: Sources,
    /// The first block that is mapped in part.
    first_part: Option<usize>,
    removals: u64,
    #[cfg(test)]
    pub steps: core::cell::Cell<usize>,
}

impl Space {
    pub const fn new() -> Self {
        Self {
            regions: Vec::new(),
            blocks: Vec::new(),
            segments: Vec::new(),
            sources: Sources::new(),
            first_part: None,
            removals: 0,
            #[cfg(test)]
            steps: core::cell::Cell::new(0),
        }
    }

    /// Something was looked at: tests count that.
    fn step(&self) {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
    }

    /// Indices of what is in a range of addresses, in a list of what does not overlap.
    fn range_of<T>(
        &self,
        list: &[T],
        Range { start, end }: Range<usize>,
        of: impl Fn(&T) -> Range<usize>,
    ) -> Range<usize> {
        let first = list.partition_point(|one| {
            self.step();
            of(one).end <= start
        });
        let behind = list.partition_point(|one| {
            self.step();
            of(one).start < end
        });
        first..behind.max(first)
    }

    fn blocks_in(&self, start: usize, end: usize) -> Range<usize> {
        self.range_of(&self.blocks, start..end, |block| block.start..block.end())
    }

    /// Index of the block that begins at an address.
    fn block_at(&self, start: usize) -> usize {
        self.blocks.partition_point(|block| {
            self.step();
            block.start < start
        })
    }

    /// Index of the first region that ends behind an address.
    fn first_behind(&self, address: usize) -> usize {
        self.regions.partition_point(|region| {
            self.step();
            region.end <= address
        })
    }

    /// Maps a new block.
    ///
    /// # Errors
    /// `ENOMEM`; here and below nothing has changed then.
    pub fn insert(&mut self, block: usize, pages: usize, protection: u32) -> Result<(), Errno> {
        reserve(&mut self.blocks, 1)?;
        reserve(&mut self.regions, 1)?;
        let at = self.block_at(block);
        let new = Block { start: block, pages, mapped: pages, ended: None, part: None };
        self.blocks.insert(at, new);
        let end = block + pages * PAGE;
        let at = self.first_behind(block);
        let region = Region { start: block, end, block, protection, users: 1, source: None };
        self.regions.insert(at, region);
        Ok(())
    }

    /// Notes that a mapped range is a part of a file.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn add_segment(&mut self, segment: Arc<Segment>) -> Result<(), Errno> {
        reserve(&mut self.segments, 1)?;
        let at = self.segments_in(segment.range()).start;
        self.segments.insert(at, segment);
        Ok(())
    }

    /// The parts of files that are mapped.
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// Indices of the parts of files that have something of a range.
    fn segments_in(&self, range: Range<usize>) -> Range<usize> {
        self.range_of(&self.segments, range, |segment| segment.range())
    }

    /// The parts of files that have something of a range.
    pub fn segments_of(&self, start: usize, end: usize) -> &[Arc<Segment>] {
        &self.segments[self.segments_in(start..end)]
    }

    /// Takes the first part of a file that has something of a range, and fits, out.
    fn take_segment(
        &mut self,
        start: usize,
        end: usize,
        fits: impl Fn(&Self, Range<usize>) -> bool,
    ) -> Option<Arc<Segment>> {
        let index =
            self.segments_in(start..end).find(|at| fits(self, self.segments[*at].range()))?;
        Some(self.segments.remove(index))
    }

    /// Ends a part of a file that is in a range; `None` when there is no more. It is to be dropped
    /// when nobody holds the lock: the file lets go of the memory.
    pub fn end_segment(&mut self, start: usize, end: usize) -> Option<Arc<Segment>> {
        self.take_segment(start, end, |_, own| start <= own.start && own.end <= end)
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
        let holder = self.blocks_in(start, end).start;
        let block = self.blocks[holder].start;
        let mut at = start;
        while at < end {
            let next = self.first_behind(at);
            let gap_end = self.regions.get(next).map_or(end, |region| region.start.clamp(at, end));
            if at < gap_end {
                let region =
                    Region { start: at, end: gap_end, block, protection, users: 1, source: None };
                self.blocks[holder].mapped += (gap_end - at) / PAGE;
                self.regions.insert(next, region);
            }
            at = self.regions.get(next).map_or(end, |region| region.end);
        }
        self.note_part(holder);
        Ok(())
    }

    /// Keeps a block in the list of those that are mapped in part, or out of it.
    fn note_part(&mut self, index: usize) {
        let block = self.blocks[index];
        let is_part = (1..block.pages).contains(&block.mapped);
        match block.part {
            None if is_part => {
                let after = self.first_part.replace(block.start);
                self.blocks[index].part = Some(Links { before: None, after });
                if let Some(links) = self.links(after) {
                    links.before = Some(block.start);
                }
            }
            Some(Links { before, after }) if !is_part => {
                self.blocks[index].part = None;
                match self.links(before) {
                    Some(links) => links.after = after,
                    None => self.first_part = after,
                }
                if let Some(links) = self.links(after) {
                    links.before = before;
                }
            }
            _ => {}
        }
    }

    fn links(&mut self, start: Option<usize>) -> Option<&mut Links> {
        let index = self.block_at(start?);
        self.blocks[index].part.as_mut()
    }

    /// Addresses within a block that are not mapped any more, that long.
    pub fn hole(&self, len: usize) -> Option<usize> {
        let part = |start: usize| self.blocks[self.block_at(start)];
        let parts =
            core::iter::successors(self.first_part.map(part), |block| block.part?.after.map(part));
        parts.into_iter().find_map(|block| {
            let mut at = block.start;
            for region in self.overlapping(block.start, block.end()) {
                if region.start - at >= len {
                    return Some(at);
                }
                at = region.end;
            }
            (block.end() - at >= len).then_some(at)
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
            self.sources.hold(second.source);
            self.regions.insert(index + 1, second);
        }
    }

    /// The regions within a range that is split at both ends. There must be room for [`SPLITS`].
    fn within(&mut self, start: usize, end: usize) -> Range<usize> {
        self.split(start);
        self.split(end);
        self.range_of(&self.regions, start..end, |region| region.start..region.end)
    }

    /// Unmaps what is mapped of a range, except for what other mappings have too; `each` gets what is
    /// not mapped any more. Then follow [`Space::end_unmapped`], [`Space::end_source`] and
    /// [`Space::end_block`], until there is nothing more.
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
            self.sources.release(region.source);
            let holder = self.block_at(region.block);
            let block = &mut self.blocks[holder];
            block.mapped -= (region.end - region.start) / PAGE;
            if block.mapped == 0 {
                block.ended = Some(removal);
            }
            self.note_part(holder);
        }
        Ok(removal)
    }

    /// Ends a part of a file that was unmapped with a range, if nothing else of it is mapped. See
    /// [`Space::end_segment`].
    pub fn end_unmapped(&mut self, start: usize, end: usize) -> Option<Arc<Segment>> {
        self.take_segment(start, end, |space, own| !space.touches(own.start, own.end))
    }

    /// Forgets a block in a range of which a removal left nothing; its start and its pages. Files have
    /// let go of it by then.
    pub fn end_block(
        &mut self,
        start: usize,
        end: usize,
        removal: Removal,
    ) -> Option<(usize, usize)> {
        let mut all = self.blocks_in(start, end);
        let index = all.find(|at| {
            self.step();
            self.blocks[*at].ended == Some(removal)
        })?;
        let block = self.blocks.remove(index);
        Some((block.start, block.pages))
    }

    /// Notes of which file a mapped range is a copy, and from which byte on; or that it is of none. What
    /// this ends [`Space::end_source`] has.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn set_source(
        &mut self,
        start: usize,
        end: usize,
        source: Option<(&Arc<dyn File>, u64)>,
    ) -> Result<(), Errno> {
        reserve(&mut self.regions, SPLITS)?;
        let source = match source {
            Some((file, offset)) => Some(self.sources.add(file.clone(), start, offset)?),
            None => None,
        };
        for index in self.within(start, end) {
            let before = core::mem::replace(&mut self.regions[index].source, source);
            self.sources.hold(source);
            self.sources.release(before);
        }
        // Those that were mapped hold it now.
        self.sources.release(source);
        Ok(())
    }

    /// A file of which nothing is mapped as copy any more. It is to be dropped when nobody holds the
    /// lock.
    pub fn end_source(&mut self) -> Option<Arc<dyn File>> {
        self.sources.take_ended()
    }

    /// The first part of a range that is mapped, of what it is a copy, if of a file.
    pub fn content(&self, start: usize, end: usize) -> Option<(Range<usize>, Option<Content>)> {
        let region = self.overlapping(start, end).next()?;
        let range = region.start.max(start)..region.end.min(end);
        let content = region.source.and_then(|source| self.sources.content(source, range.start));
        Some((range, content))
    }

    /// Whether all of a range is mapped.
    pub fn covers(&self, start: usize, end: usize) -> bool {
        let mut at = start;
        for region in &self.regions[self.first_behind(start)..] {
            self.step();
            if at >= end || region.start > at {
                break;
            }
            at = region.end;
        }
        at >= end
    }

    /// Whether something of a range is in a block, and not mapped any more.
    pub fn has_hole(&self, start: usize, end: usize) -> bool {
        self.blocks[self.blocks_in(start, end)]
            .iter()
            .any(|block| !self.covers(start.max(block.start), end.min(block.end())))
    }

    /// Whether something in a range is mapped more than once.
    pub fn is_shared(&self, start: usize, end: usize) -> bool {
        self.overlapping(start, end).any(|region| region.users > 1)
    }

    /// The regions that have something of a range.
    fn overlapping(&self, start: usize, end: usize) -> impl Iterator<Item = &Region> {
        let first = self.first_behind(start);
        self.regions[first..].iter().take_while(move |region| {
            self.step();
            region.start < end
        })
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
