//! Pages: runs of slices that are divided into blocks of one size, and what is known of a run.

use core::ptr::null_mut;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use ukalloc::sync::AtomicWord;

/// A free block: the link to the next one.
#[derive(Debug)]
#[repr(C)]
pub struct Block {
    pub next: *mut Block,
}

/// The entry of a slice in the table of its piece. That of a run's first slice describes the run;
/// the others of a page lead to it.
///
/// A block of a page is in one of four states: not yet cut (beyond `capacity`); in `local_free`;
/// in `thread_free`; or *taken*, which means in use or in the list of its shard's bin, from which
/// it is allocated. Allocating need not touch the page, because the shard takes the whole of
/// `local_free` at a time and then counts all blocks as taken.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Page {
    /// Blocks freed by the owner.
    pub local_free: *mut Block,
    /// Blocks that are not in `local_free`, of `capacity`.
    pub used: u32,
    /// Who may free into `local_free`: see [`owned_by`], and [`FULL`], [`LARGE`], 0 for free memory.
    pub tag: AtomicU32,
    /// Bytes back to the entry of the run's first slice. Written where blocks start.
    pub back: u32,
    /// Length of the run, in the entries of its first and, if it is free, its last slice.
    pub slices: u32,
    /// Neighbours in the queue of the bin, or in the list of free runs.
    pub next: *mut Page,
    pub previous: *mut Page,
    /// Blocks freed by others: null, the first block, or [`FULL_NOTICE`].
    thread_free: AtomicWord,
    /// Bytes of a block.
    pub block_size: u32,
    /// Blocks that were cut.
    pub capacity: u16,
    /// Blocks for which there is room.
    pub reserved: u16,
    pub bin: u8,
    /// Whether the run that starts or ends here is free.
    pub run: RunState,
    /// Number of the piece.
    pub piece: u8,
}

/// State of a run; of interest in the entries of its first and last slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct RunState(u8);

impl RunState {
    pub const USED: Self = Self(0);
    pub const FREE: Self = Self(1);
}

const _: () = assert!(size_of::<Page>() == 64);

/// In a tag: the page is in no queue, because it had no free block.
pub const FULL: u32 = 1;
/// The tag of a run that is one block.
pub const LARGE: u32 = u32::MAX - 1;

/// The tag of a page in a queue of that shard.
#[inline]
pub const fn owned_by(shard: usize) -> u32 {
    (shard as u32 + 1) << 1
}

/// The shard in a page's tag.
#[inline]
pub const fn owner(tag: u32) -> usize {
    (tag >> 1) as usize - 1
}

/// In `thread_free`: the owner does not look at the page any more; who frees a block must tell it.
const FULL_NOTICE: usize = 1;

// SAFETY (all functions): a `*mut Page` is the entry of the first slice of a run in use, whose
// fields beside `tag` and `thread_free` are touched by the owner only; the callers keep the
// promises named at each function.
impl Page {
    /// A page without blocks.
    pub fn new(shard: usize, bin: usize, block_size: u32, run: &Self) -> Self {
        let reserved = run.slices as usize * crate::run::SLICE / block_size as usize;
        Self {
            local_free: null_mut(),
            used: 0,
            tag: AtomicU32::new(owned_by(shard)),
            back: 0,
            slices: run.slices,
            next: null_mut(),
            previous: null_mut(),
            thread_free: AtomicWord::new(0),
            block_size,
            capacity: 0,
            reserved: reserved as u16,
            bin: bin as u8,
            run: RunState::USED,
            piece: run.piece,
        }
    }

    /// Makes an entry that of the first or last slice of a run.
    ///
    /// # Safety
    /// The entry must belong to nobody else.
    pub unsafe fn mark(entry: *mut Self, slices: usize, piece: u8, run: RunState, tag: u32) {
        // SAFETY: the caller's promise.
        unsafe {
            (*entry).tag.store(tag, Relaxed);
            (*entry).back = 0;
            (*entry).slices = slices as u32;
            (*entry).run = run;
            (*entry).piece = piece;
        }
    }

