//! Oscar: every block has virtual addresses of its own, and free takes them away, so that using a
//! freed block faults.
//!
//! After Dang, Maniatis, Wagner: "Oscar: A Practical Page-Permissions-Based Scheme for Thwarting
//! Dangling Pointers" (USENIX Security 2017). Blocks lie packed in *canonical* memory, as TLSF
//! places them. Each is handed out at *shadow* addresses, pages that no other block has, which
//! alias its canonical ones:
//!
//! ```text
//!  shadow        ┊ guard │ page  A ┊ guard │ page  B ┊ page  B ┊ guard │ …    addresses go up
//!                          └──────────┐        └──────┐  └────┐
//!  canonical         … ────┬──────────┴─────┬─────────┴───────┴──┬── …        packed
//!                          │ block A        │ block B            │
//!                          └────────────────┴────────────────────┘
//! ```
//!
//! | mistake | result |
//! |---|---|
//! | reading or writing a freed block | fault: "use after free of a 100-byte block" |
//! | freeing or resizing a freed block | fault: "double free …" |
//! | going on past the end of a block | fault at the guard page, at the latest a page away |
//! | writing a little past the end | found when the block is freed: "written past the end …" |
//! | freeing something that is no block | "not the start of a block …" |
//!
//! Addresses are given out in ascending order, 16 TiB of them on today's platforms, before any is
//! used a second time; then those of blocks still in use are left out. A pointer to a freed block
//! that is kept for longer, over two thousand million allocations, may lead to a newer block.
//!
//! **What it does not find**: reading less than a page past the end; writing there into another
//! block without touching the 8 bytes or more that follow one's own; what a bad pointer does to
//! memory at its canonical address, which nobody is told.
//!
//! **What it costs.** Memory: 48 bytes a block (header, mark at the end, TLSF's header), and the
//! host's or the platform's tables: a page of them for every 256 small blocks. Time: on `linuxu` each
//! malloc is a call of `mremap`, each free one of `munmap`, each first use of a block a page fault;
//! on `kvm` they are a few writes to page tables and an `invlpg`.
//! Either is hundreds of times what an allocator takes that only computes.
//! Initialisation takes constant time; on `linuxu` it maps the memory anew.
//!
//! **Limits.** At most [four](ukplat::vm::PARTS) heaps of one image can use it. On `kvm` an image
//! with several CPUs is refused: a CPU that frees would have to wait, with the heap locked, until
//! all others have forgotten the address, and one of them may wait for that lock with its
//! interrupts off. On `linuxu` a process may have
//! 65 530 mappings (sysctl `vm.max_map_count`), and so many blocks at a time; with more, allocation
//! fails as it does when memory is used up.
//!
//! ```
//! use ukalloc::{Alloc, Heap, SpinLock};
//! use ukallocoscar::{Config, Oscar};
//!
//! let mut memory = vec![0u64; 1 << 16];
//! let heap = Heap::new(Oscar::new(Config { freed_blocks: 64 }), SpinLock::new());
//! unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 1 << 19)? };
//! let (a, b) = (heap.malloc(100), heap.malloc(100));
//! assert!(a.addr() / 4096 + 1 < b.addr() / 4096, "pages of their own, and one between");
//! unsafe { heap.free(a) };
//! assert_ne!(heap.malloc(100), a, "a freed address is not given out again");
//! # unsafe { heap.free(b) };
//! # Ok::<(), ukalloc::AddMemoryError>(())
//! ```
#![cfg_attr(not(test), no_std)]

mod addresses;
mod object;
mod report;
mod state;

use core::ptr::NonNull;

use ukalloc::{AddMemoryError, Backend, PAGE_SIZE, corrupt};
use ukalloctlsf::Tlsf;
use ukplat::vm::{self, FrameSource, VmError};

use object::{CANARY, HEADER, Object, Pages};
use state::State;

pub use report::explain;

/// Constant options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Blocks that crash reports know after they were freed.
    pub freed_blocks: i64,
}

