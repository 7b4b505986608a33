//! Many readers or one writer around data.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::imp::DataRwLock;

/// Many readers or one writer around a value; see [`RawRwLock`](crate::RawRwLock) for who gets it
/// when.
///
/// With neither threads nor a second CPU it keeps one word that counts the guards, plainly read
/// and written; what would wait panics.
///
/// ```
/// let table = uklock::RwLock::new(vec![1, 2]);
/// let reader = table.read();
/// assert_eq!(table.read().len(), reader.len());
/// drop(reader);
/// table.write().push(3);
/// ```
///
/// Readers do not write:
///
/// ```compile_fail,E0596
/// let table = uklock::RwLock::new(vec![1]);
/// table.read().push(2);
/// ```
pub struct RwLock<T: ?Sized> {
    raw: DataRwLock,
    data: UnsafeCell<T>,
}

// SAFETY: readers share the data, which must be `Sync` therefore; a writer is alone.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}
// SAFETY: the lock owns its data.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}

impl<T> RwLock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        Self { raw: DataRwLock::new(), data: UnsafeCell::new(value) }
    }

    /// The value, when the lock is not needed any more.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    fn read_guard(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard { lock: self, _not_send: PhantomData }
    }

    fn write_guard(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard { lock: self, _not_send: PhantomData }
    }

    /// Waits to read. A thread that reads must not read again meanwhile.
    ///
    /// # Panics
    /// Where waiting would never end and that can be known.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.raw.read();
        self.read_guard()
    }

    /// Waits to write.
    ///
    /// # Panics
    /// Where waiting would never end and that can be known.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.raw.write();
        self.write_guard()
    }

    /// Takes the lock for reading if no writer holds it or waits.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.raw.try_read().then(|| self.read_guard())
    }

    /// Takes the lock for writing if nobody holds it or waits.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.raw.try_write().then(|| self.write_guard())
    }

    /// Waits to read until the monotonic clock is at `deadline_ns`.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn read_until(&self, deadline_ns: u64) -> Option<RwLockReadGuard<'_, T>> {
        self.raw.read_until(deadline_ns).then(|| self.read_guard())
    }

    /// Waits to write until the monotonic clock is at `deadline_ns`.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn write_until(&self, deadline_ns: u64) -> Option<RwLockWriteGuard<'_, T>> {
        self.raw.write_until(deadline_ns).then(|| self.write_guard())
    }

    /// The data, without locking: the lock is borrowed mutably.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RwLock")
    }
}

/// Shared access to the data of a [`RwLock`].
#[must_use = "the lock is released when the guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    _not_send: PhantomData<*mut ()>,
}

/// Exclusive access to the data of a [`RwLock`].
#[must_use = "the lock is released when the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    _not_send: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives nothing but `&T`.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Goes on reading, without a writer in between.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        let lock = self.lock;
        core::mem::forget(self);
        // SAFETY: the guard was made by this thread, and is not dropped.
        unsafe { lock.raw.downgrade() };
        lock.read_guard()
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: only other readers exist beside this guard.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one of its lock.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and it is borrowed mutably.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard was made by the thread that took the lock, and did not leave it.
        unsafe { self.lock.raw.unlock_read() }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { self.lock.raw.unlock_write() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
