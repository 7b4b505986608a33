//! Read-copy-update: readers pay nothing, writers wait until nobody reads the old value.
//!
//! A reader is a section in which its CPU does not switch threads ([`read`]). A *quiescent state*
//! of a CPU is any moment outside such sections that the scheduler tells us of. When every CPU has
//! been quiescent once since a value was unlinked, no reader has it any more: a *grace period* is
//! over, and the old value can go.
//!
//! The scheduler calls, the first three with several CPUs only:
//!
//! * [`quiescent`] at each context switch and each time the idle loop goes round;
//! * [`offline`] before a CPU halts in idle or stops, [`online`] when it goes on. A CPU starts
//!   offline; readers must be on CPUs that are online.
//!
//! With one CPU a thread that runs outside a section proves that no reader is anywhere, for
//! sections are not preempted: a grace period is over at once, and those hooks are nothing. This
//! holds as long as readers keep the rule of not waiting inside a section.
//!
//! What `Rcu::replace_later` leaves is dropped by a thread `rcu`, made when the first value is left,
//! or where there are no threads by whoever calls [`reclaim`] now and then.
//!
//! The hooks are `unsafe`, because one that is called inside a section takes values from under
//! its reader.
//!
//! Interrupt handlers may read. Who unlinks a value keeps other writers away by a mutex, as
//! `Rcu` does.

use core::fmt;
use core::marker::PhantomData;

use crate::sys;

/// A section in which what was found under RCU stays; not preempted, and must not wait.
#[must_use = "what is read may go when the guard is dropped"]
pub struct ReadGuard {
    _critical: sys::Critical,
    // Belongs to its CPU.
    _not_send: PhantomData<*mut ()>,
}

impl fmt::Debug for ReadGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadGuard")
    }
}

/// Starts to read. Sections nest.
#[inline(always)]
pub fn read() -> ReadGuard {
    ReadGuard { _critical: sys::critical(), _not_send: PhantomData }
}

/// CPUs that can take part.
pub const MAX_CPUS: usize = 64;

/// This CPU is outside all sections: called by the scheduler at context switches and when idle.
/// One load and a store, of which only the store goes to memory that this CPU alone writes.
///
/// # Safety
/// `cpu` is the calling CPU's index, below [`MAX_CPUS`], and no section is open on it.
#[inline(always)]
pub unsafe fn quiescent(cpu: usize) {
    #[cfg(feature = "smp")]
    domain::GLOBAL.quiescent(cpu);
    #[cfg(not(feature = "smp"))]
    let _ = cpu;
}

/// This CPU reads nothing until it is online again: called before it halts, and before it stops.
///
/// # Safety
/// `cpu` is the calling CPU's index, below [`MAX_CPUS`], and no section is open on it.
#[inline(always)]
pub unsafe fn offline(cpu: usize) {
    #[cfg(feature = "smp")]
    domain::GLOBAL.offline(cpu);
    #[cfg(not(feature = "smp"))]
    let _ = cpu;
}

/// This CPU may read: called when it starts, and when it goes on after a halt.
///
/// # Safety
/// `cpu` is the calling CPU's index, below [`MAX_CPUS`], and no section is open on it.
#[inline(always)]
pub unsafe fn online(cpu: usize) {
    #[cfg(feature = "smp")]
    domain::GLOBAL.online(cpu);
    #[cfg(not(feature = "smp"))]
    let _ = cpu;
}

/// Waits until all readers are gone that may have seen what was unlinked before; but for those of
/// the calling thread: call it outside sections.
pub fn synchronize() {
    #[cfg(feature = "smp")]
    domain::GLOBAL.synchronize();
}

#[cfg(feature = "smp")]
pub(crate) mod domain {
    use core::sync::atomic::Ordering;

    use super::MAX_CPUS;
    use crate::sys;
    use crate::sys::atomic::{AtomicUsize, fence};

