//! A small conservative garbage collector: blocks that nobody points to any more are found by
//! marking, and freed.
//!
//! Blocks come from [TLSF](ukalloctlsf) and may be freed as with any allocator, at the same cost.
//! Those that nobody frees are collected: every aligned word that might be the address of a byte in
//! a block, or of its end, keeps that block alive (Boehm, Weiser: "Garbage collection in an
//! uncooperative environment", 1988).
//!
//! | scanned | not scanned |
//! |---|---|
//! | statics of the image | heaps with other back ends, and memory mapped by the application |
//! | stacks of all threads from the stack pointer up, their registers with them | stacks of contexts that are no threads of `uksched` |
//! | blocks that are reached, and what is allocated during boot | words that are not aligned |
//! | | page tables, and stacks that no thread uses ([`ukalloc::Alloc::leave_alone`]) |
//! | ranges given to [`add_root`] | addresses that are compressed or changed, as in XOR lists |
//!
//! What Rust code of the kernel keeps in variables, `Box`, `Vec` and statics is seen. An
//! application that keeps the only pointer to a block where nothing is scanned must tell the place
//! to [`add_root`], or lose the block. Destructors of collected blocks do not run.
//!
//! A collection happens when
//! - an allocation is about to fail, on the stack of no thread, at once;
//! - blocks in use have grown by the option `share` since the last time, on the allocator's own
//!   thread, as soon as that is scheduled;
//! - somebody calls [`collect`].
//!
//! Nobody else runs meanwhile. Marking takes time for all that is alive, freeing for all that is not
//! (see `docs/src/api/ukalloc.md`); a program that frees what it allocates never pays.
//!
//! The thread and its knowledge of the others exist only from the boot phase `gc` on. Until then
//! [another allocator](ukallocregion) serves, from the first `early-size` bytes of memory
//! ([`ukalloc::TwoStage`]). The image has one CPU, and one heap with this back end.
//!
//! **What it costs.** 1.6 % of memory for marks, 0.4 % (64 KiB at most) for the list of what is to be
//! scanned, 16 KiB for the collector's stack; each block 8 bytes, as with TLSF.
//!
//! ```
//! use ukalloc::{Alloc, Heap, SpinLock};
//! use ukallocgc::{Config, Gc};
//!
//! let mut memory = vec![0u64; 1 << 16];
//! let heap = Heap::new(Gc::new(Config { share: 25 }), SpinLock::new());
//! unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 1 << 19)? };
//! let block = heap.malloc(100);
//! unsafe { heap.free(block) };
//! assert!(!heap.reclaim(), "outside of an image nobody knows what is in use");
//! # Ok::<(), ukalloc::AddMemoryError>(())
//! ```
//!
//! In an application with `alloc = "ukallocgc"`:
//!
//! ```no_run
//! for _ in 0..1_000_000 {
//!     std::mem::forget(Box::new([0u8; 1000]));
//! }
//! let done = ukallocgc::collect();
//! println!("{} blocks, {} bytes in {} ns", done.blocks, done.bytes, done.ns);
//! ```
#![cfg_attr(not(test), no_std)]

mod bits;
mod mark;
mod piece;
mod roots;
mod thread;

use core::ops::Range;
use core::ptr::NonNull;

use ukalloc::{AddMemoryError, Backend, Freed, PAGE_SIZE};
use ukalloctlsf::Tlsf;

use mark::{Marker, Worklist};
use piece::{Layout, Piece};

pub use roots::{RootsFull, add_root, remove_root};
pub use thread::{Collected, collect, init};

/// Constant options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Percent of memory by which blocks in use have to grow for a collection.
    pub share: i64,
}

impl Config {
    const DEFAULT: Self = Self { share: 25 };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The allocator.
#[derive(Debug)]
pub struct Gc {
    memory: Tlsf,
    /// Newest first.
    pieces: Option<Piece>,
    worklist: Worklist,
    /// The stack that the collector runs on; empty without memory.
    stack: Range<usize>,
    total: usize,
    /// With less than this available the thread is asked to collect; 0 when it was asked.
    trigger: usize,
    /// How much more than by default: with the default all fields are zero and a heap takes no room
    /// in the image file.
    more_share: i64,
    freed: Freed,
}

// SAFETY: the pointers lead to memory that belongs to the allocator alone.
unsafe impl Send for Gc {}

impl Gc {
    /// Without memory.
    pub const fn new(config: Config) -> Self {
        Self {
            memory: Tlsf::new(),
            pieces: None,
            worklist: Worklist::EMPTY,
            stack: 0..0,
            total: 0,
            trigger: 0,
            more_share: config.share - Config::DEFAULT.share,
            freed: Freed { blocks: 0, bytes: 0 },
        }
    }

