//! A piece of memory: where blocks start in it, and which of them are marked.
//!
//! ```text
//!  base                                                                                 end
//!  ┌────────┬────────┬─────────┬───────┬────────────┬────────────┬─────────┬──────────────┐
//!  │ Header │ starts │ summary │ marks │ left_alone │ (worklist) │ (stack) │ TLSF: blocks │
//!  └────────┴────────┴─────────┴───────┴────────────┴────────────┴─────────┴──────────────┘
//! ```
//! `starts` and `marks` have a bit for every 16 bytes of the piece. They are made anew for each
//! collection, as far as there are blocks. `summary` has a bit for every word of `starts` that is
//! not zero, so that the start of a large block is found without a long search.

use core::cell::Cell;
use core::ops::Range;
use core::ptr::NonNull;

use ukalloc::{MIN_ALIGN, PAGE_SIZE};

use crate::bits::{BITS, Bits, ones};
use crate::mark::Worklist;

/// Bytes of the stack that the collector runs on: its own frames, and those of an interrupt.
const STACK: usize = 16 << 10;

/// How a piece is divided.
#[derive(Clone, Debug)]
pub struct Layout {
    base: usize,
    starts: usize,
    summary: usize,
    marks: usize,
    left_alone: Range<usize>,
    /// Empty when the one there is has room enough.
    pub worklist: Range<usize>,
    /// Empty when there is one.
    pub stack: Range<usize>,
    pub heap: Range<usize>,
}

impl Layout {
    /// Divides memory; `None` when there would be nothing left. `list` is the size of the
    /// worklist there is.
    pub fn of(base: usize, len: usize, with_stack: bool, list: usize) -> Option<Self> {
        let end = base.checked_add(len)?;
        let base = base.checked_next_multiple_of(MIN_ALIGN)?;
        let len = end.checked_sub(base)?;
        let words = len.div_ceil(MIN_ALIGN * BITS);
        let wanted = Worklist::bytes_for(len);
        let mut at = base;
        let mut take = |bytes: usize| {
            let start = at;
            at = at.checked_add(bytes)?.checked_next_multiple_of(MIN_ALIGN)?;
            Some(start..at)
        };
        take(size_of::<Header>())?;
        let starts = take(words * 8)?.start;
        let summary = take(words.div_ceil(BITS) * 8)?.start;
        let marks = take(words * 8)?.start;
        let left_alone = take(len.div_ceil(PAGE_SIZE * BITS) * 8)?;
        let worklist = take(if wanted > list { wanted } else { 0 })?;
        let stack = take(if with_stack { STACK } else { 0 })?;
        (at < end).then_some(Self {
            base,
            starts,
            summary,
            marks,
            left_alone,
            worklist,
            stack,
            heap: at..end,
        })
    }
}

/// What stands at the start of a piece.
#[derive(Debug)]
struct Header {
    next: Option<Piece>,
    end: usize,
    starts: Bits,
    summary: Bits,
    marks: Bits,
    /// A bit for every page: a block starts there that is in use, and never scanned.
    left_alone: Bits,
    /// Words of `starts` and `marks` that mean something: all with blocks in use.
    valid: Cell<usize>,
}

/// A piece; copies are the same one.
#[derive(Clone, Copy, Debug)]
pub struct Piece(NonNull<Header>);

impl Piece {
    /// Makes a piece of memory.
    ///
    /// # Safety
    /// The memory of the layout must be writable, for ever, and nobody else's.
    pub unsafe fn create(layout: &Layout, next: Option<Self>) -> Self {
        // SAFETY: the parts of the layout are aligned, and do not overlap (the caller's promise).
        unsafe {
            (layout.left_alone.start as *mut u8).write_bytes(0, layout.left_alone.len());
            let header = NonNull::new_unchecked(layout.base as *mut Header);
            header.write(Header {
                next,
                end: layout.heap.end,
                starts: Bits::at(layout.starts),
                summary: Bits::at(layout.summary),
                marks: Bits::at(layout.marks),
                left_alone: Bits::at(layout.left_alone.start),
                valid: Cell::new(0),
            });
            Self(header)
        }
    }

    fn header(&self) -> &Header {
        // SAFETY: `create` wrote it; it stays for ever, and changes in its cell alone.
        unsafe { self.0.as_ref() }
    }