    /// What one CPU has seen; a cache line of its own.
    #[repr(align(64))]
    struct Cpu {
        /// The grace period that was the newest when it was last quiescent, or `OFFLINE`.
        seen: AtomicUsize,
    }

    const OFFLINE: usize = 0;

    pub(super) static GLOBAL: Domain = Domain::new();

    /// Grace periods and who has seen them.
    pub(crate) struct Domain {
        /// The newest grace period that somebody waits for.
        newest: AtomicUsize,
        cpus: [Cpu; MAX_CPUS],
    }

    impl Domain {
        pub const fn new() -> Self {
            Self {
                newest: AtomicUsize::new(1),
                cpus: [const { Cpu { seen: AtomicUsize::new(OFFLINE) } }; MAX_CPUS],
            }
        }

        #[inline(always)]
        pub fn quiescent(&self, cpu: usize) {
            // Acquire: sections from here on see what was unlinked before that period began.
            let newest = self.newest.load(Ordering::Acquire);
            let seen = &self.cpus[cpu].seen;
            if seen.load(Ordering::Relaxed) != newest {
                // Release: the reads of the sections up to here are over.
                seen.store(newest, Ordering::Release);
            }
        }

        pub fn offline(&self, cpu: usize) {
            self.cpus[cpu].seen.store(OFFLINE, Ordering::Release);
        }

        pub fn online(&self, cpu: usize) {
            self.cpus[cpu].seen.store(self.newest.load(Ordering::Acquire), Ordering::Relaxed);
            // Either a writer sees that this CPU is online, or the sections from here on see what
            // that writer unlinked: the other half is in `begin`.
            fence(Ordering::SeqCst);
        }

        /// Starts a grace period; returns its number.
        pub fn begin(&self) -> usize {
            // AcqRel: what was unlinked before is seen by who sees the number.
            let period = self.newest.fetch_add(1, Ordering::AcqRel) + 1;
            fence(Ordering::SeqCst);
            period
        }

        /// Whether this grace period is over.
        pub fn is_over(&self, period: usize) -> bool {
            self.cpus.iter().all(|cpu| {
                let seen = cpu.seen.load(Ordering::Acquire);
                seen == OFFLINE || seen >= period
            })
        }

        pub fn synchronize(&self) {
            let period = self.begin();
            #[cfg(not(any(feature = "threads", feature = "host")))]
            self.pass(crate::cpu_index(), period);
            let mut looks = 0;
            while !self.is_over(period) {
                looks += 1;
                wait(looks);
            }
        }

        /// The CPU that waits is outside sections itself.
        #[cfg(not(any(feature = "threads", feature = "host")))]
        fn pass(&self, cpu: usize, period: usize) {
            let seen = &self.cpus[cpu].seen;
            if seen.load(Ordering::Relaxed) != OFFLINE {
                seen.fetch_max(period, Ordering::Release);
            }
        }
    }

    /// Lets other threads have the CPU, which makes it quiescent too; longer and longer, as grace
    /// periods last as long as the longest section or time slice.
    #[cfg(any(feature = "threads", feature = "host"))]
    fn wait(looks: u32) {
        const FIRST_NS: u64 = 10_000;
        let pause = FIRST_NS << looks.min(7);
        let _ = sys::park(Some(ukplat::monotonic_ns() + pause));
        // `park` may return early, and then the other CPUs need a moment.
        sys::relax();
    }

    #[cfg(not(any(feature = "threads", feature = "host")))]
    fn wait(_looks: u32) {
        sys::relax();
    }
}

#[cfg(feature = "alloc")]
pub use owned::{Rcu, reclaim};

#[cfg(feature = "alloc")]
mod owned {
    extern crate alloc;

    use alloc::boxed::Box;
    use core::fmt;
    use core::marker::PhantomData;
    use core::ptr;
    use core::sync::atomic::Ordering;

    use super::ReadGuard;
    use crate::Mutex;
    use crate::guarded::Guarded;
    #[cfg(any(feature = "threads", feature = "smp"))]
    use crate::sys::atomic::AtomicPtr;
    #[cfg(not(any(feature = "threads", feature = "smp")))]
    use core::sync::atomic::AtomicPtr;

