//! Free runs of slices.
//!
//! They hang in lists by length, as in TLSF: one list for each length below 16, then eight for each
//! power of two. The entries of a run's first and last slice say how long it is, so that a run that
//! becomes free is joined with its neighbours at once; one that ends at the high-water mark lowers
//! the mark. All functions are called under the heap's lock.

use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

use crate::page::{LARGE, Page, RunState};
use crate::piece::{MAX_SLICES, Piece, Pieces};

pub use crate::piece::SLICE;

const LISTS: usize = list_of(MAX_SLICES) + 1;
const WORDS: usize = LISTS.div_ceil(64);

/// Runs of a list that are looked at for one that fits before longer ones are cut.
const TRIES: usize = 4;

/// The free runs of a heap. All zeros is none.
#[derive(Debug)]
pub struct Runs {
    lists: [*mut Page; LISTS],
    /// Bit `i`: list `i` is not empty.
    filled: [u64; WORDS],
    /// Bytes of memory that was added.
    pub memory: usize,
    /// Slices, and those of them that are free.
    pub slices: usize,
    pub free: usize,
}

/// The list for runs of that many slices.
const fn list_of(slices: usize) -> usize {
    if slices < 8 {
        return slices;
    }
    let log = slices.ilog2() as usize;
    (log - 2) * 8 + ((slices >> (log - 3)) & 7)
}

/// The first list all of whose runs have at least that many slices.
const fn list_for(slices: usize) -> usize {
    if slices < 8 {
        return slices;
    }
    let step = 1 << (slices.ilog2() - 3);
    list_of(slices + step - 1)
}

// SAFETY (all functions): entries belong to pieces of the heap, the callers keep the promises
// named at each function, and the heap's lock makes this the only access to entries of free runs.
impl Runs {
    pub const fn new() -> Self {
        Self { lists: [null_mut(); LISTS], filled: [0; WORDS], memory: 0, slices: 0, free: 0 }
    }

    /// Writes the entries of a free run in no list, and puts it into its list.
    ///
    /// # Safety
    /// The slices must be below the high-water mark, unused, and in no other run.
    unsafe fn put(&mut self, pieces: &Pieces, number: u8, slice: usize, slices: usize) {
        let piece = pieces.get(number);
        let list = list_of(slices);
        // SAFETY: the slices are of this piece; the head of a list is the entry of a free run. The
        // last entry comes first: it may be the first one too.
        unsafe {
            Page::mark(piece.entry(slice + slices - 1), slices, number, RunState::FREE, 0);
            let first = piece.entry(slice);
            Page::mark(first, slices, number, RunState::FREE, 0);
            (*first).previous = null_mut();
            (*first).next = self.lists[list];
            if let Some(next) = (*first).next.as_mut() {
                next.previous = first;
            }
            self.lists[list] = first;
        }
        self.filled[list / 64] |= 1 << (list % 64);
    }

    /// Takes a free run out of its list.
    ///
    /// # Safety
    /// `run` must be the first entry of a free run in its list.
    unsafe fn unlink(&mut self, run: *mut Page) {
        // SAFETY: links of a free run lead to free runs of the same list.
        unsafe {
            let (next, previous) = ((*run).next, (*run).previous);
            if let Some(next) = next.as_mut() {
                next.previous = previous;
            }
            if let Some(previous) = previous.as_mut() {
                previous.next = next;
                return;
            }
            let list = list_of((*run).slices as usize);
            if self.lists[list] != run {
                ukalloc::corrupt("the list of free runs is damaged");
            }
            self.lists[list] = next;
            if next.is_null() {
                self.filled[list / 64] &= !(1 << (list % 64));
            }
        }
    }

