//! The test suite that every back end passes, and a plain back end to compare with.

use core::ptr::NonNull;

use proptest::prelude::*;

use crate::{AddMemoryError, Alloc, Backend, Heap, MIN_ALIGN, SpinLock};

/// One call in a trace. Blocks are numbered by the order of allocation, modulo those alive.
#[derive(Clone, Debug)]
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
}

/// What a design promises beyond the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Freed memory is joined: when all is free, the largest block is as large as at the start.
    Coalesces,
    /// Freed memory may be lost.
    Never,
}

/// Plays a trace on a fresh back end with `memory` bytes and checks every result.
///
/// # Errors
/// The first promise that was broken, in words.
pub fn check<B: Backend>(
    backend: B,
    memory: usize,
    calls: &[Call],
    reuse: Reuse,
) -> Result<(), String> {
    let mut store = vec![0u64; memory / 8];
    let (start, len) = (store.as_mut_ptr().cast::<u8>(), store.len() * 8);
    let heap = Heap::new(backend, SpinLock::new());
    // SAFETY: the store is used for nothing else and outlives the heap's use.
    unsafe { heap.add_memory(start, len) }.map_err(|e| e.to_string())?;
    let at_start = heap.stats();
    let mut live: Vec<Live> = Vec::new();
    let mut seed = 0u8;
    let inside = |block: *mut u8, size: usize| {
        block as usize >= start as usize && block as usize + size <= start as usize + len
    };
    for call in calls {
        seed = seed.wrapping_add(1);
        let (block, size, align, old) = match *call {
            Call::Malloc { size } => (heap.malloc(size), size, MIN_ALIGN, None),
            Call::Calloc { count, size } => {
                let block = heap.calloc(count, size);
                // SAFETY: the block has that many bytes, all zeroed.
                let dirty = |b: *mut u8| (0..count * size).any(|i| unsafe { b.add(i).read() } != 0);
                if !block.is_null() && dirty(block) {
                    return Err("calloc gave memory that is not zero".into());
                }
                (block, count * size, MIN_ALIGN, None)
            }
            Call::Memalign { align, size } => (heap.memalign(align, size), size, align, None),
            Call::Realloc { block, size } if !live.is_empty() => {
                let index = block % live.len();
                let old = live.swap_remove(index);
                // SAFETY: a live block.
                let block = unsafe { heap.realloc(old.block, size) };
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
                unsafe { heap.free(old.block) };
                continue;
            }
            _ => continue,
        };
        if block.is_null() {
            continue;
        }
        let new = Live { block, size, seed };
        if !inside(block, size) {
            return Err("a block lies outside of the memory".into());
        }
        if !(block as usize).is_multiple_of(align) {
            return Err(format!("{block:?} is not aligned to {align}"));
        }
        // SAFETY: a live block.
        if unsafe { heap.usable_size(block) } < size {
            return Err("the usable size is smaller than what was asked for".into());
        }
        if let Some(old) = old {
            let moved = Live { block, ..old };
            if !moved.intact(old.size.min(size)) {
                return Err("realloc lost content".into());
            }
        }
        let overlaps = live.iter().any(|l| {
            (block as usize) < l.block as usize + l.size.max(1)
                && (l.block as usize) < block as usize + size.max(1)
        });
        if overlaps {
            return Err("two blocks overlap".into());
        }
        new.fill();
        live.push(new);
    }
    if let Some(wrong) = live.iter().find(|l| !l.intact(l.size)) {
        return Err(format!("the content of a block of {} bytes changed", wrong.size));
    }
    if cfg!(feature = "stats") && heap.stats().current_blocks() != live.len() as u64 {
        return Err("the statistics count wrong".into());
    }
    for block in live {
        // SAFETY: a live block, used no more.
        unsafe { heap.free(block.block) };
    }
    let at_end = heap.stats();
    if reuse == Reuse::Coalesces
        && (at_end.largest_free, at_end.available) != (at_start.largest_free, at_start.available)
    {
        return Err(format!("not everything was joined again: {at_start:?} {at_end:?}"));
    }
    if cfg!(feature = "stats") && at_end.current_bytes != 0 {
        return Err("the statistics say that something is left".into());
    }
    Ok(())
}

/// A back end that never takes anything back: the plainest there is, to test what is above it.
#[derive(Debug, Default)]
pub struct Fixed {
    start: usize,
    next: usize,
    end: usize,
}

impl Fixed {
    /// Without memory.
    pub const fn new() -> Self {
        Self { start: 0, next: 0, end: 0 }
    }
}

// SAFETY: blocks are cut from the memory one after the other, each with its size before it.
unsafe impl Backend for Fixed {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        if self.end != 0 {
            return Err(AddMemoryError::TooMany);
        }
        (self.start, self.next, self.end) = (base as usize, base as usize, base as usize + len);
        Ok(())
    }

    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let block = self.next.checked_add(8)?.checked_next_multiple_of(align)?;
        let end = block.checked_add(size)?.checked_next_multiple_of(8)?;
        if end > self.end {
            return None;
        }
        self.next = end;
        // SAFETY: the 8 bytes before the block are inside the memory and nobody else's.
        unsafe { (block as *mut usize).sub(1).write(end - block) };
        NonNull::new(block as *mut u8)
    }

    unsafe fn free(&mut self, _block: NonNull<u8>) {}

    unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        // SAFETY: `allocate` wrote it there.
        unsafe { block.cast::<usize>().sub(1).read() }
    }

    fn owns(&self, address: *const u8) -> bool {
        (self.start..self.end).contains(&(address as usize))
    }

    fn total_memory(&self) -> usize {
        self.end - self.start
    }

    fn available(&self) -> usize {
        self.end - self.next
    }

    fn largest_free(&self) -> usize {
        self.available().saturating_sub(16)
    }
}
