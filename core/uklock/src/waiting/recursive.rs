//! The mutex that its owner may take again.

use core::cell::Cell;

use super::mutex::RawMutex;

/// A mutex without data that the thread which holds it may take again; it is free when it was
/// released as often as taken.
///
/// ```
/// static LOCK: uklock::RawReentrantMutex = uklock::RawReentrantMutex::new();
/// LOCK.lock();
/// assert!(LOCK.try_lock());
/// // SAFETY: taken twice above.
/// unsafe { (LOCK.unlock(), LOCK.unlock()) };
/// ```
pub struct RawReentrantMutex {
    mutex: RawMutex,
    /// How often the owner took it again.
    again: Cell<usize>,
}

// SAFETY: `again` is touched by the thread that holds the mutex only.
unsafe impl Sync for RawReentrantMutex {}

impl RawReentrantMutex {
    /// A free mutex.
    pub const fn new() -> Self {
        Self { mutex: RawMutex::new(), again: Cell::new(0) }
    }

    /// Takes it again if the calling thread holds it.
    #[inline]
    fn lock_again(&self) -> bool {
        let held = self.mutex.is_held();
        if held {
            self.again.set(self.again.get().checked_add(1).expect("a mutex was taken too often"));
        }
        held
    }

    /// Waits for the mutex and takes it.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn lock(&self) {
        if !self.lock_again() {
            self.mutex.lock();
        }
    }

    /// Takes the mutex if it is free or the calling thread's.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn try_lock(&self) -> bool {
        self.lock_again() || self.mutex.try_lock()
    }

    /// Waits for the mutex until the monotonic clock is at `deadline_ns`; returns whether it was
    /// taken.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn lock_until(&self, deadline_ns: u64) -> bool {
        self.lock_again() || self.mutex.lock_until(deadline_ns)
    }

    /// Releases the mutex once.
    ///
    /// # Safety
    /// The calling thread holds it.
    #[inline]
    pub unsafe fn unlock(&self) {
        match self.again.get() {
            // SAFETY: as the caller promises.
            0 => unsafe { self.mutex.unlock() },
            again => self.again.set(again - 1),
        }
    }
}

impl Default for RawReentrantMutex {
    fn default() -> Self {
        Self::new()
    }
}
