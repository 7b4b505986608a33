//! Spinlocks: for a few instructions, with preemption disabled, with or without interrupts.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
#[cfg(not(feature = "smp"))]
use core::sync::atomic::{AtomicBool, Ordering};

use ukplat::irq::IrqGuard;

use crate::sys;

#[cfg(feature = "smp")]
pub(crate) use ticket::Ticket;

/// CPUs are served in the order in which they came.
#[cfg(feature = "smp")]
mod ticket {
    use core::sync::atomic::Ordering;

    use crate::sys;
    use crate::sys::atomic::AtomicU32;

    /// Rounds of spinning per CPU ahead in the queue: about the length of one critical section,
    /// so that the line with `serving` is not asked for by everybody all the time.
    const ROUNDS_PER_TURN: u32 = 16;
    /// Looks at the lock before the CPU is offered to others: the holder may be a virtual CPU
    /// that its host does not run.
    const LOOKS: u32 = 64;

    #[derive(Debug)]
    pub struct Ticket {
        next: AtomicU32,
        serving: AtomicU32,
    }

    impl Ticket {
        pub const fn new() -> Self {
            Self { next: AtomicU32::new(0), serving: AtomicU32::new(0) }
        }

        #[inline]
        pub fn lock(&self) {
            let ticket = self.next.fetch_add(1, Ordering::Relaxed);
            if self.serving.load(Ordering::Acquire) != ticket {
                self.wait(ticket);
            }
        }

        #[cold]
        fn wait(&self, ticket: u32) {
            let mut looks = 0;
            loop {
                let ahead = ticket.wrapping_sub(self.serving.load(Ordering::Acquire));
                if ahead == 0 {
                    return;
                }
                looks += 1;
                if looks >= LOOKS || cfg!(feature = "model") {
                    sys::relax();
                } else {
                    for _ in 0..ahead.min(8) * ROUNDS_PER_TURN {
                        core::hint::spin_loop();
                    }
                }
            }
        }

        pub fn try_lock(&self) -> bool {
            let serving = self.serving.load(Ordering::Relaxed);
            let taken = self.next.compare_exchange(
                serving,
                serving.wrapping_add(1),
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            taken.is_ok()
        }

        #[inline]
        pub fn unlock(&self) {
            // Only the holder changes `serving`.
            let serving = self.serving.load(Ordering::Relaxed);
            self.serving.store(serving.wrapping_add(1), Ordering::Release);
        }
    }
}

/// A spinlock without data. With one CPU it is empty: disabling preemption (and interrupts) is
/// the whole lock; with neither threads nor CPUs it compiles to nothing.
///
/// ```
/// static LOCK: uklock::RawSpinLock = uklock::RawSpinLock::new();
/// let guard = LOCK.lock();
/// // not preempted, and alone
/// drop(guard);
/// ```
pub struct RawSpinLock {
    #[cfg(feature = "smp")]
    ticket: Ticket,
}

impl RawSpinLock {
    /// A free lock.
    pub const fn new() -> Self {
        Self {
            #[cfg(feature = "smp")]
            ticket: Ticket::new(),
        }
    }

    /// Disables preemption and waits for the lock. Not for locks that interrupt handlers take.
    #[inline]
    pub fn lock(&self) -> RawSpinGuard<'_> {
        let critical = sys::critical();
        #[cfg(feature = "smp")]
        self.ticket.lock();
        RawSpinGuard { _lock: self, _critical: critical, _irq: None, _not_send: PhantomData }
    }

    /// Disables interrupts and preemption and waits for the lock; the guard puts interrupts back
    /// to what they were.
    #[inline]
    pub fn lock_irq(&self) -> RawSpinGuard<'_> {
        let irq = ukplat::irq::disable();
        let mut guard = self.lock();
        guard._irq = Some(irq);
        guard
    }
}

impl Default for RawSpinLock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RawSpinLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawSpinLock")
    }
}

/// Holds a [`RawSpinLock`]. Stays on its CPU, hence is not `Send`.
#[must_use = "the lock is released when the guard is dropped"]
pub struct RawSpinGuard<'a> {
    _lock: &'a RawSpinLock,
    // Dropped in this order, after the lock is free.
    _critical: sys::Critical,
    _irq: Option<IrqGuard>,
    _not_send: PhantomData<*mut ()>,
}

impl Drop for RawSpinGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        #[cfg(feature = "smp")]
        self._lock.ticket.unlock();
    }
}

impl fmt::Debug for RawSpinGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawSpinGuard")
    }
}

/// What keeps guards with data apart: the ticket, or with one CPU a byte. The byte is needed
/// although nobody can interfere: the holder itself could lock again, or wait while it holds.
struct Taken {
    #[cfg(feature = "smp")]
    ticket: Ticket,
    #[cfg(not(feature = "smp"))]
    byte: AtomicBool,
}

