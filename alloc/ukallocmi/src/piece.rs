//! Pieces of memory: slices, and before them a table with an entry for each.
//!
//! ```text
//!  ┌────────────────┬───┬───────┬───────┬─────┬───────┬──────────────┐
//!  │ table: entries │   │ slice │ slice │ ... │ slice │ never used   │
//!  └────────────────┴───┴───────┴───────┴─────┴───────┴──────────────┘
//!                       base                          touched        slices
//! ```
//! Neither slices nor entries from the high-water mark `touched` on have ever been read or written
//! (or all that were there are free again), so that taking a piece into use costs nothing.

use core::ptr::null_mut;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicUsize};

use ukalloc::AddMemoryError;

use crate::page::Page;

/// Bytes of a slice: the unit of pages and large blocks, which are aligned to it.
pub const SLICE: usize = 8 << 10;
const SLICE_LOG: u32 = SLICE.ilog2();

/// Most slices of a piece: 1 TiB.
pub const MAX_SLICES: usize = 1 << 27;
/// Most pieces of a heap.
pub const MAX_PIECES: usize = 16;

/// A piece of memory. All zeros is none. Changed under the heap's lock, and read without: nothing
/// that matters for a block changes as long as the block is in use.
#[derive(Debug)]
pub struct Piece {
    base: AtomicPtr<u8>,
    /// Bytes of slices below the high-water mark.
    touched: AtomicUsize,
    table: AtomicPtr<Page>,
    /// Bytes of slices.
    len: AtomicUsize,
}

/// All pieces of a heap.
#[derive(Debug)]
pub struct Pieces([Piece; MAX_PIECES]);

impl Piece {
    /// Where the slices of a piece of memory start, and how many there are.
    fn layout(base: usize, len: usize) -> Result<(usize, usize, usize), AddMemoryError> {
        let end = base.checked_add(len).ok_or(AddMemoryError::TooLarge)?;
        let table = base.checked_next_multiple_of(align_of::<Page>());
        let table = table.ok_or(AddMemoryError::TooSmall)?;
        // With that many entries the slices fit, but for what their alignment loses: one or two.
        let mut slices = end.saturating_sub(table) / (SLICE + size_of::<Page>());
        while slices > 0 {
            let first = table + slices * size_of::<Page>();
            let first = first.checked_next_multiple_of(SLICE).ok_or(AddMemoryError::TooSmall)?;
            if first + slices * SLICE <= end {
                if slices > MAX_SLICES {
                    return Err(AddMemoryError::TooLarge);
                }
                return Ok((table, first, slices));
            }
            slices -= 1;
        }
        Err(AddMemoryError::TooSmall)
    }

    /// See [`Pieces::find`].
    #[inline(always)]
    fn find(&self, address: *mut u8) -> Option<*mut Page> {
        let offset = address.addr().wrapping_sub(self.base().addr());
        if offset >= self.touched.load(Relaxed) {
            return None;
        }
        let entry = (offset >> SLICE_LOG) * size_of::<Page>();
        let table = self.table.load(Relaxed);
        // SAFETY: slices below the mark have an entry. Where a block in use starts it was written;
        // a garbled one is not followed out of the table.
        unsafe {
            let first = entry.checked_sub((*table.byte_add(entry)).back as usize)?;
            Some(table.byte_add(first))
        }
    }

    pub fn slices(&self) -> usize {
        self.len.load(Relaxed) >> SLICE_LOG
    }

    pub fn touched(&self) -> usize {
        self.touched.load(Relaxed) >> SLICE_LOG
    }

    /// To be called under the heap's lock.
    pub fn set_touched(&self, slices: usize) {
        self.touched.store(slices << SLICE_LOG, Relaxed);
    }

    /// Address of the first slice.
    #[inline(always)]
    pub fn base(&self) -> *mut u8 {
        self.base.load(Relaxed)
    }

    /// The entry of a slice.
    ///
    /// # Safety
    /// `slice` must be one of this piece.
    #[inline(always)]
    pub unsafe fn entry(&self, slice: usize) -> *mut Page {
        // SAFETY: the table has an entry for every slice.
        unsafe { self.table.load(Relaxed).add(slice) }
    }

    /// The slice of an entry.
    ///
    /// # Safety
    /// `entry` must be one of this piece.
    pub unsafe fn slice_of(&self, entry: *mut Page) -> usize {
        // SAFETY: the entry lies in the table.
        unsafe { entry.offset_from_unsigned(self.table.load(Relaxed)) }
    }

    /// Where the slice of an entry starts.
    ///
    /// # Safety
    /// `entry` must be one of this piece.
    pub unsafe fn start_of(&self, entry: *mut Page) -> *mut u8 {
        // SAFETY: the slice of an entry lies inside of the piece.
        unsafe { self.base().add(self.slice_of(entry) << SLICE_LOG) }
    }
}

impl Pieces {
    pub const fn new() -> Self {
        Self(
            [const {
                Piece {
                    base: AtomicPtr::new(null_mut()),
                    touched: AtomicUsize::new(0),
                    table: AtomicPtr::new(null_mut()),
                    len: AtomicUsize::new(0),
                }
            }; MAX_PIECES],
        )
    }

    /// Takes memory as the next piece without touching it; returns the number of its slices.
    /// To be called under the heap's lock.
    pub fn add(&self, base: *mut u8, len: usize) -> Result<usize, AddMemoryError> {
        let (table, first, slices) = Piece::layout(base.addr(), len)?;
        let free = self.0.iter().find(|piece| piece.len.load(Relaxed) == 0);
        let piece = free.ok_or(AddMemoryError::TooMany)?;
        piece.base.store(base.with_addr(first), Relaxed);
        piece.table.store(base.with_addr(table).cast(), Relaxed);
        // `Release`: who sees the length sees the base (`owns`).
        piece.len.store(slices << SLICE_LOG, Release);
        Ok(slices)
    }

    pub fn get(&self, piece: u8) -> &Piece {
        &self.0[usize::from(piece)]
    }

    /// The pieces that are there, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &Piece)> {
        (0..).zip(&self.0).take_while(|(_, piece)| piece.len.load(Relaxed) != 0)
    }

    pub fn owns(&self, address: *const u8) -> bool {
        self.0.iter().any(|piece| {
            let len = piece.len.load(Acquire);
            address.addr().wrapping_sub(piece.base().addr()) < len
        })
    }

    /// The page or run in whose slices an address lies; none for null and foreign addresses. For an
    /// address that is in no block in use the result may be any entry.
    ///
    /// The owner of a block got it after its piece and all before that were added, and after the
    /// high-water mark was raised above it: the plain reads see all that.
    pub fn find(&self, address: *mut u8) -> Option<*mut Page> {
        self.0.iter().find_map(|piece| piece.find(address))
    }

    /// As [`Pieces::find`], in the first piece only.
    #[inline(always)]
    pub fn find_in_first(&self, address: *mut u8) -> Option<*mut Page> {
        self.0[0].find(address)
    }
}
