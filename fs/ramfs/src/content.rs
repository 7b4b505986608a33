//! The contents of a file.

use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::Gather;
use vfs::Allocate;

use crate::fs::Shared;
use crate::pages::{PAGE, Page, Pages, zero_page};

/// Bytes that need no page.
const INLINE: usize = 64;
const PAGE_U64: u64 = PAGE as u64;
/// Where files end at last.
const MAX_SIZE: u64 = i64::MAX as u64;

/// Bytes of a file, and where they are.
pub struct Content {
    size: u64,
    store: Store,
    shared: Arc<Shared>,
}

enum Store {
    /// Short, and without a hole.
    Inline([u8; INLINE]),
    /// Given at boot, and not written to yet.
    Static(&'static [u8]),
    Pages(Pages),
}

impl Content {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { size: 0, store: Store::Pages(Pages::default()), shared }
    }

    pub fn of_static(shared: Arc<Shared>, bytes: &'static [u8]) -> Self {
        Self { size: bytes.len() as u64, store: Store::Static(bytes), shared }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Memory that it takes, in units of 512 bytes. What is in the node counts as a page, as
    /// programs expect of a file that is not empty.
    pub fn blocks(&self) -> u64 {
        match &self.store {
            Store::Inline(_) => PAGE_U64 / 512,
            Store::Static(bytes) => bytes.len().div_ceil(512) as u64,
            Store::Pages(pages) => pages.count() as u64 * (PAGE_U64 / 512),
        }
    }

    /// Calls `sink` with the bytes from `offset` on, at most `length`, piece by piece.
    pub fn visit(
        &self,
        offset: u64,
        length: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        static ZEROS: [u8; 512] = [0; 512];
        let end = self.size.min(offset.saturating_add(length as u64));
        let mut at = offset;
        while at < end {
            let left = end - at;
            let piece = match &self.store {
                Store::Inline(bytes) => &bytes[at as usize..end as usize],
                Store::Static(bytes) => &bytes[at as usize..end as usize],
                Store::Pages(pages) => {
                    let from = (at % PAGE_U64) as usize;
                    let to = PAGE.min(from + left.min(PAGE_U64) as usize);
                    match pages.get(at / PAGE_U64) {
                        Some(page) => &page[from..to],
                        // Zeros of holes come in smaller pieces.
                        None => &ZEROS[..ZEROS.len().min(to - from)],
                    }
                }
            };
            match sink(piece) {
                Ok(taken) => {
                    at += taken as u64;
                    if taken < piece.len() {
                        break;
                    }
                }
                Err(error) if at == offset => return Err(error),
                Err(_) => break,
            }
        }
        Ok(at.saturating_sub(offset) as usize)
    }

    /// Fills buffers from `offset` on.
    pub fn read(&self, offset: u64, buffers: &mut [&mut [u8]]) -> usize {
        let mut done = 0;
        for buffer in buffers {
            let read = self.read_one(offset + done as u64, buffer);
            done += read;
            if read < buffer.len() {
                break;
            }
        }
        done
    }

    fn read_one(&self, offset: u64, buffer: &mut [u8]) -> usize {
        if offset >= self.size {
            return 0;
        }
        let length = (self.size - offset).min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..length];
        match &self.store {
            Store::Inline(bytes) => {
                buffer.copy_from_slice(&bytes[offset as usize..][..length]);
            }
            Store::Static(bytes) => {
                buffer.copy_from_slice(&bytes[offset as usize..][..length]);
            }
            Store::Pages(pages) => {
                let mut at = 0;
                while at < length {
                    let from = ((offset + at as u64) % PAGE_U64) as usize;
                    let piece = (PAGE - from).min(length - at);
                    match pages.get((offset + at as u64) / PAGE_U64) {
                        Some(page) => {
                            buffer[at..at + piece].copy_from_slice(&page[from..from + piece]);
                        }
                        None => buffer[at..at + piece].fill(0),
                    }
                    at += piece;
                }
            }
        }
        length
    }

