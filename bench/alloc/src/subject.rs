//! What is measured: an allocator as the harness calls it.

use core::cell::UnsafeCell;

use ukalloc::{Alloc, Backend, Heap, NoLock, RawLock, SpinLock, ThreadShards};
use ukallocmi::Mi;
use ukallocoscar::Oscar;
use ukallocpool::{Config, FixedPool};

/// Where an allocator has its memory from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// From [`Subject::add`] alone.
    Arena,
    /// From the system, by itself.
    Process,
    /// From [`Subject::add`], which maps it anew: the memory must not be used for anything else
    /// afterwards.
    Mapped,
}

/// The size that those with blocks of one size have when it does not matter.
const ANY_SIZE: usize = 64;

/// An allocator under measurement. The harness is generic over it: no call is indirect. Sizes
/// and alignments come back with `free` for those whose interface wants them.
///
/// # Safety
/// Non-null results must be blocks of their own, of the size and alignment asked for.
pub unsafe trait Subject: Sync + Sized {
    /// Where its memory comes from.
    const MEMORY: Memory;

    /// One without memory. Boxed, because tables may be large.
    fn empty() -> Box<Self>;

    /// One without memory, for blocks of that size.
    fn of_size(_size: usize) -> Box<Self> {
        Self::empty()
    }

    /// Gives it memory; returns whether it took it.
    ///
    /// # Safety
    /// The memory must be readable and writable, and nobody else's as long as the allocator lives.
    unsafe fn add(&self, base: *mut u8, len: usize) -> bool;

    /// A block, or null.
    fn malloc(&self, size: usize) -> *mut u8;

    /// A block at a multiple of `align`, or null.
    fn memalign(&self, align: usize, size: usize) -> *mut u8;

    /// A zeroed block, or null.
    fn calloc(&self, size: usize) -> *mut u8 {
        let block = self.malloc(size);
        if !block.is_null() {
            // SAFETY: the block has `size` bytes.
            unsafe { block.write_bytes(0, size) };
        }
        block
    }