impl Config {
    const DEFAULT: Self = Self { freed_blocks: 1024 };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The allocator.
#[derive(Debug)]
pub struct Oscar {
    /// Canonical memory.
    memory: Tlsf,
    /// How many more freed blocks are remembered than by default: with the default all fields are
    /// zero and a heap takes no room in the image file.
    more_freed_blocks: i64,
    /// In canonical memory, where crash reports find it; made with the first memory.
    state: Option<NonNull<State>>,
    /// Where the shadow addresses are; taken together with the state.
    part: Option<vm::Part>,
}

// SAFETY: the pointer leads to canonical memory, which belongs to the allocator alone.
unsafe impl Send for Oscar {}

/// Page tables from canonical memory.
struct Frames<'a>(&'a mut Tlsf);

impl FrameSource for Frames<'_> {
    fn take(&mut self) -> Option<usize> {
        self.0.allocate(PAGE_SIZE, PAGE_SIZE).map(|frame| frame.as_ptr() as usize)
    }

    fn give(&mut self, frame: usize) {
        if let Some(frame) = NonNull::new(frame as *mut u8) {
            // SAFETY: the platform gives back what `take` gave it (contract of `FrameSource`).
            unsafe { self.0.free(frame) };
        }
    }
}

impl Oscar {
    /// Without memory.
    pub const fn new(config: Config) -> Self {
        Self {
            memory: Tlsf::new(),
            more_freed_blocks: config.freed_blocks - Config::DEFAULT.freed_blocks,
            state: None,
            part: None,
        }
    }

    fn freed_blocks(&self) -> usize {
        (self.more_freed_blocks + Config::DEFAULT.freed_blocks).max(0) as usize
    }

    /// The state, once there is memory.
    fn state(&self) -> Option<&State> {
        // SAFETY: `add_memory` made it; it is changed through `state_mut` only.
        self.state.map(|state| unsafe { state.as_ref() })
    }

    fn state_mut(&mut self) -> Option<&mut State> {
        // SAFETY: as in `state`; the borrow of `self` makes the reference unique.
        self.state.map(|mut state| unsafe { state.as_mut() })
    }

    /// Makes the state in memory that was just added.
    fn set_up(&mut self) -> Result<(), AddMemoryError> {
        let freed = self.freed_blocks();
        let part = vm::Part::take().ok_or(AddMemoryError::TooMany)?;
        let place = self.memory.allocate(State::size(freed), align_of::<State>());
        let place = place.ok_or(AddMemoryError::TooSmall)?.cast();
        // SAFETY: the block is of that size and alignment, and nobody else's.
        unsafe { State::create(place, &part, freed) };
        (self.state, self.part) = (Some(place), Some(part));
        ukplat::report::explain_addresses_with(explain);
        Ok(())
    }

    /// The live block that starts at `payload`; ends the image when there is none.
    ///
    /// # Safety
    /// `payload` must once have been returned by this allocator, to be right always; other
    /// addresses are most likely found out.
    unsafe fn live(&self, payload: NonNull<u8>) -> (Object, &State) {
        let Some(state) = self.state().filter(|s| s.owns(payload.as_ptr())) else {
            corrupt("a block was given back that is of another heap")
        };
        // SAFETY: the caller's promise; a freed block faults here, which the report explains.
        match state.examine(payload, || unsafe { Object::examine(payload, state.secret) }) {
            Some(object) => (object, state),
            None => corrupt("not the start of a block, or what stands before it was overwritten"),
        }
    }

    /// Takes shadow addresses away.
    ///
    /// # Safety
    /// They must be shadows of this allocator, and used no more.
    unsafe fn revoke(&mut self, pages: Pages) {
        if pages.len() == 0 {
            return;
        }
        // SAFETY: the caller's promise; frames come from canonical memory.
        let done = unsafe { vm::revoke(pages.start, pages.len(), &mut Frames(&mut self.memory)) };
        if let Err(error) = done {
            corrupt(error);
        }
    }
}

impl Drop for Oscar {
    fn drop(&mut self) {
        // Crash reports must not look for a heap that is gone, as after a test.
        if let Some(part) = &self.part {
            State::forget(part);
        }
    }
}