    /// A value on the heap that is read without waiting and replaced as a whole.
    ///
    /// ```
    /// use uklock::rcu::{self, Rcu};
    /// let routes = Rcu::new(vec![1, 2]);
    /// let guard = rcu::read();
    /// assert_eq!(routes.get(&guard).len(), 2);
    /// drop(guard);
    /// routes.replace_later(vec![3]); // the old one is dropped when nobody reads it
    /// // SAFETY: outside sections.
    /// let old = unsafe { routes.replace(vec![4]) }; // waits for readers of the old one
    /// assert_eq!(old, [3]);
    /// ```
    ///
    /// What is read goes with the section:
    ///
    /// ```compile_fail,E0505
    /// use uklock::rcu::{self, Rcu};
    /// let routes = Rcu::new(vec![1, 2]);
    /// let guard = rcu::read();
    /// let first = &routes.get(&guard)[0];
    /// drop(guard);
    /// println!("{first}");
    /// ```
    pub struct Rcu<T> {
        current: AtomicPtr<T>,
        writers: Mutex<()>,
        _owns: PhantomData<Box<T>>,
    }

    // SAFETY: readers share the value (`Sync`); the one who replaces gets it whole (`Send`).
    unsafe impl<T: Send + Sync> Sync for Rcu<T> {}
    // SAFETY: it owns the value.
    unsafe impl<T: Send> Send for Rcu<T> {}

    impl<T> Rcu<T> {
        /// Puts `value` on the heap.
        pub fn new(value: T) -> Self {
            Self {
                current: AtomicPtr::new(Box::into_raw(Box::new(value))),
                writers: Mutex::new(()),
                _owns: PhantomData,
            }
        }

        /// The value as it is now, for as long as the section lasts.
        #[inline]
        pub fn get<'a>(&'a self, _section: &'a ReadGuard) -> &'a T {
            // SAFETY: `replace` takes the value back only when all sections that could have seen
            // it are over, and this borrows one; `drop` has no readers.
            unsafe { &*self.current.load(Ordering::Acquire) }
        }

        /// Replaces the value by what `f` makes of it; returns the old one.
        fn unlink(&self, f: impl FnOnce(&T) -> T) -> *mut T {
            let _writer = self.writers.lock();
            let old = self.current.load(Ordering::Relaxed);
            // SAFETY: it is the current value, and only writers, of which this is the one,
            // unlink it.
            let new = Box::into_raw(Box::new(f(unsafe { &*old })));
            self.current.store(new, Ordering::Release);
            old
        }

        /// Replaces the value, waits until nobody reads the old one, and returns it.
        ///
        /// # Safety
        /// The calling thread is outside sections: one of its own would not be waited for.
        pub unsafe fn replace(&self, value: T) -> T {
            let old = self.unlink(|_| value);
            super::synchronize();
            // SAFETY: `Box::into_raw` gave it; it was unlinked by this call alone, and readers
            // that saw it are gone, also of this thread (contract).
            *unsafe { Box::from_raw(old) }
        }

        /// Replaces the value by what `f` makes of it, while other writers wait; drops the old one
        /// when nobody reads it.
        ///
        /// # Safety
        /// The calling thread is outside sections: one of its own would not be waited for.
        pub unsafe fn update(&self, f: impl FnOnce(&T) -> T) {
            let old = self.unlink(f);
            super::synchronize();
            // SAFETY: as in `replace`.
            drop(unsafe { Box::from_raw(old) });
        }
    }

