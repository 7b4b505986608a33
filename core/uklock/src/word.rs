//! A word that threads share, changed atomically with respect to all that can come in between.

use core::sync::atomic::Ordering;

#[cfg(not(any(feature = "threads", feature = "smp")))]
use core::sync::atomic::AtomicUsize;

#[cfg(any(feature = "threads", feature = "smp"))]
use crate::sys::atomic::AtomicUsize;

/// With several CPUs an atomic. With one CPU, plain loads and stores: reading, deciding and
/// storing are made one step by not being preempted; cooperative threads are not switched there
/// anyway. Interrupt handlers must stay away from it. Loads acquire and stores release, which
/// costs nothing on machines with strongly ordered memory and next to nothing on others.
pub(crate) struct Word(AtomicUsize);

impl Word {
    pub const fn new(value: usize) -> Self {
        Self(AtomicUsize::new(value))
    }

    #[inline(always)]
    pub fn load(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    #[inline(always)]
    pub fn store(&self, value: usize) {
        self.0.store(value, Ordering::Release);
    }

    /// Stores `new` if the word is `old`, else gives back what it is.
    #[cfg(feature = "smp")]
    #[inline(always)]
    pub fn compare_exchange(&self, old: usize, new: usize) -> Result<(), usize> {
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).map(|_| ())
    }

    /// Stores `new` if the word is `old`, else gives back what it is.
    #[cfg(not(feature = "smp"))]
    #[inline(always)]
    pub fn compare_exchange(&self, old: usize, new: usize) -> Result<(), usize> {
        let _critical = crate::sys::critical();
        let now = self.load();
        if now == old {
            self.store(new);
            Ok(())
        } else {
            Err(now)
        }
    }

    /// Replaces the word by what `f` makes of it; `None` leaves it. Returns the word before and
    /// whether it was replaced.
    #[cfg(feature = "smp")]
    #[inline(always)]
    pub fn update(&self, mut f: impl FnMut(usize) -> Option<usize>) -> (usize, bool) {
        let mut now = self.load();
        loop {
            let Some(new) = f(now) else { return (now, false) };
            match self.compare_exchange(now, new) {
                Ok(()) => return (now, true),
                Err(other) => now = other,
            }
        }
    }

    /// Replaces the word by what `f` makes of it; `None` leaves it. Returns the word before and
    /// whether it was replaced.
    #[cfg(all(feature = "threads", not(feature = "smp")))]
    #[inline(always)]
    pub fn update(&self, mut f: impl FnMut(usize) -> Option<usize>) -> (usize, bool) {
        let _critical = crate::sys::critical();
        let now = self.load();
        match f(now) {
            Some(new) => {
                self.store(new);
                (now, true)
            }
            None => (now, false),
        }
    }
}
