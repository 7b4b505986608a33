//! Contents of files that are changed.
//!
//! Data goes to blocks that nobody has according to what is committed, or to those that the file has
//! already, and is there before that is committed: what a crash leaves never leads to blocks of
//! somebody else, nor to what these had before.

use ukerrno::Errno;
use ukfile::Timestamp;
use vfs::Allocate;

use crate::Ext4Error;
use crate::draft::Draft;
use crate::extents::Extent;
use crate::volume::Volume;

/// Blocks that are taken at once at most.
const STEP: u32 = 8192;
/// Files have numbers of blocks of 32 bits, the last of which is none.
const MOST: u64 = u32::MAX as u64;

const INDIRECT: Ext4Error = Ext4Error::ReadOnly("files with indirect blocks cannot be changed");

impl Volume {
    fn must_have_extents(draft: &Draft) -> Result<(), Ext4Error> {
        if draft.has_extents() { Ok(()) } else { Err(INDIRECT) }
    }

    /// Bytes that a file can have.
    fn most_bytes(&self) -> u64 {
        let most = MOST * u64::from(self.sb.block_size);
        if self.sb.large_files { most } else { most.min(i32::MAX as u64) }
    }

    /// Writes to a file; returns how much, less when there was no space for more.
    pub fn write_file(
        &mut self,
        number: u32,
        offset: u64,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<usize, Ext4Error> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.most_bytes());
        end.ok_or(Ext4Error::Call(Errno::EFBIG))?;
        let mut done = 0;
        while done < bytes.len() {
            let (at, rest) = (offset + done as u64, &bytes[done..]);
            match self.operation(|volume| volume.write_step(number, at, rest, now)) {
                Ok(written) => done += written,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes what goes to one extent.
    fn write_step(
        &mut self,
        number: u32,
        offset: u64,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<usize, Ext4Error> {
        let mut draft = self.draft(number)?;
        Self::must_have_extents(&draft)?;
        self.clear_tail(&draft, offset)?;
        let size = u64::from(self.sb.block_size);
        let (block, from) = ((offset / size) as u32, offset % size);
        let wanted = (from + bytes.len() as u64).div_ceil(size).min(STEP.into()) as u32;
        let (found, _) = self.extent_at(&draft, block)?;
        let fits = |blocks: u32| (u64::from(blocks) * size - from).min(bytes.len() as u64) as usize;
        let mut only_times = false;
        let length = match found {
            Some(extent) if extent.at <= block => {
                let blocks = wanted.min((extent.end() - u64::from(block)) as u32);
                let part = extent.part(block, block + blocks);
                let length = fits(blocks);
                self.write_range(part.first, from, &bytes[..length], !extent.written)?;
                only_times = extent.written;
                if !extent.written {
                    self.mark_written(&mut draft, &extent, &part)?;
                }
                length
            }
            next => {
                let free = next.map_or(u32::MAX, |next| next.at) - block;
                let goal = self.goal(&draft, block)?;
                let (first, blocks) = self.allocate_blocks(goal, wanted.min(free))?;
                let length = fits(blocks);
                self.write_range(first, from, &bytes[..length], true)?;
                let extent = Extent { at: block, blocks, first, written: true };
                self.insert_extent(&mut draft, extent)?;
                draft.count_blocks(blocks.into(), self.sb.block_size);
                length
            }
        };
        draft.note_write(now);
        let end = offset + length as u64;
        if end > draft.size() {
            draft.set_size(end);
            only_times = false;
        }
        if only_times {
            self.store_times(&mut draft)?
        } else {
            self.store(&mut draft)?
        }
        Ok(length)
    }

    /// A part of an extent that was reserved has been written.
    fn mark_written(
        &mut self,
        draft: &mut Draft,
        all: &Extent,
        part: &Extent,
    ) -> Result<(), Ext4Error> {
        self.remove_extent(draft, all.at)?;
        self.put_parts(draft, all, part.at, part.end() as u32)?;
        self.insert_extent(draft, Extent { written: true, ..*part })
    }

    /// Puts in what an extent has before and behind a part.
    fn put_parts(
        &mut self,
        draft: &mut Draft,
        all: &Extent,
        from: u32,
        to: u32,
    ) -> Result<(), Ext4Error> {
        if all.at < from {
            self.insert_extent(draft, all.part(all.at, from))?;
        }
        if u64::from(to) < all.end() {
            self.insert_extent(draft, all.part(to, all.end() as u32))?;
        }
        Ok(())
    }

    /// Makes a file `size` bytes long.
    pub fn resize_file(&mut self, number: u32, size: u64, now: Timestamp) -> Result<(), Ext4Error> {
        if size > self.most_bytes() {
            return Err(Ext4Error::Call(Errno::EFBIG));
        }
        self.must_be_writable()?;
        let block_size = u64::from(self.sb.block_size);
        while self.operation(|volume| volume.cut_step(number, size.div_ceil(block_size)))? {}
        self.operation(|volume| {
            let mut draft = volume.draft(number)?;
            Self::must_have_extents(&draft)?;
            volume.clear_tail(&draft, size)?;
            if size < draft.size() {
                volume.zero_in_block(&draft, size, size.next_multiple_of(block_size))?;
            }
            draft.set_size(size);
            draft.note_write(now);
            volume.store(&mut draft)
        })
    }

    /// Gives back the last extent of a file, or the part of it that is behind its first `kept`
    /// blocks. What remains is the file as if it had been cut there. Whether there may be more.
    pub fn cut_step(&mut self, number: u32, kept: u64) -> Result<bool, Ext4Error> {
        let mut draft = self.draft(number)?;
        Self::must_have_extents(&draft)?;
        let (found, before) = self.extent_at(&draft, u32::MAX)?;
        let Some(last) = found.or(before).filter(|last| last.end() > kept) else {
            return Ok(false);
        };
        let from = last.at.max(kept.min(MOST) as u32);
        // Neither takes a block, so that a full disk does not keep files from being cut.
        if from > last.at {
            self.shorten_extent(&mut draft, last.at, from - last.at)?;
        } else {
            self.remove_extent(&mut draft, last.at)?;
        }
        let gone = u64::from(last.blocks - (from - last.at));
        self.free_blocks(last.first + u64::from(from - last.at), gone)?;
        draft.count_blocks(-(gone as i64), self.sb.block_size);
        let size = draft.size().min(u64::from(from) * u64::from(self.sb.block_size));
        draft.set_size(size);
        self.store(&mut draft)?;
        Ok(true)
    }

    /// Before a file gets longer, other than by what is written to its end: its last block may have
    /// more, which was written and never committed.
    fn clear_tail(&self, draft: &Draft, to: u64) -> Result<(), Ext4Error> {
        let size = draft.size();
        let end = size.next_multiple_of(self.sb.block_size.into());
        if to > size { self.zero_in_block(draft, size, end) } else { Ok(()) }
    }

    /// Fills a range that is in one block with zeros, where there is something.
    fn zero_in_block(&self, draft: &Draft, from: u64, to: u64) -> Result<(), Ext4Error> {
        let size = u64::from(self.sb.block_size);
        if from >= to || from / size >= MOST {
            return Ok(());
        }
        let block = (from / size) as u32;
        if let (Some(extent), _) = self.extent_at(draft, block)?
            && extent.at <= block
            && extent.written
        {
            let zeros = ukfile::fallible::zeroed((to - from) as usize);
            let zeros = zeros.map_err(|_| Ext4Error::OutOfMemory)?;
            let first = extent.part(block, block + 1).first;
            self.write_range(first, from % size, &zeros, false)?;
        }
        Ok(())
    }

    /// `fallocate`.
    pub fn allocate_file(
        &mut self,
        number: u32,
        how: Allocate,
        offset: u64,
        length: u64,
        now: Timestamp,
    ) -> Result<(), Ext4Error> {
        let end = offset.checked_add(length).filter(|end| *end <= self.most_bytes());
        let end = end.ok_or(Ext4Error::Call(Errno::EFBIG))?;
        let keep_size = match how {
            Allocate::Reserve { keep_size } => {
                self.reserve(number, offset, end)?;
                keep_size
            }
            Allocate::PunchHole => {
                self.punch(number, offset, end)?;
                true
            }
            Allocate::Zero { keep_size } => {
                self.punch(number, offset, end)?;
                self.reserve(number, offset, end)?;
                keep_size
            }
            Allocate::Collapse | Allocate::Insert => {
                return Err(Ext4Error::Call(Errno::EOPNOTSUPP));
            }
        };
        self.operation(|volume| {
            let mut draft = volume.draft(number)?;
            draft.note_write(now);
            if !keep_size && end > draft.size() {
                volume.clear_tail(&draft, end)?;
                draft.set_size(end);
            }
            volume.store(&mut draft)
        })
    }

    /// Takes blocks for a range, which read as zeros until they are written.
    fn reserve(&mut self, number: u32, offset: u64, end: u64) -> Result<(), Ext4Error> {
        let size = u64::from(self.sb.block_size);
        let (mut at, to) = ((offset / size) as u32, end.div_ceil(size) as u32);
        while at < to {
            at = self.operation(|volume| {
                let mut draft = volume.draft(number)?;
                Self::must_have_extents(&draft)?;
                let (found, _) = volume.extent_at(&draft, at)?;
                if let Some(extent) = found.filter(|extent| extent.at <= at) {
                    return Ok(extent.end().min(to.into()) as u32);
                }
                let free = found.map_or(to, |next| next.at.min(to)) - at;
                let goal = volume.goal(&draft, at)?;
                let (first, blocks) = volume.allocate_blocks(goal, free.min(STEP))?;
                let extent = Extent { at, blocks, first, written: false };
                volume.insert_extent(&mut draft, extent)?;
                draft.count_blocks(blocks.into(), volume.sb.block_size);
                volume.store(&mut draft)?;
                Ok(at + blocks)
            })?;
        }
        Ok(())
    }

    /// Makes a hole: whole blocks are given back, parts of blocks become zeros.
    fn punch(&mut self, number: u32, offset: u64, end: u64) -> Result<(), Ext4Error> {
        let size = u64::from(self.sb.block_size);
        let (first, last) = (offset.next_multiple_of(size), end / size * size);
        self.operation(|volume| {
            let draft = volume.draft(number)?;
            Self::must_have_extents(&draft)?;
            if first > last {
                return volume.zero_in_block(&draft, offset, end);
            }
            volume.zero_in_block(&draft, offset, first)?;
            volume.zero_in_block(&draft, last, end)
        })?;
        let (from, to) = ((first / size) as u32, (last / size) as u32);
        if first >= last {
            return Ok(());
        }
        while self.operation(|volume| volume.punch_step(number, from, to))? {}
        Ok(())
    }

    /// Gives back what the first extent in a range has there. Whether there may be more.
    fn punch_step(&mut self, number: u32, from: u32, to: u32) -> Result<bool, Ext4Error> {
        let mut draft = self.draft(number)?;
        let (found, _) = self.extent_at(&draft, from)?;
        let Some(extent) = found.filter(|extent| extent.at < to) else { return Ok(false) };
        let (start, end) = (extent.at.max(from), extent.end().min(to.into()) as u32);
        self.remove_extent(&mut draft, extent.at)?;
        self.put_parts(&mut draft, &extent, start, end)?;
        self.free_blocks(extent.part(start, end).first, u64::from(end - start))?;
        draft.count_blocks(-i64::from(end - start), self.sb.block_size);
        self.store(&mut draft)?;
        Ok(true)
    }
}
