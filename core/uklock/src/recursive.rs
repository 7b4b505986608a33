//! A recursive mutex around data.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use crate::imp::DataReentrantMutex;

/// A mutex around a value that the thread which holds it may lock again. Its guards share the
/// value, hence give `&T` only: put a `Cell` or `RefCell` inside to change it.
///
/// ```
/// use std::cell::Cell;
/// let depth = uklock::ReentrantMutex::new(Cell::new(0));
/// let outer = depth.lock();
/// depth.lock().set(outer.get() + 1);
/// assert_eq!(outer.get(), 1);
/// ```
///
/// ```compile_fail,E0594
/// let lock = uklock::ReentrantMutex::new(0);
/// *lock.lock() = 1;
/// ```
pub struct ReentrantMutex<T: ?Sized> {
    raw: DataReentrantMutex,
    data: T,
}

// SAFETY: only the thread that holds the mutex has access to the data: it need not be `Sync`.
unsafe impl<T: ?Sized + Send> Sync for ReentrantMutex<T> {}

impl<T> ReentrantMutex<T> {
    /// A free mutex around `value`.
    pub const fn new(value: T) -> Self {
        Self { raw: DataReentrantMutex::new(), data: value }
    }

    /// The value, when the mutex is not needed any more.
    pub fn into_inner(self) -> T {
        self.data
    }
}

impl<T: ?Sized> ReentrantMutex<T> {
    fn guard(&self) -> ReentrantMutexGuard<'_, T> {
        ReentrantMutexGuard { lock: self, _not_send: PhantomData }
    }

    /// Waits for the mutex, unless this thread holds it.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn lock(&self) -> ReentrantMutexGuard<'_, T> {
        self.raw.lock();
        self.guard()
    }

    /// Takes the mutex if it is free or this thread's.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn try_lock(&self) -> Option<ReentrantMutexGuard<'_, T>> {
        self.raw.try_lock().then(|| self.guard())
    }

    /// Waits for the mutex until the monotonic clock is at `deadline_ns`.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn lock_until(&self, deadline_ns: u64) -> Option<ReentrantMutexGuard<'_, T>> {
        self.raw.lock_until(deadline_ns).then(|| self.guard())
    }
}

impl<T: ?Sized> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReentrantMutex")
    }
}

/// Shared access to the data of a [`ReentrantMutex`], within the thread that locked it.
#[must_use = "the mutex is released when the guard is dropped"]
pub struct ReentrantMutexGuard<'a, T: ?Sized> {
    lock: &'a ReentrantMutex<T>,
    _not_send: PhantomData<*mut ()>,
}

impl<T: ?Sized> Deref for ReentrantMutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.lock.data
    }
}

impl<T: ?Sized> Drop for ReentrantMutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard was made by the thread that took the mutex, and did not leave it.
        unsafe { self.lock.raw.unlock() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