    /// The first list from `list` on that is not empty.
    fn filled_from(&self, list: usize) -> Option<usize> {
        let mut word = list / 64;
        let mut bits = self.filled.get(word)? & (u64::MAX << (list % 64));
        while bits == 0 {
            word += 1;
            bits = *self.filled.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// A run of `list` that fits, among the first `tries`.
    fn fitting(&self, pieces: &Pieces, list: usize, tries: usize, wish: Wish) -> Option<*mut Page> {
        let mut run = self.lists[list];
        for _ in 0..tries {
            // SAFETY: lists hold the first entries of free runs, each of its piece.
            unsafe {
                if run.is_null() {
                    return None;
                }
                let piece = pieces.get((*run).piece);
                let slice = piece.slice_of(run);
                if wish.end(piece, slice)? <= slice + (*run).slices as usize {
                    return Some(run);
                }
                run = (*run).next;
            }
        }
        None
    }

    /// A free run of `slices`, whose address is a multiple of `align` slices; the result is its
    /// entry, with its length and piece.
    pub fn take(&mut self, pieces: &Pieces, slices: usize, align: usize) -> Option<*mut Page> {
        if slices > self.free || align > MAX_SLICES {
            return None;
        }
        let wish = Wish { slices, align };
        let list = list_of(slices);
        let run = self
            .fitting(pieces, list, TRIES, wish)
            .or_else(|| self.lists.get(self.filled_from(list_for(slices + align - 1))?).copied());
        if let Some(run) = run {
            // SAFETY: the run is in a list and large enough.
            return Some(unsafe { self.cut(pieces, run, wish) });
        }
        for (number, piece) in pieces.iter() {
            let touched = piece.touched();
            let Some(end) = wish.end(piece, touched) else { continue };
            if end <= piece.slices() {
                piece.set_touched(end);
                let first = end - slices;
                if first > touched {
                    // SAFETY: slices that were just taken into use.
                    unsafe { self.put(pieces, number, touched, first - touched) };
                }
                self.free -= slices;
                // SAFETY: as above.
                return Some(unsafe { mark_used(piece, number, first, slices) });
            }
        }
        // A long search, before giving up.
        let mut from = list;
        while let Some(list) = self.filled_from(from) {
            if let Some(run) = self.fitting(pieces, list, usize::MAX, wish) {
                // SAFETY: the run is in a list and large enough.
                return Some(unsafe { self.cut(pieces, run, wish) });
            }
            from = list + 1;
        }
        None
    }

    /// Cuts what is wished out of a free run.
    ///
    /// # Safety
    /// `run` must be the first entry of a free run in its list, and large enough.
    unsafe fn cut(&mut self, pieces: &Pieces, run: *mut Page, wish: Wish) -> *mut Page {
        // SAFETY: the parts lie in the run.
        unsafe {
            self.unlink(run);
            let number = (*run).piece;
            let piece = pieces.get(number);
            let start = piece.slice_of(run);
            let end = start + (*run).slices as usize;
            // The run is large enough: its end is known to exist.
            let used_end = wish.end(piece, start).unwrap_or(end);
            let first = used_end - wish.slices;
            if first > start {
                self.put(pieces, number, start, first - start);
            }
            if end > used_end {
                self.put(pieces, number, used_end, end - used_end);
            }
            self.free -= wish.slices;
            mark_used(piece, number, first, wish.slices)
        }
    }

    /// Takes a run back.
    ///
    /// # Safety
    /// `run` must be the first entry of a run in use, which is used no more.
    pub unsafe fn give(&mut self, pieces: &Pieces, run: *mut Page) {
        // SAFETY: the entries at the ends of neighbouring runs are up to date.
        unsafe {
            let number = (*run).piece;
            let piece = pieces.get(number);
            let slice = piece.slice_of(run);
            let slices = (*run).slices as usize;
            // A second free of what was in the run finds this.
            (*run).tag.store(0, Relaxed);
            self.free += slices;
            self.join(pieces, number, slice, slices);
        }
    }

    /// Makes a free run of slices and their free neighbours.
    ///
    /// # Safety
    /// The slices must be below the high-water mark, unused, and in no list.
    unsafe fn join(&mut self, pieces: &Pieces, number: u8, mut slice: usize, slices: usize) {
        let piece = pieces.get(number);
        let mut end = slice + slices;
        // SAFETY: the entries at the ends of neighbouring runs are up to date.
        unsafe {
            if end < piece.touched() {
                let next = piece.entry(end);
                if (*next).run == RunState::FREE {
                    self.unlink(next);
                    end += (*next).slices as usize;
                }
            }
            if slice > 0 {
                let last = piece.entry(slice - 1);
                if (*last).run == RunState::FREE {
                    slice -= (*last).slices as usize;
                    self.unlink(piece.entry(slice));
                }
            }
            if end == piece.touched() {
                piece.set_touched(slice);
            } else {
                self.put(pieces, number, slice, end - slice);
            }
        }
    }

    /// Changes the length of a large run; returns whether it worked.
    ///
    /// # Safety
    /// `run` must be the first entry of a large run in use.
    pub unsafe fn resize(&mut self, pieces: &Pieces, run: *mut Page, slices: usize) -> bool {
        // SAFETY: the run and what follows it lie in one piece.
        unsafe {
            let number = (*run).piece;
            let piece = pieces.get(number);
            let slice = piece.slice_of(run);
            let old = (*run).slices as usize;
            let end = slice + old;
            if slices <= old {
                mark_used(piece, number, slice, slices);
                if slices < old {
                    self.free += old - slices;
                    self.join(pieces, number, slice + slices, old - slices);
                }
            } else if end == piece.touched() {
                if slice + slices > piece.slices() {
                    return false;
                }
                piece.set_touched(slice + slices);
                self.free -= slices - old;
                mark_used(piece, number, slice, slices);
            } else {
                let next = piece.entry(end);
                if (*next).run != RunState::FREE {
                    return false;
                }
                let next_slices = (*next).slices as usize;
                // What follows a free run is in use: the mark is never at the end of one.
                if next_slices < slices - old {
                    return false;
                }
                self.unlink(next);
                if next_slices > slices - old {
                    self.put(pieces, number, slice + slices, next_slices - (slices - old));
                }
                self.free -= slices - old;
                mark_used(piece, number, slice, slices);
            }
            true
        }
    }

    /// Slices of a run that could be taken now, the longest known without a long search.
    pub fn longest(&self, pieces: &Pieces) -> usize {
        let last = self.filled.iter().rposition(|word| *word != 0);
        let list = last.map(|word| word * 64 + self.filled[word].ilog2() as usize);
        // SAFETY: a list that is not empty holds the first entry of a free run.
        let run = list.map_or(0, |list| unsafe { (*self.lists[list]).slices as usize });
        pieces.iter().map(|(_, piece)| piece.slices() - piece.touched()).fold(run, usize::max)
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
struct Wish {
    slices: usize,
    align: usize,
}

impl Wish {
    /// Where the wished run ends if it is the first one in `piece` from `slice` on.
    fn end(self, piece: &Piece, slice: usize) -> Option<usize> {
        let base = piece.base().addr() / SLICE;
        let first = (base + slice).checked_next_multiple_of(self.align)? - base;
        first.checked_add(self.slices)
    }
}

/// Writes the entries at the ends of a run in use; returns the first.
///
/// # Safety
/// The slices must be below the high-water mark and in no list.
unsafe fn mark_used(piece: &Piece, number: u8, slice: usize, slices: usize) -> *mut Page {
    // SAFETY: the slices are of this piece.
    unsafe {
        Page::mark(piece.entry(slice + slices - 1), slices, number, RunState::USED, 0);
        let first = piece.entry(slice);
        Page::mark(first, slices, number, RunState::USED, LARGE);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_order_and_hold_what_is_looked_for() {
        let mut shortest = [0; LISTS];
        for slices in (1..100_000).rev() {
            shortest[list_of(slices)] = slices;
        }
        for slices in 1..50_000usize {
            assert!(list_of(slices) <= list_of(slices + 1));
            assert!(list_of(slices) <= list_for(slices));
            assert!(shortest[list_for(slices)] >= slices, "{slices}");
            assert!(slices >= 16 || list_of(slices) == list_for(slices));
        }
        assert!(list_of(MAX_SLICES) < LISTS);
        assert!(list_for(2 * MAX_SLICES) > LISTS, "looking for too much finds nothing");
    }
}