    impl<T: Send + 'static> Rcu<T> {
        /// Replaces the value without waiting for readers; the old one is dropped when nobody reads
        /// it, by a thread of this library. Without threads [`reclaim`] has to be called. Costs a
        /// small allocation.
        pub fn replace_later(&self, value: T) {
            let old = self.unlink(|_| value);
            #[cfg(feature = "smp")]
            let period = super::domain::GLOBAL.begin();
            let retired = Box::new(Retired {
                _value: Old(old),
                #[cfg(feature = "smp")]
                period,
                next: None,
            });
            RETIRED.with(|list| push(list, retired));
            #[cfg(all(feature = "threads", not(feature = "host")))]
            reclaimer::call();
        }
    }

    /// An old value that may still be read.
    struct Retired<T: ?Sized + Send = dyn Anything> {
        #[cfg(feature = "smp")]
        period: usize,
        next: Option<Box<Retired>>,
        /// Here to be dropped.
        _value: T,
    }

    /// A value that was unlinked. Not a `Box` yet: readers have references to it.
    struct Old<T>(*mut T);

    // SAFETY: it owns the value.
    unsafe impl<T: Send> Send for Old<T> {}

    impl<T> Drop for Old<T> {
        fn drop(&mut self) {
            // SAFETY: `Box::into_raw` gave it, and it was unlinked once. `reclaim` drops this when
            // readers that saw the value are gone.
            drop(unsafe { Box::from_raw(self.0) });
        }
    }

    /// What only can be dropped.
    trait Anything: Send {}
    impl<T: Send> Anything for T {}

    static RETIRED: Guarded<Option<Box<Retired>>> = Guarded::new(None);

    fn push(list: &mut Option<Box<Retired>>, mut retired: Box<Retired>) {
        retired.next = list.take();
        *list = Some(retired);
    }

    /// Drops the values left by [`Rcu::replace_later`] that nobody reads any more; returns how many
    /// wait still.
    ///
    /// # Safety
    /// The calling thread is outside sections.
    pub unsafe fn reclaim() -> usize {
        let mut left: Option<Box<Retired>> = None;
        let mut list = RETIRED.with(Option::take);
        while let Some(mut retired) = list {
            list = retired.next.take();
            #[cfg(feature = "smp")]
            if !super::domain::GLOBAL.is_over(retired.period) {
                push(&mut left, retired);
                continue;
            }
            drop(retired);
        }
        let mut count = 0;
        while let Some(mut retired) = left {
            left = retired.next.take();
            RETIRED.with(|list| push(list, retired));
            count += 1;
        }
        count
    }

    /// The thread that drops what nobody reads any more.
    #[cfg(all(feature = "threads", not(feature = "host")))]
    mod reclaimer {
        use crate::guarded::Guarded;

        enum State {
            None,
            Begins,
            Runs(uksched::ThreadRef),
        }

        static STATE: Guarded<State> = Guarded::new(State::None);

        /// Something was left.
        pub fn call() {
            let (begins, thread) = STATE.with(|state| match state {
                State::None => {
                    *state = State::Begins;
                    (true, None)
                }
                // Who makes it wakes it once more.
                State::Begins => (false, None),
                State::Runs(thread) => (false, Some(*thread)),
            });
            if begins {
                begin();
            }
            if let Some(thread) = thread {
                thread.unpark();
            }
        }

        fn begin() {
            let made = uksched::spawn("rcu", run);
            // Without memory for it now, the next value left is the next try.
            let thread = made.ok().map(|handle| handle.thread());
            STATE.with(|state| *state = thread.map_or(State::None, State::Runs));
            if let Some(thread) = thread {
                thread.unpark();
            }
        }

        fn run() {
            loop {
                // SAFETY: this function reads nothing.
                if unsafe { super::reclaim() } == 0 {
                    let _ = uksched::park(None);
                } else {
                    super::super::synchronize();
                }
            }
        }
    }

    impl<T> Drop for Rcu<T> {
        fn drop(&mut self) {
            let last = self.current.load(Ordering::Relaxed);
            debug_assert_ne!(last, ptr::null_mut());
            // SAFETY: `Box::into_raw` gave it; nobody has a reference to `self`, hence to it.
            drop(unsafe { Box::from_raw(last) });
        }
    }

    impl<T> fmt::Debug for Rcu<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Rcu")
        }
    }
}
