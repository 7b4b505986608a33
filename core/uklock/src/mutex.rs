//! A mutex around data.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::imp::DataMutex;

/// A mutex around a value; see [`RawMutex`](crate::RawMutex) for who gets it when.
///
/// With neither threads nor a second CPU it keeps one byte, plainly read and written, because two
/// guards at once would be two `&mut` to the same value; locking it twice panics. There is no
/// poisoning: a panic ends the image.
///
/// ```
/// let counter = uklock::Mutex::new(0);
/// *counter.lock() += 1;
/// assert_eq!(counter.into_inner(), 1);
/// ```
///
/// The guard belongs to the thread that locked:
///
/// ```compile_fail,E0277
/// let lock: &'static uklock::Mutex<u32> = Box::leak(Box::default());
/// let guard = lock.lock();
/// std::thread::spawn(move || drop(guard));
/// ```
///
/// and nothing of the value outlives it:
///
/// ```compile_fail,E0505
/// let lock = uklock::Mutex::new(0);
/// let guard = lock.lock();
/// let value: &u32 = &guard;
/// drop(guard);
/// println!("{value}");
/// ```
pub struct Mutex<T: ?Sized> {
    pub(crate) raw: DataMutex,
    data: UnsafeCell<T>,
}

// SAFETY: a guard exists once at a time, and only it gives access to the data.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: the mutex owns its data.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free mutex around `value`.
    pub const fn new(value: T) -> Self {
        Self { raw: DataMutex::new(), data: UnsafeCell::new(value) }
    }

    /// The value, when the mutex is not needed any more.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// The guard of a mutex that was just taken.
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard { lock: self, _not_send: PhantomData }
    }

    /// Waits for the mutex.
    ///
    /// # Panics
    /// Where waiting would never end and that can be known: with one flow of control when it is
    /// locked already, with deadlock diagnosis when threads wait for each other.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.raw.lock();
        self.guard()
    }

    /// Takes the mutex if it is free.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw.try_lock().then(|| self.guard())
    }

    /// Waits for the mutex until the monotonic clock is at `deadline_ns` (see
    /// [`deadline`](crate::deadline)).
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn lock_until(&self, deadline_ns: u64) -> Option<MutexGuard<'_, T>> {
        self.raw.lock_until(deadline_ns).then(|| self.guard())
    }

    /// The data, without locking: the mutex is borrowed mutably.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

/// Access to the data of a [`Mutex`]; the mutex is released when it is dropped.
#[must_use = "the mutex is released when the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    pub(crate) lock: &'a Mutex<T>,
    // The mutex knows its owner, which must release it.
    _not_send: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives nothing but `&T`.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one of its mutex.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and it is borrowed mutably.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard was made by the thread that took the mutex, and did not leave it.
        unsafe { self.lock.raw.unlock() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
