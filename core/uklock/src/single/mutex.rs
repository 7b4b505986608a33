//! The mutex without competitors.

use core::sync::atomic::{AtomicBool, Ordering};

use super::{deadlock, idle_until};

/// A mutex without data, for C and POSIX layers. Here there is one flow of control: it is always
/// free, occupies no memory, and its functions compile to nothing.
///
/// ```
/// static LOCK: uklock::RawMutex = uklock::RawMutex::new();
/// LOCK.lock();
/// // SAFETY: this thread holds it.
/// unsafe { LOCK.unlock() };
/// ```
#[derive(Default)]
pub struct RawMutex(());

impl RawMutex {
    /// A free mutex.
    pub const fn new() -> Self {
        Self(())
    }

    /// Nothing.
    #[inline(always)]
    pub fn lock(&self) {}

    /// Nothing; true.
    #[inline(always)]
    pub fn try_lock(&self) -> bool {
        true
    }

    /// Nothing; true.
    #[inline(always)]
    pub fn lock_until(&self, _deadline_ns: u64) -> bool {
        true
    }

    /// Nothing.
    ///
    /// # Safety
    /// The calling thread holds it.
    #[inline(always)]
    pub unsafe fn unlock(&self) {}
}

/// Two guards of one mutex would be two `&mut` to one value. A byte tells; being alone, reading
/// and writing it need not be one step.
pub(crate) struct DataMutex {
    locked: AtomicBool,
}

impl DataMutex {
    pub const fn new() -> Self {
        Self { locked: AtomicBool::new(false) }
    }

    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn lock(&self) {
        if !self.try_lock() {
            deadlock("a mutex is locked that is locked already");
        }
    }

    #[inline]
    pub fn try_lock(&self) -> bool {
        let free = !self.locked.load(Ordering::Relaxed);
        if free {
            self.locked.store(true, Ordering::Relaxed);
        }
        free
    }

    pub fn lock_until(&self, deadline_ns: u64) -> bool {
        self.try_lock() || {
            idle_until(deadline_ns);
            false
        }
    }

    /// # Safety
    /// The caller holds it.
    #[inline]
    pub unsafe fn unlock(&self) {
        self.locked.store(false, Ordering::Relaxed);
    }
}
