//! Marking: from words that may be addresses to blocks, and to what these lead to.

use core::ops::Range;
use core::ptr::NonNull;

use ukalloc::Backend;

use crate::Gc;
use crate::piece::Piece;

const WORD: usize = size_of::<usize>();
/// Bytes of a range that are scanned before what they lead to. So a large table fills the list with
/// few blocks at a time.
const STRIDE: usize = 64 * WORD;

/// What is marked and still to be scanned: from the first address up to the second.
type Entry = [usize; 2];

/// Room for what is still to be scanned.
#[derive(Clone, Copy, Debug)]
pub struct Worklist {
    entries: *mut Entry,
    capacity: usize,
}

impl Worklist {
    /// No room.
    pub const EMPTY: Self = Self { entries: core::ptr::null_mut(), capacity: 0 };

    /// Bytes of a list that suits `memory` bytes.
    pub fn bytes_for(memory: usize) -> usize {
        (memory / 256).clamp(1 << 10, 64 << 10) & !(size_of::<Entry>() - 1)
    }

    /// # Safety
    /// The memory must be aligned for words, writable, for ever, and the list's alone.
    pub unsafe fn new(memory: Range<usize>) -> Self {
        let capacity = memory.len() / size_of::<Entry>();
        Self { entries: memory.start as *mut Entry, capacity }
    }

    /// The same with less room.
    #[cfg(test)]
    pub fn cut_to(self, capacity: usize) -> Self {
        Self { capacity: self.capacity.min(capacity), ..self }
    }

    /// Its size in bytes.
    pub fn bytes(self) -> usize {
        self.capacity * size_of::<Entry>()
    }
}

/// Marks blocks.
pub struct Marker<'a> {
    gc: &'a Gc,
    /// From the lowest to the highest address of any piece.
    bounds: Range<usize>,
    listed: usize,
    /// Some blocks were marked for which there was no room in the list.
    overflowed: bool,
}

impl<'a> Marker<'a> {
    pub(crate) fn new(gc: &'a Gc) -> Self {
        let bounds = gc.pieces().map(Piece::range).reduce(|a, b| {
            let (start, end) = (a.start.min(b.start), a.end.max(b.end));
            start..end
        });
        Self { gc, bounds: bounds.unwrap_or(0..0), listed: 0, overflowed: false }
    }

    /// The block in use to which `address` leads, to any byte of it or to its end.
    #[inline]
    fn block_at(&self, address: usize) -> Option<(Piece, NonNull<u8>)> {
        if !self.bounds.contains(&address) {
            return None;
        }
        let piece = self.gc.pieces().find(|piece| piece.range().contains(&address))?;
        let payload = piece.block_before(address)?;
        // SAFETY: the block is in use.
        let size = unsafe { self.gc.memory.usable_size(payload) };
        // Nothing can be at its end: there stands the next one's header.
        (address - payload.addr().get() <= size).then_some((piece, payload))
    }

    /// Marks all that the words in a range may lead to. Only whole, aligned words count.
    ///
    /// # Safety
    /// The range must be readable.
    pub unsafe fn range(&mut self, range: Range<usize>) {
        let mut next = [range.start.next_multiple_of(WORD), range.end & !(WORD - 1)];
        while next[0] < next[1] {
            let first = next[0]..next[1].min(next[0] + STRIDE);
            next[0] = first.end;
            // SAFETY: a part of the caller's range.
            unsafe { self.scan(first) };
            self.empty_list();
        }
    }

    /// # Safety
    /// The range must be readable; its ends must be aligned.
    unsafe fn scan(&mut self, range: Range<usize>) {
        for at in range.step_by(WORD) {
            // SAFETY: the caller's promise; any content makes a number. Volatile: what is read may
            // be what the compiler takes for unset, or for its own.
            let word = unsafe { (at as *const usize).read_volatile() };
            if let Some((piece, payload)) = self.block_at(word)
                && !piece.mark(payload)
            {
                self.list(self.content(payload));
            }
        }
    }

    /// All whole words of a block in use.
    fn content(&self, payload: NonNull<u8>) -> Entry {
        let start = payload.addr().get();
        // SAFETY: the block is in use. Payloads are aligned, and so are their sizes.
        [start, start + unsafe { self.gc.memory.usable_size(payload) }]
    }

    fn list(&mut self, entry: Entry) {
        if self.listed == self.gc.worklist.capacity {
            self.overflowed = true;
            return;
        }
        // SAFETY: there is room.
        unsafe { self.gc.worklist.entries.add(self.listed).write(entry) };
        self.listed += 1;
    }

    fn empty_list(&mut self) {
        while let Some(last) = self.listed.checked_sub(1) {
            self.listed = last;
            // SAFETY: `list` wrote it.
            let [start, end] = unsafe { self.gc.worklist.entries.add(last).read() };
            let stop = end.min(start + STRIDE);
            if stop < end {
                self.list([stop, end]);
            }
            // SAFETY: the range is a part of a block in use.
            unsafe { self.scan(start..stop) };
        }
    }

    /// Scans what there was no room for: anything that is marked may be it. Every round marks more
    /// blocks, or is the last.
    pub(crate) fn finish(mut self) {
        while core::mem::take(&mut self.overflowed) {
            let marked = self.gc.pieces().flat_map(|piece| {
                piece.marked().filter(move |payload| !piece.is_left_alone(*payload))
            });
            for payload in marked {
                let [start, end] = self.content(payload);
                // SAFETY: marked blocks are in use.
                unsafe { self.range(start..end) };
            }
        }
    }
}
