//! Cells that are filled during boot and read by anybody afterwards.

use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};

/// A cell for a reference to something that lives as long as the image.
///
/// ```
/// static CURRENT: ukplat::StaticRef<u32> = ukplat::StaticRef::new();
/// assert_eq!(CURRENT.get(), None);
/// CURRENT.set(&7);
/// assert_eq!(CURRENT.get(), Some(&7));
/// ```
#[derive(Debug)]
pub struct StaticRef<T: Sync + 'static>(AtomicPtr<T>);

impl<T: Sync> StaticRef<T> {
    /// An empty cell.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// Fills the cell, or replaces what is in it.
    pub fn set(&self, value: &'static T) {
        self.0.store(core::ptr::from_ref(value).cast_mut(), Ordering::Release);
    }

    /// Fills the cell if it is empty; returns what is in it then.
    pub fn get_or_set(&self, value: &'static T) -> &'static T {
        let new = core::ptr::from_ref(value).cast_mut();
        let empty = core::ptr::null_mut();
        let set = self.0.compare_exchange(empty, new, Ordering::AcqRel, Ordering::Acquire);
        match set {
            Ok(_) => value,
            // SAFETY: as for `get`; it is not null, or it would have been set.
            Err(other) => unsafe { &*other },
        }
    }

    /// What is in the cell.
    #[inline]
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: only `set` stores here, and it takes a `&'static T`; `T: Sync` lets any thread
        // have the reference, and nobody makes it mutable.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}

impl<T: Sync> Default for StaticRef<T> {
    fn default() -> Self {
        Self::new()
    }
}

const UNSET: u8 = 0;
const BEING_SET: u8 = 1;
const SET: u8 = 2;

/// A cell for a `&'static str` that is set at most once, as during boot, and read by anybody.
///
/// ```
/// static NAME: ukplat::StrCell = ukplat::StrCell::new();
/// assert_eq!(NAME.get(), None);
/// assert!(NAME.set("box"));
/// assert!(!NAME.set("other"));
/// assert_eq!(NAME.get(), Some("box"));
/// ```
#[derive(Debug)]
pub struct StrCell {
    state: AtomicU8,
    start: AtomicPtr<u8>,
    len: AtomicUsize,
}

impl StrCell {
    /// An empty cell.
    pub const fn new() -> Self {
        Self {
            state: AtomicU8::new(UNSET),
            start: AtomicPtr::new(core::ptr::null_mut()),
            len: AtomicUsize::new(0),
        }
    }

    /// Sets the text; returns `false` when it was set before.
    pub fn set(&self, text: &'static str) -> bool {
        if self
            .state
            .compare_exchange(UNSET, BEING_SET, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return false;
        }
        self.start.store(text.as_ptr().cast_mut(), Ordering::Relaxed);
        self.len.store(text.len(), Ordering::Relaxed);
        self.state.store(SET, Ordering::Release);
        true
    }

    /// The text, once set.
    pub fn get(&self) -> Option<&'static str> {
        if self.state.load(Ordering::Acquire) != SET {
            return None;
        }
        let (start, len) = (self.start.load(Ordering::Relaxed), self.len.load(Ordering::Relaxed));
        // SAFETY: state SET is stored after pointer and length, which one `&'static str` gave and
        // which nobody stores again, because only the winner of the exchange stores.
        Some(unsafe { core::str::from_utf8_unchecked(core::slice::from_raw_parts(start, len)) })
    }
}

impl Default for StrCell {
    fn default() -> Self {
        Self::new()
    }
}