    /// Puts a block into `local_free`; returns whether all blocks of the page are free now.
    ///
    /// # Safety
    /// The block must be a taken one of this page, not used any more; for the owner.
    #[inline]
    pub unsafe fn push_local(page: *mut Self, block: *mut Block) -> bool {
        // SAFETY: the caller's promise; a free block has room for a link.
        unsafe {
            (*block).next = (*page).local_free;
            (*page).local_free = block;
            (*page).used = (*page).used.wrapping_sub(1);
            (*page).used == 0
        }
    }

    /// Takes all of `local_free`, which may be empty.
    ///
    /// # Safety
    /// For the owner.
    pub unsafe fn take_local(page: *mut Self) -> *mut Block {
        // SAFETY: the caller's promise.
        unsafe {
            let first = (*page).local_free;
            (*page).local_free = null_mut();
            (*page).used = u32::from((*page).capacity);
            first
        }
    }

    /// Takes the blocks that others freed; they count as taken still.
    ///
    /// # Safety
    /// For the owner.
    pub unsafe fn take_remote(page: *mut Self) -> *mut Block {
        // SAFETY: the entry is there; the field is atomic.
        let list = unsafe { &(*page).thread_free };
        if list.load(Relaxed) <= FULL_NOTICE {
            return null_mut();
        }
        // The owner alone sets the notice, so that what is there still is a list. `Acquire`: what
        // the others did with the blocks comes before what will be done with them.
        list.swap(0, Acquire) as *mut Block
    }

    /// Leaves word that the owner does not look at the page any more; returns whether that is so:
    /// not when another flow just freed a block.
    ///
    /// # Safety
    /// For the owner.
    pub unsafe fn leave_notice(page: *mut Self) -> bool {
        // SAFETY: the entry is there; the field is atomic.
        let list = unsafe { &(*page).thread_free };
        let mut found = list.load(Relaxed);
        while found == 0 {
            match list.compare_exchange_weak(0, FULL_NOTICE, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(now) => found = now,
            }
        }
        found == FULL_NOTICE
    }

    /// Gives a block to another shard's page. Returns `false` when there was a notice: then the
    /// block, which still counts as taken, must be sent to the shard.
    ///
    /// # Safety
    /// The block must be a taken one of this page, not used any more. After `true` the page may
    /// be gone.
    pub unsafe fn push_remote(page: *mut Self, block: *mut Block) -> bool {
        // SAFETY: the page cannot go while the block counts as taken; the field is atomic.
        let list = unsafe { &(*page).thread_free };
        let mut first = list.load(Relaxed);
        loop {
            let new = if first == FULL_NOTICE {
                0
            } else {
                if first == block as usize {
                    ukalloc::corrupt("a block was freed twice");
                }
                // SAFETY: a free block has room for a link.
                unsafe { (*block).next = first as *mut Block };
                block as usize
            };
            match list.compare_exchange_weak(first, new, Release, Relaxed) {
                Ok(_) => return first != FULL_NOTICE,
                Err(now) => first = now,
            }
        }
    }
}

/// Blocks of full pages that others freed, for the owner of the pages.
#[derive(Debug)]
#[repr(align(64))]
pub struct Mailbox(AtomicWord);

impl Mailbox {
    /// Sends a block that counts as taken.
    ///
    /// # Safety
    /// The block must be one for which [`Page::push_remote`] returned `false`.
    pub unsafe fn send(&self, block: *mut Block) {
        let mut first = self.0.load(Relaxed);
        loop {
            // SAFETY: the block is nobody else's until the exchange.
            unsafe { (*block).next = first as *mut Block };
            match self.0.compare_exchange_weak(first, block as usize, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// Takes all blocks out.
    pub fn receive(&self) -> *mut Block {
        if self.0.load(Relaxed) == 0 {
            return null_mut();
        }
        self.0.swap(0, AcqRel) as *mut Block
    }
}
