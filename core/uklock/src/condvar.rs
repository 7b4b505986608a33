//! A condition variable for data in a mutex.

use core::fmt;

use crate::MutexGuard;
use crate::imp::RawCondvar;

/// A condition variable for a [`Mutex`](crate::Mutex); see [`RawCondvar`].
///
/// ```
/// use uklock::{Condvar, Mutex};
/// let (items, more) = (Mutex::new(vec![1]), Condvar::new());
/// more.notify_one();
/// let mut items = items.lock();
/// more.wait_while(&mut items, |items| items.is_empty());
/// assert_eq!(items.pop(), Some(1));
/// ```
///
/// Nothing of the value is borrowed while it waits:
///
/// ```compile_fail,E0502
/// let (items, more) = (uklock::Mutex::new(vec![1]), uklock::Condvar::new());
/// let mut items = items.lock();
/// let first = &items[0];
/// more.wait(&mut items);
/// println!("{first}");
/// ```
pub struct Condvar {
    raw: RawCondvar,
}

impl Condvar {
    /// A condition variable that nobody waits for.
    pub const fn new() -> Self {
        Self { raw: RawCondvar::new() }
    }

    /// Releases the mutex, waits to be notified, and takes the mutex again.
    ///
    /// # Panics
    /// With one flow of control: nobody could notify.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        // SAFETY: there is a guard, so this thread holds the mutex.
        unsafe { self.raw.wait_data(&guard.lock.raw, None) };
    }

    /// Waits as long as `condition` is true.
    ///
    /// # Panics
    /// With one flow of control, when `condition` is true.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn wait_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) {
        while condition(guard) {
            self.wait(guard);
        }
    }

    /// Waits until the monotonic clock is at `deadline_ns`; returns whether it was notified.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn wait_until<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, deadline_ns: u64) -> bool {
        // SAFETY: there is a guard, so this thread holds the mutex.
        unsafe { self.raw.wait_data(&guard.lock.raw, Some(deadline_ns)) }
    }

    /// Lets the longest waiting thread go on.
    #[inline]
    pub fn notify_one(&self) {
        self.raw.notify_one();
    }

    /// Lets all threads go on that wait now, one after the other.
    #[inline]
    pub fn notify_all(&self) {
        self.raw.notify_all();
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}