    fn pieces(&self) -> impl Iterator<Item = Piece> + use<> {
        let mut next = self.pieces;
        core::iter::from_fn(move || {
            let piece = next?;
            next = piece.next();
            Some(piece)
        })
    }

    fn piece_of(&self, payload: NonNull<u8>) -> Option<Piece> {
        self.pieces().find(|piece| piece.range().contains(&payload.addr().get()))
    }

    /// Frees all blocks but those that `mark` marks, and what they lead to.
    ///
    /// # Safety
    /// `mark` must mark all blocks that are still used; it must not mark with memory that cannot be
    /// read.
    unsafe fn collect(&mut self, mark: impl FnOnce(&mut Marker<'_>)) -> Freed {
        for piece in self.pieces() {
            piece.begin();
        }
        self.memory.for_each_used(|payload, _| {
            if let Some(piece) = self.piece_of(payload) {
                piece.add(payload);
            }
        });
        let mut marker = Marker::new(self);
        mark(&mut marker);
        marker.finish();
        let mut freed = Freed::default();
        for piece in self.pieces() {
            for payload in piece.unmarked() {
                // SAFETY: the block is in use, and nobody can reach it any more (the caller's
                // promise).
                unsafe {
                    freed.bytes += self.memory.usable_size(payload);
                    self.memory.free(payload);
                }
                freed.blocks += 1;
            }
        }
        self.freed.blocks += freed.blocks;
        self.freed.bytes += freed.bytes;
        self.set_trigger();
        freed
    }

    fn set_trigger(&mut self) {
        let available = self.memory.available();
        let share = (self.more_share + Config::DEFAULT.share).clamp(1, 100) as usize;
        // With little memory left there is no use in waiting until all of it is gone.
        self.trigger = available - (self.total / 100 * share).min(available / 2);
    }

    #[cold]
    #[inline(never)]
    fn ask_for_collection(&mut self) {
        self.trigger = 0;
        thread::wake();
    }
}

impl Default for Gc {
    fn default() -> Self {
        Self::new(Config::DEFAULT)
    }
}

// SAFETY: all blocks are TLSF's, and are freed once: by their owner, or when nobody has them.
unsafe impl Backend for Gc {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        let layout = Layout::of(base as usize, len, self.stack.is_empty(), self.worklist.bytes())
            .ok_or(AddMemoryError::TooSmall)?;
        let heap = layout.heap.clone();
        // SAFETY: a part of what the caller gives away.
        unsafe { self.memory.add_memory(heap.start as *mut u8, heap.len()) }?;
        if !layout.stack.is_empty() {
            self.stack = layout.stack.clone();
        }
        if !layout.worklist.is_empty() {
            // SAFETY: another part, aligned, for the list alone.
            self.worklist = unsafe { Worklist::new(layout.worklist.clone()) };
        }
        // SAFETY: another part, aligned, for the piece alone.
        self.pieces = Some(unsafe { Piece::create(&layout, self.pieces) });
        self.total += len;
        self.set_trigger();
        Ok(())
    }

    #[inline]
    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let block = self.memory.allocate(size, align)?;
        if self.memory.available() < self.trigger {
            self.ask_for_collection();
        }
        Some(block)
    }

    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>) {
        if block.addr().get().is_multiple_of(PAGE_SIZE)
            && let Some(piece) = self.piece_of(block)
        {
            piece.leave_alone(block, false);
        }
        // SAFETY: the caller's promise.
        unsafe { self.memory.free(block) }
    }

    #[inline]
    unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.memory.usable_size(block) }
    }

    unsafe fn resize_in_place(&mut self, block: NonNull<u8>, size: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.memory.resize_in_place(block, size) }
    }

    /// Collects, if the image has come so far that it is known what is in use.
    fn reclaim(&mut self) -> bool {
        thread::is_ready() && thread::collect_now(self).blocks > 0
    }

    unsafe fn leave_alone(&mut self, block: NonNull<u8>) -> bool {
        match self.piece_of(block).filter(|_| block.addr().get().is_multiple_of(PAGE_SIZE)) {
            Some(piece) => {
                piece.leave_alone(block, true);
                true
            }
            None => false,
        }
    }

    fn take_freed(&mut self) -> Freed {
        core::mem::take(&mut self.freed)
    }

    fn owns(&self, address: *const u8) -> bool {
        self.memory.owns(address)
    }

    fn total_memory(&self) -> usize {
        self.total
    }

    fn available(&self) -> usize {
        self.memory.available()
    }

    fn largest_free(&self) -> usize {
        self.memory.largest_free()
    }
}

#[cfg(test)]
mod tests;