    /// Writes all of `buffers` at `offset`; less when memory or the limit ends.
    pub fn write(&mut self, offset: u64, buffers: &[&[u8]]) -> Result<usize, Errno> {
        let length = ukfile::total(buffers);
        if length == 0 {
            return Ok(0);
        }
        let end = offset.checked_add(length as u64).filter(|&e| e <= MAX_SIZE);
        let end = end.ok_or(Errno::EFBIG)?;
        let mut source = Gather::new(buffers);
        if self.fits_inline(offset, end) {
            let mut bytes = match &self.store {
                Store::Inline(bytes) => *bytes,
                _ => [0; INLINE],
            };
            source.copy_to(&mut bytes[offset as usize..end as usize]);
            self.store = Store::Inline(bytes);
            self.size = self.size.max(end);
            return Ok(length);
        }
        self.make_pages()?;
        let mut at = offset;
        while at < end {
            let from = (at % PAGE_U64) as usize;
            let piece = (PAGE - from).min((end - at) as usize);
            match self.write_page(at / PAGE_U64, from, piece, &mut source) {
                Ok(()) => {}
                Err(error) if at == offset => return Err(error),
                Err(_) => break,
            }
            at += piece as u64;
            self.size = self.size.max(at);
        }
        Ok((at - offset) as usize)
    }

    fn write_page(
        &mut self,
        number: u64,
        from: usize,
        length: usize,
        source: &mut Gather<'_>,
    ) -> Result<(), Errno> {
        let Store::Pages(pages) = &mut self.store else { return Err(Errno::EIO) };
        if let Some(page) = pages.get_mut(number) {
            source.copy_to(&mut page[from..from + length]);
            return Ok(());
        }
        self.shared.take_pages(1)?;
        // The source is used up only when nothing can fail any more.
        let inserted = zero_page().and_then(|page| pages.insert(number, page));
        if let Err(error) = inserted {
            self.shared.give_pages(1);
            return Err(error);
        }
        if let Some(page) = pages.get_mut(number) {
            source.copy_to(&mut page[from..from + length]);
        }
        Ok(())
    }

    /// Whether a write leaves a file that is short and has no hole.
    fn fits_inline(&self, offset: u64, end: u64) -> bool {
        let stored_so = match &self.store {
            Store::Inline(_) => true,
            Store::Static(_) => false,
            Store::Pages(_) => self.size == 0 && self.blocks() == 0,
        };
        // Bytes between the end and `offset` are zeros: in the same page they are no hole.
        stored_so && offset <= INLINE as u64 && end <= INLINE as u64
    }

    /// Moves what is stored otherwise to pages.
    fn make_pages(&mut self) -> Result<(), Errno> {
        let inline;
        let bytes: &[u8] = match &self.store {
            Store::Pages(_) => return Ok(()),
            Store::Inline(bytes) => {
                inline = *bytes;
                &inline[..self.size as usize]
            }
            Store::Static(bytes) => &bytes[..self.size as usize],
        };
        let count = bytes.len().div_ceil(PAGE);
        self.shared.take_pages(count)?;
        let mut pages = Pages::default();
        for (number, piece) in bytes.chunks(PAGE).enumerate() {
            let copied = zero_page().and_then(|mut page: Page| {
                page[..piece.len()].copy_from_slice(piece);
                pages.insert(number as u64, page)
            });
            if let Err(error) = copied {
                self.shared.give_pages(count);
                return Err(error);
            }
        }
        self.store = Store::Pages(pages);
        Ok(())
    }

    /// Makes the file `size` bytes long.
    pub fn resize(&mut self, size: u64) -> Result<(), Errno> {
        if size > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        if size == 0 {
            self.drop_pages(0, u64::MAX);
            self.store = Store::Pages(Pages::default());
        } else if size < self.size {
            match &mut self.store {
                Store::Inline(bytes) => bytes[size as usize..].fill(0),
                Store::Static(_) => {}
                Store::Pages(_) => {
                    self.drop_pages(size.div_ceil(PAGE_U64), u64::MAX);
                    self.zero(size, size.next_multiple_of(PAGE_U64));
                }
            }
        } else if size > self.size {
            let stays = matches!(self.store, Store::Inline(_)) && size <= INLINE as u64;
            if !stays {
                self.make_pages()?;
            }
        }
        self.size = size;
        Ok(())
    }

