//! A table of block descriptors apart from the blocks: little code, for heaps with few blocks.
//!
//! The design is Karsten Schmidt's [tinyalloc](https://github.com/thi-ng/tinyalloc): the number of
//! blocks that can exist is fixed; free blocks hang in a list by address, of which the first one that
//! fits is taken and divided; neighbours that are free are joined. Nothing is kept in or between
//! blocks: pages lie side by side, and writing past the end of a block damages no bookkeeping.
//!
//! Beyond the original: a block's descriptor is found in constant time, blocks know their neighbours,
//! frees of what is no block (double frees among them) are detected, any alignment, several pieces of
//! memory, and adding memory writes nothing. Allocation takes time with the number of free blocks.
//! A heap whose descriptors are used up has no more memory to give, except free blocks as a whole:
//! see the option `bytes-per-block`.
//!
//! ```
//! use ukalloc::{Alloc, Heap, SpinLock};
//! use ukalloctiny::{Config, Tiny};
//!
//! let mut memory = [0u64; 1024];
//! let heap = Heap::new(Tiny::new(Config { bytes_per_block: 256 }), SpinLock::new());
//! unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 8192)? };
//! let (a, b) = (heap.malloc(100), heap.malloc(100));
//! assert_eq!(b as usize - a as usize, 112);
//! # Ok::<(), ukalloc::AddMemoryError>(())
//! ```
#![cfg_attr(not(test), no_std)]

mod piece;
mod table;

use core::ptr::NonNull;

use ukalloc::{AddMemoryError, Backend, corrupt};

use piece::{Piece, UNIT, Unfit};

/// Pieces of memory at most.
const MAX_PIECES: usize = 8;

/// Options of the library.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Memory in bytes for each block that can exist at a time, from 32. The table takes 18 bytes
    /// or more of it. A piece of memory has 65534 blocks at most.
    pub bytes_per_block: u64,
}

impl Config {
    /// What the options are when the manifest says nothing.
    pub const DEFAULT: Self = Self { bytes_per_block: 512 };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The allocator.
#[derive(Debug)]
pub struct Tiny {
    pieces: [Piece; MAX_PIECES],
    /// Difference from the default, so that the usual heap is all zeros in the image file.
    bytes_per_block: u64,
    total: usize,
}

// SAFETY: the pointers lead to memory that belongs to the allocator alone.
unsafe impl Send for Tiny {}

impl Tiny {
    /// Without memory.
    ///
    /// # Panics
    /// When there are fewer than 32 bytes for a block.
    pub const fn new(config: Config) -> Self {
        assert!(config.bytes_per_block >= 32, "bytes-per-block is at least 32");
        Self {
            pieces: [Piece::NONE; MAX_PIECES],
            bytes_per_block: config.bytes_per_block ^ Config::DEFAULT.bytes_per_block,
            total: 0,
        }
    }

    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().take_while(|piece| piece.exists())
    }

    #[inline]
    fn piece_of(&mut self, address: usize) -> &mut Piece {
        match self.pieces.iter_mut().find(|piece| piece.owns(address)) {
            Some(piece) => piece,
            None => corrupt("a block that is not of this heap was freed"),
        }
    }
}

impl Default for Tiny {
    fn default() -> Self {
        Self::new(Config::DEFAULT)
    }
}

// SAFETY: blocks partition each piece of memory; one in use is in no list of free ones.
unsafe impl Backend for Tiny {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        let bytes_per_block = self.bytes_per_block ^ Config::DEFAULT.bytes_per_block;
        // SAFETY: the caller's promise.
        let piece =
            unsafe { Piece::new(base, len, bytes_per_block) }.map_err(|unfit| match unfit {
                Unfit::TooSmall => AddMemoryError::TooSmall,
                Unfit::TooLarge => AddMemoryError::TooLarge,
            })?;
        let slot = self.pieces.iter_mut().find(|piece| !piece.exists());
        *slot.ok_or(AddMemoryError::TooMany)? = piece;
        self.total += len;
        Ok(())
    }

    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let units = size.div_ceil(UNIT).max(1);
        let pieces = self.pieces.iter_mut().take_while(|piece| piece.exists());
        let address = pieces.filter_map(|piece| piece.allocate(units, align)).next()?;
        NonNull::new(address as *mut u8)
    }

    unsafe fn free(&mut self, block: NonNull<u8>) {
        let address = block.as_ptr() as usize;
        self.piece_of(address).free(address);
    }

    unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        let address = block.as_ptr() as usize;
        self.pieces().find(|piece| piece.owns(address)).map_or(0, |p| p.usable_size(address))
    }

    unsafe fn resize_in_place(&mut self, block: NonNull<u8>, size: usize) -> bool {
        let address = block.as_ptr() as usize;
        self.piece_of(address).resize(address, size.div_ceil(UNIT))
    }

    fn owns(&self, address: *const u8) -> bool {
        self.pieces().any(|piece| piece.owns(address as usize))
    }

    fn total_memory(&self) -> usize {
        self.total
    }

    fn available(&self) -> usize {
        self.pieces().map(Piece::available).sum()
    }

    fn largest_free(&self) -> usize {
        self.pieces().map(Piece::largest_free).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
