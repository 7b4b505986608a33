//! How an allocator that is divided into shards keeps flows of control apart.
//!
//! A heap with one lock makes all CPUs wait for each other. A heap of shards gives each CPU or
//! thread a part of its own, which is entered without waiting; only what the shards share has a
//! lock. Which flow uses which shard is what [`Shards`] says.

use core::cell::Cell;

use crate::{NoLock, RawLock, SpinLock};

#[cfg(feature = "host")]
mod host;

#[cfg(feature = "host")]
#[cfg(test)]
pub(crate) use host::Numbers;
#[cfg(feature = "host")]
pub use host::ThreadShards;

/// Shards and a lock for what they share.
///
/// # Safety
/// - `Array<T>` is `[T; COUNT]`, and `COUNT` is from 1 to 2¹⁶.
/// - `enter` returns a number below `COUNT`. Until the flow that got it calls `leave` with it, no
///   other `enter` or `adopt` returns the same number. What was written in a shard before `leave` is visible
///   to who enters it next.
/// - Between `lock` and `unlock` no other `lock` returns, as for [`RawLock`].
/// - `CONCURRENT` is only false when all of this is used by one flow of control.
pub unsafe trait Shards: Sync {
    /// Number of shards.
    const COUNT: usize;
    /// Whether several flows may be in different shards at the same time. When not, the allocator
    /// needs no atomic instruction.
    const CONCURRENT: bool;
    /// A value for each shard.
    type Array<T>;

    /// Puts the current flow into its shard and returns its number. Not entered twice by a flow.
    fn enter(&self) -> usize;
    /// Takes the flow out of the shard that it entered.
    ///
    /// # Safety
    /// `shard` must be what `enter` returned to this flow, and not left since.
    unsafe fn leave(&self, shard: usize);

    /// As [`Shards::enter`], for the few instructions of a short path, which would cost more if they
    /// had to wait, or to look out for a second entry. The result may also be a shard that nobody
    /// ever enters, where there is nothing to find. Ended by [`Shards::leave_briefly`] or
    /// [`Shards::stay`].
    #[inline(always)]
    fn enter_briefly(&self) -> usize {
        self.enter()
    }
    /// The path gets longer: the result is the shard to go on in, until [`Shards::leave`].
    ///
    /// # Safety
    /// `shard` must be what `enter_briefly` returned to this flow, and not left since.
    #[inline(always)]
    unsafe fn stay(&self, shard: usize) -> usize {
        shard
    }
    /// Leaves after [`Shards::enter_briefly`].
    ///
    /// # Safety
    /// As [`Shards::stay`].
    #[inline(always)]
    unsafe fn leave_briefly(&self, shard: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.leave(shard) }
    }

    /// Enters another flow's shard when it is known that nobody uses it, as after the end of a
    /// thread; to be left with [`Shards::abandon`]. Called by a flow inside of a shard of its own;
    /// must not wait for a flow that may do the same.
    fn adopt(&self, _shard: usize) -> bool {
        false
    }
    /// Leaves an adopted shard.
    ///
    /// # Safety
    /// `shard` must have been adopted by this flow, and not abandoned since.
    unsafe fn abandon(&self, _shard: usize) {}

    /// Waits until nobody else uses what the shards share. Called inside of a shard.
    fn lock(&self);
    /// Ends what [`Shards::lock`] began.
    ///
    /// # Safety
    /// To be called by the flow that holds the lock.
    unsafe fn unlock(&self);
}

// SAFETY: there is one flow of control (promise of `NoLock::single_threaded`), and a second entry
// of it does not return. What is shared is used inside the one shard.
unsafe impl Shards for NoLock {
    const COUNT: usize = 1;
    const CONCURRENT: bool = false;
    type Array<T> = [T; 1];

    #[inline]
    fn enter(&self) -> usize {
        self.acquire();
        0
    }

    #[inline]
    unsafe fn leave(&self, _shard: usize) {
        self.release();
    }

    // Only an entry during a long path is detected: marking the short ones as well would cost as
    // much as they do.
    #[inline(always)]
    fn enter_briefly(&self) -> usize {
        self.expect_free();
        0
    }