    /// A block with another size, or null.
    ///
    /// # Safety
    /// `block` must be a live block of `old` bytes, from `malloc`, `calloc` or `realloc`; it is
    /// used no more when the result is not null.
    unsafe fn realloc(&self, block: *mut u8, old: usize, new: usize) -> *mut u8;

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` must be live, of that size and alignment; it is used no more.
    unsafe fn free(&self, block: *mut u8, size: usize, align: usize);
}

/// Makes an allocator without memory.
pub trait Make {
    /// What is done with memory that it gets.
    const MEMORY: Memory = Memory::Arena;
    /// Without memory. The size is told to those that have blocks of one size.
    fn make(size: usize) -> Self;
}

macro_rules! back_ends {
    ($($type:ty),*) => {$(
        impl Make for $type {
            fn make(_: usize) -> Self {
                Self::default()
            }
        }
    )*};
}
back_ends!(
    ukallocbuddy::Buddy,
    ukallocgc::Gc,
    ukallocregion::Region,
    ukalloctiny::Tiny,
    ukalloctlsf::Tlsf
);

impl Make for Oscar {
    const MEMORY: Memory = Memory::Mapped;

    fn make(_: usize) -> Self {
        Self::new(ukallocoscar::Config::default())
    }
}

impl Make for FixedPool {
    fn make(size: usize) -> Self {
        Self::new(Config { object_size: size as u64, alignment: ALIGN as u64 })
    }
}

impl<B: Backend + Make> Make for Heap<B, NoLock> {
    const MEMORY: Memory = B::MEMORY;

    fn make(size: usize) -> Self {
        // SAFETY: the harness uses heaps without locks from one thread only.
        Heap::new(B::make(size), unsafe { NoLock::single_threaded() })
    }
}

impl<B: Backend + Make> Make for Heap<B, SpinLock> {
    const MEMORY: Memory = B::MEMORY;

    fn make(size: usize) -> Self {
        Heap::new(B::make(size), SpinLock::new())
    }
}

impl Make for Mi<NoLock> {
    fn make(_: usize) -> Self {
        // SAFETY: the harness uses allocators without locks from one thread only.
        Self::new(unsafe { NoLock::single_threaded() })
    }
}

impl<const N: usize> Make for Mi<ThreadShards<N>> {
    fn make(_: usize) -> Self {
        Self::new(ThreadShards::new())
    }
}

/// One of our allocators, through the interface that images use.
#[derive(Debug)]
pub struct Ours<A>(A);

// SAFETY: the contract of `Alloc`.
unsafe impl<A: Alloc + Make> Subject for Ours<A> {
    const MEMORY: Memory = A::MEMORY;

    fn empty() -> Box<Self> {
        Self::of_size(ANY_SIZE)
    }

    fn of_size(size: usize) -> Box<Self> {
        Box::new(Self(A::make(size)))
    }

    unsafe fn add(&self, base: *mut u8, len: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.0.add_memory(base, len) }.is_ok()
    }

    #[inline]
    fn malloc(&self, size: usize) -> *mut u8 {
        self.0.malloc(size)
    }

    #[inline]
    fn memalign(&self, align: usize, size: usize) -> *mut u8 {
        self.0.memalign(align, size)
    }

    #[inline]
    fn calloc(&self, size: usize) -> *mut u8 {
        self.0.calloc(1, size)
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, _: usize, new: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.realloc(block, new) }
    }

    #[inline]
    unsafe fn free(&self, block: *mut u8, _: usize, _: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.0.free(block) }
    }
}

/// No lock and no check: for other people's allocators in one thread.
#[derive(Debug)]
pub struct Bare;

// SAFETY: the harness uses it from one thread only; calls do not nest.
unsafe impl RawLock for Bare {
    #[inline]
    fn acquire(&self) {}
    #[inline]
    fn release(&self) {}
}

/// A lock that can be made.
pub trait MakeLock: RawLock {
    /// A free one.
    const FREE: Self;
}

impl MakeLock for Bare {
    const FREE: Self = Self;
}

impl MakeLock for SpinLock {
    const FREE: Self = SpinLock::new();
}

/// Somebody else's allocator for one caller at a time; functions as in [`Subject`].
#[expect(clippy::missing_safety_doc, reason = "as in Subject")]
pub unsafe trait Peer: Sized {
    fn new() -> Self;
    unsafe fn add(&mut self, base: *mut u8, len: usize) -> bool;
    fn allocate(&mut self, size: usize, align: usize) -> *mut u8;
    unsafe fn free(&mut self, block: *mut u8, size: usize, align: usize);
    /// Null when it cannot, or not without copying.
    unsafe fn resize(&mut self, block: *mut u8, old: usize, new: usize) -> *mut u8;
}

/// A peer with the lock that ours use.
#[derive(Debug)]
pub struct Locked<P, L> {
    lock: L,
    peer: UnsafeCell<P>,
}

// SAFETY: the peer is only reached through `with`, under the lock.
unsafe impl<P, L: RawLock> Sync for Locked<P, L> {}

impl<P, L: RawLock> Locked<P, L> {
    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut P) -> R) -> R {
        self.lock.acquire();
        // SAFETY: the lock is held.
        let result = work(unsafe { &mut *self.peer.get() });
        self.lock.release();
        result
    }
}

/// Alignment that all blocks get, as from ours.
const ALIGN: usize = ukalloc::MIN_ALIGN;

// SAFETY: the contract of `Peer`, under a lock.
unsafe impl<P: Peer, L: MakeLock> Subject for Locked<P, L> {
    const MEMORY: Memory = Memory::Arena;

    fn empty() -> Box<Self> {
        Box::new(Self { lock: L::FREE, peer: UnsafeCell::new(P::new()) })
    }

    unsafe fn add(&self, base: *mut u8, len: usize) -> bool {
        // SAFETY: the caller's promise.
        self.with(|peer| unsafe { peer.add(base, len) })
    }

    #[inline]
    fn malloc(&self, size: usize) -> *mut u8 {
        self.with(|peer| peer.allocate(size, ALIGN))
    }

    #[inline]
    fn memalign(&self, align: usize, size: usize) -> *mut u8 {
        self.with(|peer| peer.allocate(size, align.max(ALIGN)))
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, old: usize, new: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let resized = self.with(|peer| unsafe { peer.resize(block, old, new) });
        if !resized.is_null() {
            return resized;
        }
        let moved = self.malloc(new);
        if !moved.is_null() {
            // SAFETY: two live blocks, at least that large.
            unsafe {
                moved.copy_from_nonoverlapping(block, old.min(new));
                self.free(block, old, ALIGN);
            }
        }
        moved
    }

    #[inline]
    unsafe fn free(&self, block: *mut u8, size: usize, align: usize) {
        // SAFETY: the caller's promise.
        self.with(|peer| unsafe { peer.free(block, size, align.max(ALIGN)) });
    }
}
