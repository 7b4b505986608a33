//! How a heap keeps callers apart: as much as the configuration needs.

use core::cell::Cell;
use core::sync::atomic::Ordering;

use crate::sync::AtomicWord;

/// Mutual exclusion without data.
///
/// # Safety
/// Between `acquire` and `release` no other `acquire` may return.
pub unsafe trait RawLock: Sync {
    /// Waits until the lock is free and takes it.
    fn acquire(&self);
    /// Gives it back; called by the holder.
    fn release(&self);
}

/// For images in which only one flow of control allocates. No atomic instruction; entering twice,
/// as from an interrupt handler, is detected and ends the image.
#[derive(Debug)]
pub struct NoLock {
    busy: Cell<bool>,
}

// SAFETY: `single_threaded` makes its caller promise that there is one flow of control.
unsafe impl Sync for NoLock {}

impl NoLock {
    /// A lock that does not lock.
    ///
    /// # Safety
    /// Only one flow of control may use what it protects: one CPU, no threads, or threads that are
    /// not switched inside. Interrupt handlers must stay away.
    pub const unsafe fn single_threaded() -> Self {
        Self { busy: Cell::new(false) }
    }

    /// Ends the image when somebody is inside.
    #[inline]
    pub(crate) fn expect_free(&self) {
        if self.busy.get() {
            entered_again();
        }
    }
}

// SAFETY: there is one flow of control (promise of `single_threaded`), and a second entry of it
// does not return.
unsafe impl RawLock for NoLock {
    #[inline]
    fn acquire(&self) {
        self.expect_free();
        self.busy.set(true);
    }

    #[inline]
    fn release(&self) {
        self.busy.set(false);
    }
}

#[cold]
#[inline(never)]
pub(crate) fn entered_again() -> ! {
    crate::corrupt("a heap was entered again, from an interrupt handler?")
}

/// Pauses between two looks at a lock that is taken, at most: about the time of a few calls.
const MOST_PAUSES: u32 = 16;
/// Looks at it before the CPU is offered to others: the holder may be a virtual CPU that its host
/// does not run.
const LOOKS: u32 = 100;

/// A test-and-test-and-set lock for several CPUs.
///
/// Who finds it taken stays away for a while, longer each time up to a bound (Anderson: "The
/// performance of spin lock alternatives for shared-memory multiprocessors", 1990): what is
/// protected then goes back and forth between caches less often.
#[derive(Debug)]
pub struct SpinLock {
    /// 1 when it is.
    taken: AtomicWord,
}

impl SpinLock {
    /// A free lock.
    pub const fn new() -> Self {
        Self { taken: AtomicWord::new(0) }
    }

    /// Takes the lock when it is free; returns whether it was.
    pub fn try_acquire(&self) -> bool {
        self.taken.load(Ordering::Relaxed) == 0 && self.taken.swap(1, Ordering::Acquire) == 0
    }

    #[cold]
    #[inline(never)]
    fn acquire_slowly(&self) {
        let (mut pauses, mut looks) = (1, 0);
        while !self.try_acquire() {
            if looks == LOOKS {
                ukplat::relax();
                continue;
            }
            for _ in 0..pauses {
                core::hint::spin_loop();
            }
            pauses = (2 * pauses).min(MOST_PAUSES);
            looks += 1;
        }
    }
}

impl Default for SpinLock {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: only the caller whose exchange found 0 returns; `release` publishes its writes.
unsafe impl RawLock for SpinLock {
    #[inline]
    fn acquire(&self) {
        if self.taken.swap(1, Ordering::Acquire) != 0 {
            self.acquire_slowly();
        }
    }

    #[inline]
    fn release(&self) {
        self.taken.store(0, Ordering::Release);
    }
}