    #[inline]
    unsafe fn stay(&self, _shard: usize) -> usize {
        self.enter()
    }

    #[inline(always)]
    unsafe fn leave_briefly(&self, _shard: usize) {}

    #[inline]
    fn lock(&self) {}

    #[inline]
    unsafe fn unlock(&self) {}
}

/// A shard for each of up to `N` CPUs. Entering the same shard twice, as from an interrupt handler,
/// is detected and ends the image.
#[derive(Debug)]
pub struct CpuShards<const N: usize> {
    current: fn() -> usize,
    busy: [Busy; N],
    shared: SpinLock,
}

/// Written by one CPU all the time, so it has its own cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Busy(Cell<bool>);

// SAFETY: each `Busy` is touched by one CPU only (promise of `new`).
unsafe impl<const N: usize> Sync for CpuShards<N> {}

impl<const N: usize> CpuShards<N> {
    /// Shards for CPUs, of which `current` names the one that calls it.
    ///
    /// # Safety
    /// `current` must return the number of the CPU. A flow must not be switched away from, or
    /// moved to another CPU, inside of the allocator: threads are switched cooperatively, or
    /// preemption is off inside. Interrupt handlers must stay away.
    pub const unsafe fn new(current: fn() -> usize) -> Self {
        assert!(N >= 1 && N <= 1 << 16, "from 1 to 65536 shards");
        Self { current, busy: [const { Busy(Cell::new(false)) }; N], shared: SpinLock::new() }
    }
}

// SAFETY: a CPU has its own shard, and runs no other flow while one is inside (promise of `new`);
// numbers out of range and second entries do not return.
unsafe impl<const N: usize> Shards for CpuShards<N> {
    const COUNT: usize = N;
    const CONCURRENT: bool = true;
    type Array<T> = [T; N];

    #[inline]
    fn enter(&self) -> usize {
        let shard = (self.current)();
        let Some(busy) = self.busy.get(shard) else {
            crate::corrupt("a CPU without a shard allocates")
        };
        if busy.0.replace(true) {
            crate::lock::entered_again();
        }
        shard
    }

    #[inline]
    unsafe fn leave(&self, shard: usize) {
        if let Some(busy) = self.busy.get(shard) {
            busy.0.set(false);
        }
    }

    fn lock(&self) {
        self.shared.acquire();
    }

    unsafe fn unlock(&self) {
        self.shared.release();
    }
}

/// Shards chosen by a number, each under a lock of its own: for flows that may be switched or
/// moved anywhere, as preemptive threads are. The number spreads the flows; that it may be out of
/// date costs time at worst.
#[derive(Debug)]
pub struct LockedShards<const N: usize> {
    spread: fn() -> usize,
    locks: [Line; N],
    shared: SpinLock,
}

#[derive(Debug)]
#[repr(align(64))]
struct Line(SpinLock);

impl<const N: usize> LockedShards<N> {
    /// Shards for flows; `spread` returns any number, best the one of the CPU.
    pub const fn new(spread: fn() -> usize) -> Self {
        assert!(N >= 1 && N <= 1 << 16, "from 1 to 65536 shards");
        Self { spread, locks: [const { Line(SpinLock::new()) }; N], shared: SpinLock::new() }
    }
}

// SAFETY: the shard's lock is held inside of it.
unsafe impl<const N: usize> Shards for LockedShards<N> {
    const COUNT: usize = N;
    const CONCURRENT: bool = true;
    type Array<T> = [T; N];

    #[inline]
    fn enter(&self) -> usize {
        let shard = (self.spread)() % N;
        self.locks[shard].0.acquire();
        shard
    }

    #[inline]
    unsafe fn leave(&self, shard: usize) {
        self.locks[shard].0.release();
    }

    fn adopt(&self, shard: usize) -> bool {
        self.locks[shard].0.try_acquire()
    }

    unsafe fn abandon(&self, shard: usize) {
        self.locks[shard].0.release();
    }

    fn lock(&self) {
        self.shared.acquire();
    }

    unsafe fn unlock(&self) {
        self.shared.release();
    }
}
