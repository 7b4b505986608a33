//! Many readers or one writer, without competitors.

use core::sync::atomic::{AtomicU32, Ordering};

use super::{deadlock, idle_until};

/// Many readers or one writer, without data, for C and POSIX layers. Here there is one flow of
/// control: it is always free, occupies no memory, and its functions compile to nothing.
#[derive(Default)]
pub struct RawRwLock(());

impl RawRwLock {
    /// A free lock.
    pub const fn new() -> Self {
        Self(())
    }

    /// Nothing.
    #[inline(always)]
    pub fn read(&self) {}

    /// Nothing.
    #[inline(always)]
    pub fn write(&self) {}

    /// Nothing; true.
    #[inline(always)]
    pub fn try_read(&self) -> bool {
        true
    }

    /// Nothing; true.
    #[inline(always)]
    pub fn try_write(&self) -> bool {
        true
    }

    /// Nothing; true.
    #[inline(always)]
    pub fn read_until(&self, _deadline_ns: u64) -> bool {
        true
    }

    /// Nothing; true.
    #[inline(always)]
    pub fn write_until(&self, _deadline_ns: u64) -> bool {
        true
    }

    /// Nothing.
    ///
    /// # Safety
    /// The calling thread holds it for reading.
    #[inline(always)]
    pub unsafe fn unlock_read(&self) {}

    /// Nothing.
    ///
    /// # Safety
    /// The calling thread holds it for writing.
    #[inline(always)]
    pub unsafe fn unlock_write(&self) {}

    /// Nothing.
    ///
    /// # Safety
    /// The calling thread holds it for writing.
    #[inline(always)]
    pub unsafe fn downgrade(&self) {}
}

const WRITER: u32 = u32::MAX;

/// The guards that exist: their number, or `WRITER`.
pub(crate) struct DataRwLock {
    guards: AtomicU32,
}

impl DataRwLock {
    pub const fn new() -> Self {
        Self { guards: AtomicU32::new(0) }
    }

    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn read(&self) {
        if !self.try_read() {
            deadlock("an rwlock is locked for reading that is locked for writing");
        }
    }

    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn write(&self) {
        if !self.try_write() {
            deadlock("an rwlock is locked for writing that is locked already");
        }
    }

    #[inline]
    pub fn try_read(&self) -> bool {
        let guards = self.guards.load(Ordering::Relaxed);
        // As many readers as that are forgotten guards; none more.
        let free = guards < WRITER - 1;
        if free {
            self.guards.store(guards + 1, Ordering::Relaxed);
        }
        free
    }

    #[inline]
    pub fn try_write(&self) -> bool {
        let free = self.guards.load(Ordering::Relaxed) == 0;
        if free {
            self.guards.store(WRITER, Ordering::Relaxed);
        }
        free
    }

    pub fn read_until(&self, deadline_ns: u64) -> bool {
        self.try_read() || {
            idle_until(deadline_ns);
            false
        }
    }

    pub fn write_until(&self, deadline_ns: u64) -> bool {
        self.try_write() || {
            idle_until(deadline_ns);
            false
        }
    }

    /// # Safety
    /// The caller holds it for reading.
    #[inline]
    pub unsafe fn unlock_read(&self) {
        self.guards.store(self.guards.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }

    /// # Safety
    /// The caller holds it for writing.
    #[inline]
    pub unsafe fn unlock_write(&self) {
        self.guards.store(0, Ordering::Relaxed);
    }

    /// # Safety
    /// The caller holds it for writing.
    pub unsafe fn downgrade(&self) {
        self.guards.store(1, Ordering::Relaxed);
    }
}
