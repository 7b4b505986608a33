//! The test suite that every allocator passes, and a plain back end to compare with.
//!
//! A test plays random traces ([`trace`]), a fuzz target those that bytes stand for
//! ([`trace_of_bytes`]), both with [`check`]; [`edge_cases`] goes through the crate's table.

mod edge;
mod explore;
mod fixed;

use proptest::prelude::*;

use crate::{AddMemoryError, Alloc, MIN_ALIGN};

pub use edge::edge_cases;
pub use explore::explore;
pub(crate) use explore::scheduling_point;
pub use fixed::Fixed;

/// One call in a trace. Blocks are numbered by the order of allocation, modulo those alive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the arguments of the call of that name")]
pub enum Call {
    Malloc { size: usize },
    Calloc { count: usize, size: usize },
    Memalign { align: usize, size: usize },
    Realloc { block: usize, size: usize },
    Free { block: usize },
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0usize..300, 2 => 0usize..5_000, 1 => 0usize..100_000]
}

/// Random traces of calls.
pub fn trace() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        4 => size().prop_map(|size| Call::Malloc { size }),
        1 => (0usize..40, 0usize..200).prop_map(|(count, size)| Call::Calloc { count, size }),
        2 => (0u32..17, size()).prop_map(|(log, size)| Call::Memalign { align: 1 << log, size }),
        3 => (any::<usize>(), size()).prop_map(|(block, size)| Call::Realloc { block, size }),
        4 => any::<usize>().prop_map(|block| Call::Free { block }),
    ];
    prop::collection::vec(call, 1..200)
}

/// The trace that bytes stand for, five for each call; every sequence of bytes stands for one.
pub fn trace_of_bytes(bytes: &[u8]) -> Vec<Call> {
    let call = |word: &[u8; 5]| {
        let [kind, a, b, c, d] = *word;
        // A size's exponent is chosen apart from its digits, so that all magnitudes are frequent.
        let size = (usize::from(a) | usize::from(b) << 8) >> (c % 16) << (c / 16 % 4);
        let block = usize::from(d) | usize::from(a) << 8;
        match kind % 8 {
            0..3 => Call::Malloc { size },
            3 => Call::Calloc { count: usize::from(d) + 1, size: size / 64 },
            4 => Call::Memalign { align: 1 << (d % 17), size },
            5 => Call::Realloc { block, size },
            _ => Call::Free { block },
        }
    };
    bytes.as_chunks().0.iter().map(call).collect()
}

struct Live {
    block: *mut u8,
    size: usize,
    seed: u8,
}

impl Live {
    fn pattern(&self, index: usize) -> u8 {
        self.seed.wrapping_mul(31).wrapping_add(index as u8)
    }

    fn fill(&self) {
        for i in 0..self.size {
            // SAFETY: the block has that many bytes.
            unsafe { self.block.add(i).write(self.pattern(i)) };
        }
    }

    fn intact(&self, len: usize) -> bool {
        // SAFETY: the block has that many bytes, all written.
        (0..len).all(|i| unsafe { self.block.add(i).read() } == self.pattern(i))
    }

    fn overlaps(&self, other: &Self) -> bool {
        (self.block as usize) < other.block as usize + other.size.max(1)
            && (other.block as usize) < self.block as usize + self.size.max(1)
    }
}

/// What a design promises beyond the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Freed memory is joined: when all is free, the largest block is as large as at the start.
    Coalesces,
    /// Freed memory may be lost.
    Never,
}

/// Memory for an allocator under test, with bytes around it that it must not touch.
#[derive(Debug)]
pub struct Arena {
    store: Vec<u8>,
    start: usize,
    len: usize,
}

impl Arena {
    /// Bytes on each side.
    const MARGIN: usize = 64;
    const MARK: u8 = 0xd7;

    /// `len` bytes, `offset` bytes after a page boundary, full of garbage.
    pub fn new(len: usize, offset: usize) -> Self {
        let mut store = vec![Self::MARK; len + 2 * Self::MARGIN + 4096 + offset];
        let first = store.as_ptr() as usize + Self::MARGIN;
        let start = first.next_multiple_of(4096) - first + Self::MARGIN + offset;
        store[start..start + len].fill(0xa5);
        Self { store, start, len }
    }

    /// Gives the memory to an allocator.
    ///
    /// # Errors
    /// Those of the allocator.
    ///
    /// # Safety
    /// The arena must live longer than the allocator's use, and be given away once.
    pub unsafe fn give_to<A: Alloc>(&mut self, alloc: &A) -> Result<(), AddMemoryError> {
        let base = self.base();
        // SAFETY: the caller's promise; the range lies inside the store.
        unsafe { alloc.add_memory(base, self.len) }
    }

