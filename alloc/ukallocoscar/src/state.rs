//! What a heap must remember where crash reports find it.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, compiler_fence};

use ukplat::vm;

use crate::addresses::Addresses;

/// The states of the heaps, each in the place of its part of the window.
static HEAPS: [AtomicPtr<State>; vm::PARTS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; vm::PARTS];

/// A block that was freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freed {
    /// Its address.
    pub payload: usize,
    /// Its size in bytes.
    pub size: usize,
}

/// State of one heap, followed in memory by room for freed blocks.
#[derive(Debug)]
pub struct State {
    pub addresses: Addresses,
    /// Makes checks differ from boot to boot.
    pub secret: u64,
    /// The block whose header is being read: if that faults, it was freed before.
    examined: AtomicUsize,
    /// Blocks that were freed, ever.
    freed_count: usize,
    /// Those that are remembered at most.
    freed_capacity: usize,
}

impl State {
    /// Bytes for a state that remembers `freed` blocks.
    pub const fn size(freed: usize) -> usize {
        size_of::<Self>() + freed * size_of::<Freed>()
    }

    /// Makes the state of a new heap with that part of the window. Touches nothing of the room for
    /// freed blocks.
    ///
    /// # Safety
    /// `place` must be aligned and have [`Self::size`] bytes, to be used by nobody else.
    pub unsafe fn create(place: NonNull<Self>, part: &vm::Part, freed: usize) {
        let state = Self {
            addresses: Addresses::new(part.addresses()),
            secret: ukplat::ticks() ^ place.as_ptr() as u64,
            examined: AtomicUsize::new(0),
            freed_count: 0,
            freed_capacity: freed,
        };
        // SAFETY: the caller's promise.
        unsafe { place.write(state) };
        HEAPS[part.index()].store(place.as_ptr(), Ordering::Release);
    }

    /// Takes the state of the heap with that part of the window out of the table. Touches no memory of
    /// the heap, which may be gone.
    pub fn forget(part: &vm::Part) {
        HEAPS[part.index()].store(core::ptr::null_mut(), Ordering::Relaxed);
    }

    /// The state of the heap that an address belongs to.
    ///
    /// # Safety
    /// The heap must not be used while the reference lives, as after a crash.
    pub unsafe fn of_address<'a>(address: usize) -> Option<&'a Self> {
        HEAPS
            .iter()
            // SAFETY: states stay until `forget` takes them out of the table, and the heap is
            // not used now (the caller's promise).
            .filter_map(|slot| unsafe { slot.load(Ordering::Acquire).as_ref() })
            .find(|state| state.addresses.range.contains(&address))
    }

    /// Whether an address is one of this heap's.
    pub fn owns(&self, address: *const u8) -> bool {
        self.addresses.range.contains(&(address as usize))
    }

    /// Does `work`, which reads the header of a block; a fault meanwhile is a double free.
    pub fn examine<R>(&self, payload: NonNull<u8>, work: impl FnOnce() -> R) -> R {
        self.examined.store(payload.as_ptr() as usize, Ordering::Relaxed);
        // The fault handler runs on this CPU: the order of instructions is enough.
        compiler_fence(Ordering::SeqCst);
        let result = work();
        compiler_fence(Ordering::SeqCst);
        self.examined.store(0, Ordering::Relaxed);
        result
    }

    /// The block whose header was being read.
    pub fn examined(&self) -> Option<usize> {
        Some(self.examined.load(Ordering::Relaxed)).filter(|payload| *payload != 0)
    }

    fn freed_place(&self, number: usize) -> *mut Freed {
        // SAFETY: the room follows the state (`create`), and the index is below its capacity.
        unsafe {
            let room = core::ptr::from_ref(self).add(1).cast::<Freed>().cast_mut();
            room.add(number % self.freed_capacity)
        }
    }

    /// Remembers a block that is freed, instead of the one that is known longest.
    pub fn remember(&mut self, payload: NonNull<u8>, size: usize) {
        if self.freed_capacity > 0 {
            let freed = Freed { payload: payload.as_ptr() as usize, size };
            // SAFETY: the place is in the state's room, which only the heap uses.
            unsafe { self.freed_place(self.freed_count).write(freed) };
            self.freed_count += 1;
        }
    }

    /// Blocks that were freed, the last one first.
    pub fn freed(&self) -> impl Iterator<Item = Freed> {
        let known = self.freed_count.min(self.freed_capacity);
        // SAFETY: `remember` wrote as many.
        (1..=known).map(|back| unsafe { self.freed_place(self.freed_count - back).read() })
    }
}
