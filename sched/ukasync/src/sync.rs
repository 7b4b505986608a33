//! Changes that interrupt handlers and other CPUs see as one step. In unit tests, threads of the
//! host are the other CPUs.

#[cfg(not(feature = "model"))]
pub use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};
#[cfg(feature = "model")]
pub use shuttle::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

/// Replaces a word by what `change` makes of it; returns the one before.
#[cfg(any(feature = "smp", test))]
#[inline]
pub fn update(word: &AtomicUsize, change: impl Fn(usize) -> usize) -> usize {
    let result = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(change(now)));
    match result {
        Ok(old) | Err(old) => old,
    }
}

/// Replaces a word by what `change` makes of it; returns the one before. Without other CPUs only
/// interrupt handlers, and threads after them, could come between.
#[cfg(not(any(feature = "smp", test)))]
#[inline]
pub fn update(word: &AtomicUsize, change: impl Fn(usize) -> usize) -> usize {
    let _no_interrupts = ukplat::irq::disable();
    let old = word.load(Ordering::Relaxed);
    word.store(change(old), Ordering::Relaxed);
    old
}

/// Replaces a pointer by what `change` makes of it; returns the one before.
#[cfg(any(feature = "smp", test))]
#[inline]
pub fn update_ptr<T>(word: &AtomicPtr<T>, change: impl Fn(*mut T) -> *mut T) -> *mut T {
    let result = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(change(now)));
    match result {
        Ok(old) | Err(old) => old,
    }
}

/// Replaces a pointer by what `change` makes of it; returns the one before.
#[cfg(not(any(feature = "smp", test)))]
#[inline]
pub fn update_ptr<T>(word: &AtomicPtr<T>, change: impl Fn(*mut T) -> *mut T) -> *mut T {
    let _no_interrupts = ukplat::irq::disable();
    let old = word.load(Ordering::Relaxed);
    word.store(change(old), Ordering::Relaxed);
    old
}

/// Between a store and a load that must not change places for another CPU.
#[inline]
pub fn store_load() {
    if cfg!(any(feature = "smp", test)) {
        fence(Ordering::SeqCst);
    } else {
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
    }
}