    /// Where the memory starts.
    pub fn base(&mut self) -> *mut u8 {
        self.store[self.start..].as_mut_ptr()
    }

    /// Whether the bytes around the memory are as they were.
    pub fn margins_intact(&self) -> bool {
        let before = &self.store[self.start - Self::MARGIN..self.start];
        let after = &self.store[self.start + self.len..][..Self::MARGIN];
        before.iter().chain(after).all(|b| *b == Self::MARK)
    }
}

/// Plays a trace on a fresh allocator, which is given `memory` bytes, and checks every result.
///
/// # Errors
/// The first promise that was broken, in words.
pub fn check<A: Alloc>(
    alloc: &A,
    memory: usize,
    calls: &[Call],
    reuse: Reuse,
) -> Result<(), String> {
    // Memory starts where the platform says, aligned or not.
    let mut arena = Arena::new(memory, calls.len() % 24);
    // SAFETY: the arena lives until the end of this function, as the blocks do.
    unsafe { arena.give_to(alloc) }.map_err(|e| e.to_string())?;
    let at_start = alloc.stats();
    let mut live: Vec<Live> = Vec::new();
    let mut seed = 0u8;
    for call in calls {
        seed = seed.wrapping_add(1);
        let (block, size, align, old) = match *call {
            Call::Malloc { size } => (alloc.malloc(size), size, MIN_ALIGN, None),
            Call::Calloc { count, size } => {
                let block = alloc.calloc(count, size);
                // SAFETY: the block has that many bytes, all zeroed.
                let dirty = |b: *mut u8| (0..count * size).any(|i| unsafe { b.add(i).read() } != 0);
                if !block.is_null() && dirty(block) {
                    return Err("calloc gave memory that is not zero".into());
                }
                (block, count * size, MIN_ALIGN, None)
            }
            Call::Memalign { align, size } => (alloc.memalign(align, size), size, align, None),
            Call::Realloc { block, size } if !live.is_empty() => {
                let index = block % live.len();
                let old = live.swap_remove(index);
                // SAFETY: a live block.
                let block = unsafe { alloc.realloc(old.block, size) };
                if block.is_null() && size > 0 {
                    live.push(old); // must be as before; checked below
                    continue;
                }
                if size == 0 {
                    continue;
                }
                (block, size, MIN_ALIGN, Some(old))
            }
            Call::Free { block } if !live.is_empty() => {
                let index = block % live.len();
                let old = live.swap_remove(index);
                if !old.intact(old.size) {
                    return Err("a block's content changed".into());
                }
                // SAFETY: a live block, used no more.
                unsafe { alloc.free(old.block) };
                continue;
            }
            _ => continue,
        };
        if block.is_null() {
            let largest = alloc.stats().largest_free;
            if align <= MIN_ALIGN && size.max(1) <= largest {
                return Err(format!("{size} bytes were refused, {largest} said to be there"));
            }
            continue;
        }
        let new = Live { block, size, seed };
        if !alloc.owns(block) || (size > 0 && !alloc.owns(block.wrapping_add(size - 1))) {
            return Err("a block lies outside of the memory".into());
        }
        if !(block as usize).is_multiple_of(align.max(MIN_ALIGN)) {
            return Err(format!("{block:?} is not aligned to {align}"));
        }
        // SAFETY: a live block.
        if unsafe { alloc.usable_size(block) } < size {
            return Err("the usable size is smaller than what was asked for".into());
        }
        if let Some(old) = old {
            let moved = Live { block, ..old };
            if !moved.intact(old.size.min(size)) {
                return Err("realloc lost content".into());
            }
        }
        if live.iter().any(|l| l.overlaps(&new)) {
            return Err("two blocks overlap".into());
        }
        new.fill();
        live.push(new);
    }
    if let Some(wrong) = live.iter().find(|l| !l.intact(l.size)) {
        return Err(format!("the content of a block of {} bytes changed", wrong.size));
    }
    if cfg!(feature = "stats") && alloc.stats().current_blocks() != live.len() as u64 {
        return Err("the statistics count wrong".into());
    }
    for block in live {
        // SAFETY: a live block, used no more.
        unsafe { alloc.free(block.block) };
    }
    alloc.reclaim();
    let at_end = alloc.stats();
    if reuse == Reuse::Coalesces
        && (at_end.largest_free, at_end.available) != (at_start.largest_free, at_start.available)
    {
        return Err(format!("not everything was joined again: {at_start:?} {at_end:?}"));
    }
    if cfg!(feature = "stats") && at_end.current_bytes != 0 {
        return Err("the statistics say that something is left".into());
    }
    if !arena.margins_intact() {
        return Err("bytes outside of the memory were written".into());
    }
    Ok(())
}