    /// The piece that was added before this one.
    pub fn next(self) -> Option<Self> {
        self.header().next
    }

    /// Its memory.
    pub fn range(self) -> Range<usize> {
        self.0.as_ptr() as usize..self.header().end
    }

    /// Number of the bit for an address in the piece.
    #[inline]
    fn bit(self, address: usize) -> usize {
        (address - self.0.as_ptr() as usize) / MIN_ALIGN
    }

    /// The payload that bit number `bit` stands for.
    #[inline]
    fn payload(self, bit: usize) -> NonNull<u8> {
        // SAFETY: bits stand for addresses in the piece.
        unsafe { self.0.cast::<u8>().add(bit * MIN_ALIGN) }
    }

    /// Forgets all blocks.
    pub fn begin(self) {
        self.header().valid.set(0);
    }

    /// Adds a block in use; called in ascending order.
    pub fn add(self, payload: NonNull<u8>) {
        let Header { starts, summary, marks, valid, .. } = self.header();
        let bit = self.bit(payload.as_ptr() as usize);
        // SAFETY: the rows have room for all addresses of the piece; one word of the summary stands
        // for `BITS` words.
        unsafe {
            for word in valid.get()..=bit / BITS {
                starts.set_word(word, 0);
                marks.set_word(word, 0);
                if word % BITS == 0 {
                    summary.set_word(word / BITS, 0);
                }
            }
            starts.set(bit);
            summary.set(bit / BITS);
        }
        valid.set(valid.get().max(bit / BITS + 1));
        if self.is_left_alone(payload) {
            self.mark(payload);
        }
    }

    /// Whether a block is in use without being scanned.
    pub fn is_left_alone(self, payload: NonNull<u8>) -> bool {
        let address = payload.addr().get();
        // SAFETY: there is a bit for every page.
        address.is_multiple_of(PAGE_SIZE)
            && unsafe { self.header().left_alone.get(self.page(address)) }
    }

    /// Changes that for a block at the start of a page.
    pub fn leave_alone(self, payload: NonNull<u8>, yes: bool) {
        // SAFETY: there is a bit for every page.
        unsafe { self.header().left_alone.change(self.page(payload.addr().get()), yes) };
    }

    /// Number of the bit for the page that starts at `address`.
    fn page(self, address: usize) -> usize {
        (address - self.0.as_ptr() as usize) / PAGE_SIZE
    }

    /// The last block in use that starts at an address of the piece or before it.
    #[inline]
    pub fn block_before(self, address: usize) -> Option<NonNull<u8>> {
        let Header { starts, summary, valid, .. } = self.header();
        let bit = self.bit(address).min((valid.get() * BITS).checked_sub(1)?);
        // SAFETY: the bits are valid.
        let found = unsafe {
            match starts.last_in_word(bit) {
                Some(found) => found,
                None => {
                    let word = summary.last((bit / BITS).checked_sub(1)?)?;
                    starts.last_in_word(word * BITS + BITS - 1)?
                }
            }
        };
        Some(self.payload(found))
    }

    /// Marks a block in use; returns whether it was marked before.
    #[inline]
    pub fn mark(self, payload: NonNull<u8>) -> bool {
        // SAFETY: the block was added.
        unsafe { self.header().marks.set(self.bit(payload.as_ptr() as usize)) }
    }

    /// The words of `starts` and `marks`.
    fn words(self) -> impl Iterator<Item = (usize, u64, u64)> {
        let Header { starts, marks, valid, .. } = self.header();
        let (starts, marks) = (*starts, *marks);
        // SAFETY: the words are valid.
        (0..valid.get()).map(move |i| unsafe { (i * BITS, starts.word(i), marks.word(i)) })
    }

    /// All marked blocks.
    pub fn marked(self) -> impl Iterator<Item = NonNull<u8>> {
        self.words().flat_map(move |(first, _, marks)| {
            ones(marks).map(move |bit| self.payload(first + bit))
        })
    }

    /// All blocks that were added and are not marked.
    pub fn unmarked(self) -> impl Iterator<Item = NonNull<u8>> {
        self.words().flat_map(move |(first, starts, marks)| {
            ones(starts & !marks).map(move |bit| self.payload(first + bit))
        })
    }
}