impl Taken {
    const fn new() -> Self {
        Self {
            #[cfg(feature = "smp")]
            ticket: Ticket::new(),
            #[cfg(not(feature = "smp"))]
            byte: AtomicBool::new(false),
        }
    }

    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    fn lock(&self) {
        #[cfg(feature = "smp")]
        self.ticket.lock();
        #[cfg(not(feature = "smp"))]
        if !self.try_lock() {
            panic!("deadlock: a spinlock was taken again, or its holder waited for something");
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        #[cfg(feature = "smp")]
        return self.ticket.try_lock();
        #[cfg(not(feature = "smp"))]
        {
            // Not one step, but only this flow of control and interrupt handlers, which end
            // before it goes on, are here.
            let free = !self.byte.load(Ordering::Acquire);
            if free {
                self.byte.store(true, Ordering::Relaxed);
            }
            free
        }
    }

    #[inline]
    fn unlock(&self) {
        #[cfg(feature = "smp")]
        self.ticket.unlock();
        #[cfg(not(feature = "smp"))]
        self.byte.store(false, Ordering::Release);
    }
}

macro_rules! spinlock {
    ($(#[$lock_doc:meta])* $lock:ident, $(#[$guard_doc:meta])* $guard:ident, $irq:ty, $enter:expr) => {
        $(#[$lock_doc])*
        pub struct $lock<T: ?Sized> {
            taken: Taken,
            data: UnsafeCell<T>,
        }

        // SAFETY: a guard exists once at a time, and only it gives access to the data.
        unsafe impl<T: ?Sized + Send> Sync for $lock<T> {}
        // SAFETY: the lock owns its data.
        unsafe impl<T: ?Sized + Send> Send for $lock<T> {}

        impl<T> $lock<T> {
            /// A free lock around `value`.
            pub const fn new(value: T) -> Self {
                Self { taken: Taken::new(), data: UnsafeCell::new(value) }
            }

            /// The value, when the lock is not needed any more.
            pub fn into_inner(self) -> T {
                self.data.into_inner()
            }
        }

        impl<T: ?Sized> $lock<T> {
            /// Waits for the lock.
            ///
            /// # Panics
            /// With one CPU, when it is held already: nobody could release it.
            #[inline]
            #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
            pub fn lock(&self) -> $guard<'_, T> {
                let (irq, critical) = ($enter, sys::critical());
                self.taken.lock();
                $guard { lock: self, _critical: critical, _irq: irq, _not_send: PhantomData }
            }

            /// Takes the lock if it is free.
            #[inline]
            pub fn try_lock(&self) -> Option<$guard<'_, T>> {
                let (irq, critical) = ($enter, sys::critical());
                let taken = self.taken.try_lock();
                taken.then(|| $guard {
                    lock: self,
                    _critical: critical,
                    _irq: irq,
                    _not_send: PhantomData,
                })
            }

            /// The data, without locking: the lock is borrowed mutably.
            pub fn get_mut(&mut self) -> &mut T {
                self.data.get_mut()
            }
        }

        impl<T: Default> Default for $lock<T> {
            fn default() -> Self {
                Self::new(T::default())
            }
        }

        impl<T: ?Sized> fmt::Debug for $lock<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($lock))
            }
        }

        $(#[$guard_doc])*
        #[must_use = "the lock is released when the guard is dropped"]
        pub struct $guard<'a, T: ?Sized> {
            lock: &'a $lock<T>,
            // Dropped in this order, after the lock is free.
            _critical: sys::Critical,
            _irq: $irq,
            _not_send: PhantomData<*mut ()>,
        }

        // SAFETY: a shared guard gives nothing but `&T`.
        unsafe impl<T: ?Sized + Sync> Sync for $guard<'_, T> {}

        impl<T: ?Sized> Deref for $guard<'_, T> {
            type Target = T;
            #[inline]
            fn deref(&self) -> &T {
                // SAFETY: this guard is the only one of its lock.
                unsafe { &*self.lock.data.get() }
            }
        }

        impl<T: ?Sized> DerefMut for $guard<'_, T> {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: as above, and it is borrowed mutably.
                unsafe { &mut *self.lock.data.get() }
            }
        }

        impl<T: ?Sized> Drop for $guard<'_, T> {
            #[inline]
            fn drop(&mut self) {
                self.lock.taken.unlock();
            }
        }

        impl<T: ?Sized + fmt::Debug> fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&**self, f)
            }
        }
    };
}

spinlock! {
    /// A spinlock around data that interrupt handlers do not touch. Preemption is disabled while
    /// it is held.
    ///
    /// ```
    /// let counter = uklock::SpinLock::new(0);
    /// *counter.lock() += 1;
    /// assert_eq!(counter.into_inner(), 1);
    /// ```
    ///
    /// A guard stays on its CPU:
    ///
    /// ```compile_fail,E0277
    /// let lock: &'static uklock::SpinLock<u32> = Box::leak(Box::default());
    /// let guard = lock.lock();
    /// std::thread::spawn(move || drop(guard));
    /// ```
    SpinLock,
    /// Access to the data of a [`SpinLock`].
    SpinGuard, (), ()
}

spinlock! {
    /// A spinlock around data shared with interrupt handlers: interrupts are disabled while it is
    /// held and put back to what they were afterwards. There is no way to take it otherwise.
    IrqSpinLock,
    /// Access to the data of an [`IrqSpinLock`].
    IrqSpinGuard, IrqGuard, ukplat::irq::disable()
}