    fn drop_pages(&mut self, from: u64, to: u64) {
        if let Store::Pages(pages) = &mut self.store {
            self.shared.give_pages(pages.remove(from, to));
        }
    }

    /// Zeros bytes where there are pages.
    fn zero(&mut self, mut from: u64, to: u64) {
        let Store::Pages(pages) = &mut self.store else { return };
        while from < to {
            let number = from / PAGE_U64;
            let end = to.min((number + 1) * PAGE_U64);
            if let Some(page) = pages.get_mut(number) {
                let start = (from % PAGE_U64) as usize;
                page[start..start + (end - from) as usize].fill(0);
            }
            from = match pages.next_page(number + 1) {
                Some(next) => (next * PAGE_U64).max(end),
                None => return,
            };
        }
    }

    /// `fallocate`; the range is not empty and ends below the largest size.
    pub fn allocate(&mut self, how: Allocate, offset: u64, length: u64) -> Result<(), Errno> {
        let end = offset.checked_add(length).filter(|&e| e <= MAX_SIZE).ok_or(Errno::EFBIG)?;
        match how {
            Allocate::Reserve { keep_size } => {
                self.make_pages()?;
                self.fill_pages(offset, end)?;
                if !keep_size {
                    self.size = self.size.max(end);
                }
            }
            Allocate::PunchHole => {
                self.make_pages()?;
                let (first, last) = (offset.next_multiple_of(PAGE_U64), end & !(PAGE_U64 - 1));
                if first < last {
                    self.drop_pages(first / PAGE_U64, last / PAGE_U64);
                    self.zero(offset, first);
                    self.zero(last, end);
                } else {
                    self.zero(offset, end);
                }
            }
            // As Linux's tmpfs.
            Allocate::Zero { .. } | Allocate::Collapse | Allocate::Insert => {
                return Err(Errno::EOPNOTSUPP);
            }
        }
        Ok(())
    }

    fn fill_pages(&mut self, offset: u64, end: u64) -> Result<(), Errno> {
        let Store::Pages(pages) = &mut self.store else { return Err(Errno::EIO) };
        let (first, last) = (offset / PAGE_U64, end.div_ceil(PAGE_U64));
        // Of fewer, some may be there already.
        if !self.shared.could_hold(last - first) {
            return Err(Errno::ENOSPC);
        }
        let mut made = alloc::vec::Vec::new();
        for number in first..last {
            if pages.get(number).is_some() {
                continue;
            }
            let done = self.shared.take_pages(1).and_then(|()| {
                zero_page()
                    .and_then(|page| {
                        ukfile::fallible::push(&mut made, number)?;
                        pages.insert(number, page)
                    })
                    .inspect_err(|_| self.shared.give_pages(1))
            });
            if let Err(error) = done {
                // All or nothing.
                for &number in &made {
                    self.shared.give_pages(pages.remove(number, number + 1));
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// The first byte from `offset` on, below the end, that is in a hole or in none.
    pub fn find(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        if offset >= self.size {
            return Err(Errno::ENXIO);
        }
        let Store::Pages(pages) = &self.store else {
            return Ok(if hole { self.size } else { offset });
        };
        let number = offset / PAGE_U64;
        if hole {
            let gap = pages.next_gap(number).saturating_mul(PAGE_U64);
            return Ok(gap.max(offset).min(self.size));
        }
        let next = pages.next_page(number).ok_or(Errno::ENXIO)?.saturating_mul(PAGE_U64);
        if next >= self.size { Err(Errno::ENXIO) } else { Ok(next.max(offset)) }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Store::Pages(pages) = &self.store {
            self.shared.give_pages(pages.count());
        }
    }
}