// SAFETY: blocks are disjoint in canonical memory, because TLSF's are, and each is handed out at
// addresses of its own that alias it; alignment is kept by both.
unsafe impl Backend for Oscar {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        let end = (base as usize).saturating_add(len) & !(PAGE_SIZE - 1);
        let start = (base as usize).next_multiple_of(PAGE_SIZE);
        // The first piece must have room for the state, and for a block with its page tables.
        let first = self.state.is_none();
        let least =
            if first { State::size(self.freed_blocks()) + 8 * PAGE_SIZE } else { PAGE_SIZE };
        let len = end.saturating_sub(start);
        if len < least {
            return Err(AddMemoryError::TooSmall);
        }
        // SAFETY: whole pages of what the caller gives away.
        unsafe { vm::prepare(start, len) }.map_err(|error| match error {
            VmError::Unsupported => AddMemoryError::Unsupported,
            VmError::OutOfMemory | VmError::BadRange => AddMemoryError::TooLarge,
        })?;
        // SAFETY: as above.
        unsafe { self.memory.add_memory(start as *mut u8, len) }?;
        if first && let Err(error) = self.set_up() {
            self.memory = Tlsf::new();
            return Err(error);
        }
        Ok(())
    }

    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        self.state?;
        let size = size.max(1);
        let total = size.checked_add(HEADER + CANARY)?;
        // Beyond a page alignment is a matter of the shadow alone.
        let block = self.memory.allocate_with_offset(total, align.min(PAGE_SIZE), HEADER)?;
        let canonical = block.as_ptr() as usize;
        let pages = Pages::of(canonical + HEADER, size);
        let lead = canonical + HEADER - pages.start;
        // SAFETY: live objects are in the list of the addresses.
        let place =
            self.state_mut().and_then(|s| unsafe { s.addresses.find(lead, pages.len(), align) });
        let mapped = place.filter(|place| {
            let frames = &mut Frames(&mut self.memory);
            // SAFETY: the addresses are in this heap's part of the window and no block has them;
            // the memory is part of one piece that `add_memory` prepared.
            unsafe { vm::alias(place.at, pages.start, pages.len(), frames) }.is_ok()
        });
        let Some(place) = mapped else {
            // SAFETY: the block was just allocated.
            unsafe { self.memory.free(block) };
            return None;
        };
        // SAFETY: the block is live.
        let usable = unsafe { self.memory.usable_size(block) };
        let state = self.state_mut()?;
        // SAFETY: header and payload lie in the pages that were just mapped.
        unsafe {
            let object = Object::create(place.at + lead, canonical, size, state.secret);
            object.write_canary(usable, state.secret);
            state.addresses.insert(place, object);
            Some(object.payload())
        }
    }

    unsafe fn free(&mut self, payload: NonNull<u8>) {
        // SAFETY: the caller's promise: a live block.
        unsafe {
            let (object, state) = self.live(payload);
            let block = object.block();
            object.check_canary(self.memory.usable_size(block), state.secret);
            if let Some(state) = self.state_mut() {
                state.addresses.remove(object);
                state.remember(payload, object.size());
            }
            self.revoke(object.pages());
            self.memory.free(block);
        }
    }

    unsafe fn usable_size(&self, payload: NonNull<u8>) -> usize {
        // What is beyond belongs to the block, too, but is watched.
        // SAFETY: the caller's promise: a live block.
        unsafe { self.live(payload).0.size() }
    }

    unsafe fn resize_in_place(&mut self, payload: NonNull<u8>, size: usize) -> bool {
        let Some(total) = size.checked_add(HEADER + CANARY) else { return false };
        // SAFETY: the caller's promise: a live block.
        unsafe {
            let (object, state) = self.live(payload);
            let (block, secret, old) = (object.block(), state.secret, object.pages());
            let new = Pages::of(payload.as_ptr() as usize, size);
            object.check_canary(self.memory.usable_size(block), secret);
            if new.end > old.end || !self.memory.resize_in_place(block, total) {
                return false;
            }
            let object = object.resized(size, secret);
            object.write_canary(self.memory.usable_size(block), secret);
            // Pages with nothing of the block any more.
            self.revoke(Pages { start: new.end, end: old.end });
        }
        true
    }

    fn owns(&self, address: *const u8) -> bool {
        self.state().is_some_and(|state| state.owns(address))
    }

    fn total_memory(&self) -> usize {
        self.memory.total_memory()
    }

    fn available(&self) -> usize {
        self.memory.available()
    }

    fn largest_free(&self) -> usize {
        let largest = self.memory.largest_free();
        // Page tables for it come from the same memory: one for each 512 pages, four more for a
        // part of one at each level, each with what alignment may cost; rounded up generously.
        let tables = largest / 256 + 12 * PAGE_SIZE;
        largest.saturating_sub(HEADER + CANARY + tables)
    }
}

#[cfg(test)]
mod tests;
