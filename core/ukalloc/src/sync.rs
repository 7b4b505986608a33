//! The atomic word of the allocators: `core`'s, or one that a model checker can look into.
//!
//! With the feature `model` every access is a point at which another thread may go on, when a test
//! asks for it ([`explore`](crate::model::explore)). Without the feature this adds nothing.

use core::sync::atomic::Ordering;

/// A word shared between flows of control. All zeros is the value 0.
#[derive(Debug)]
#[repr(transparent)]
pub struct AtomicWord(core::sync::atomic::AtomicUsize);

#[inline(always)]
fn point() {
    #[cfg(feature = "model")]
    crate::model::scheduling_point();
}

impl AtomicWord {
    /// A word with a value.
    pub const fn new(value: usize) -> Self {
        Self(core::sync::atomic::AtomicUsize::new(value))
    }

    /// See `AtomicUsize::load`.
    #[inline]
    pub fn load(&self, order: Ordering) -> usize {
        point();
        self.0.load(order)
    }

    /// See `AtomicUsize::store`.
    #[inline]
    pub fn store(&self, value: usize, order: Ordering) {
        point();
        self.0.store(value, order);
    }

    /// See `AtomicUsize::swap`.
    #[inline]
    pub fn swap(&self, value: usize, order: Ordering) -> usize {
        point();
        self.0.swap(value, order)
    }

    /// See `AtomicUsize::fetch_or`.
    #[inline]
    pub fn fetch_or(&self, bits: usize, order: Ordering) -> usize {
        point();
        self.0.fetch_or(bits, order)
    }

    /// See `AtomicUsize::fetch_and`.
    #[inline]
    pub fn fetch_and(&self, bits: usize, order: Ordering) -> usize {
        point();
        self.0.fetch_and(bits, order)
    }

    /// See `AtomicUsize::compare_exchange_weak`.
    ///
    /// # Errors
    /// The value found, when it was not `current` or for no reason.
    #[inline]
    pub fn compare_exchange_weak(
        &self,
        current: usize,
        new: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<usize, usize> {
        point();
        self.0.compare_exchange_weak(current, new, success, failure)
    }
}
