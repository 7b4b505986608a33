//! Words that each CPU has for itself, reached through segment GS in one instruction. With one CPU
//! (without feature `smp`) they are ordinary variables.

#[cfg(not(feature = "smp"))]
use core::sync::atomic::Ordering::Relaxed;

use core::sync::atomic::AtomicUsize;

/// Words in a [`Block`].
pub const BLOCK_WORDS: usize = 16;

/// The words of one CPU. With feature `smp`, GS must point to the current CPU's block before any
/// [`CpuWord`] is used.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Block(pub [AtomicUsize; BLOCK_WORDS]);

impl Block {
    /// All words 0.
    pub const fn new() -> Self {
        Self([const { AtomicUsize::new(0) }; BLOCK_WORDS])
    }
}

impl Default for Block {
    fn default() -> Self {
        Self::new()
    }
}

/// One word of every CPU, 0 at first. Meant for a static.
#[derive(Debug)]
pub struct CpuWord {
    #[cfg(feature = "smp")]
    index: usize,
    #[cfg(not(feature = "smp"))]
    cell: AtomicUsize,
}

impl CpuWord {
    /// Word `index` of each [`Block`], below [`BLOCK_WORDS`].
    pub const fn new(index: usize) -> Self {
        assert!(index < BLOCK_WORDS);
        #[cfg(feature = "smp")]
        return Self { index };
        #[cfg(not(feature = "smp"))]
        Self { cell: AtomicUsize::new(0) }
    }

    /// The current CPU's word.
    #[inline(always)]
    pub fn load(&self) -> usize {
        // SAFETY: GS points to a block (`Block`), and the index is inside (`new`).
        #[cfg(feature = "smp")]
        return unsafe { crate::segment::load(self.index) };
        #[cfg(not(feature = "smp"))]
        self.cell.load(Relaxed)
    }

    /// Sets the current CPU's word.
    #[inline(always)]
    pub fn store(&self, value: usize) {
        // SAFETY: as in `load`.
        #[cfg(feature = "smp")]
        unsafe {
            crate::segment::store(self.index, value)
        };
        #[cfg(not(feature = "smp"))]
        self.cell.store(value, Relaxed);
    }
}
