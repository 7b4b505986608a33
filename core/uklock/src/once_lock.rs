//! Values made once.

use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::mem::MaybeUninit;
use core::ops::Deref;

use crate::imp::Once;

/// A value that is set once and then shared.
///
/// ```
/// static CONFIG: uklock::OnceLock<String> = uklock::OnceLock::new();
/// assert_eq!(CONFIG.get_or_init(|| "first".to_string()), "first");
/// assert_eq!(CONFIG.set("second".to_string()), Err("second".to_string()));
/// ```
pub struct OnceLock<T> {
    once: Once,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written once, before `once` is completed, and shared afterwards. Its maker
// may be another thread than the one that drops it.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}
// SAFETY: the cell owns its value.
unsafe impl<T: Send> Send for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Not set yet.
    pub const fn new() -> Self {
        Self { once: Once::new(), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The value, if it is set.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: completed means written, and never again.
        self.once.is_completed().then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// The value; makes it if it is not set. Others wait meanwhile.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.once.call_once(|| {
            let value = make();
            // SAFETY: `once` lets one flow of control in here, and nobody reads before it ends.
            unsafe { (*self.value.get()).write(value) };
        });
        // SAFETY: `call_once` returned: it is completed, hence written.
        unsafe { (*self.value.get()).assume_init_ref() }
    }

    /// Sets the value, or gives it back if there is one.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("called once"));
        match value {
            None => Ok(()),
            Some(value) => Err(value),
        }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for OnceLock<T> {
    fn drop(&mut self) {
        if self.once.is_completed() {
            // SAFETY: written, and nobody shares it any more.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceLock").field(&self.get()).finish()
    }
}

/// A value made when it is first used.
///
/// ```
/// static TABLE: uklock::LazyLock<Vec<u32>> = uklock::LazyLock::new(|| (0..4).collect());
/// assert_eq!(TABLE.len(), 4);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    make: Cell<Option<F>>,
}

// SAFETY: `make` is used by the one flow of control that `value` lets in.
unsafe impl<T, F: Send> Sync for LazyLock<T, F> where OnceLock<T>: Sync {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// The value that `make` will make.
    pub const fn new(make: F) -> Self {
        Self { value: OnceLock::new(), make: Cell::new(Some(make)) }
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        self.value.get_or_init(|| match self.make.take() {
            Some(make) => make(),
            None => panic!("a value was not made, because its maker panicked"),
        })
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazyLock").field(&self.value.get()).finish()
    }
}
