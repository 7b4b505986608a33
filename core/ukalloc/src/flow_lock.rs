//! The lock of an image's heaps: as much as its configuration needs.

use core::cell::Cell;

use ukplat::preempt::{self, PreemptGuard};

use crate::{RawLock, Shards, SpinLock};

/// A lock chosen by two facts about the image: whether threads can lose the CPU against their will,
/// and how many CPUs there are. With neither it only detects a second entry; with preemption it
/// keeps the CPU for the few instructions inside; with several CPUs it also spins.
///
/// Interrupt handlers must stay away: they do not allocate.
#[derive(Debug)]
pub struct FlowLock<const PREEMPTIVE: bool, const CPUS: usize> {
    busy: Cell<bool>,
    spin: SpinLock,
}

// SAFETY: `busy` is touched with the lock held only, or in images with one flow of control inside
// (promise of `new`).
unsafe impl<const PREEMPTIVE: bool, const CPUS: usize> Sync for FlowLock<PREEMPTIVE, CPUS> {}

impl<const PREEMPTIVE: bool, const CPUS: usize> FlowLock<PREEMPTIVE, CPUS> {
    /// A free lock.
    ///
    /// # Safety
    /// The parameters must be true of the image: threads are only switched where they wait or yield
    /// unless `PREEMPTIVE`, and at most `CPUS` CPUs run.
    pub const unsafe fn new() -> Self {
        Self { busy: Cell::new(false), spin: SpinLock::new() }
    }
}

// SAFETY: with several CPUs the spin lock excludes the others, and preemption is disabled before, so
// that the holder is not switched away from. With one CPU nothing comes between `acquire` and
// `release`: preemption is disabled, or does not exist (promise of `new`).
unsafe impl<const PREEMPTIVE: bool, const CPUS: usize> RawLock for FlowLock<PREEMPTIVE, CPUS> {
    #[inline]
    fn acquire(&self) {
        if PREEMPTIVE {
            core::mem::forget(preempt::disable());
        }
        if CPUS > 1 {
            self.spin.acquire();
        } else if self.busy.replace(true) {
            crate::lock::entered_again();
        }
    }

    #[inline]
    fn release(&self) {
        if CPUS > 1 {
            self.spin.release();
        } else {
            self.busy.set(false);
        }
        if PREEMPTIVE {
            // SAFETY: `acquire` left one guard behind on this flow.
            drop(unsafe { PreemptGuard::adopt() });
        }
    }
}

// SAFETY: with one CPU, `acquire` lets one flow inside of the one shard at a time. With several,
// preemption is disabled inside or does not exist, so that a flow stays on its CPU, whose shard
// no other CPU enters; a flow that is switched away from inside does not exist, as allocators do
// not wait. What is shared has the spin lock.
unsafe impl<const PREEMPTIVE: bool, const CPUS: usize> Shards for FlowLock<PREEMPTIVE, CPUS> {
    const COUNT: usize = CPUS;
    const CONCURRENT: bool = CPUS > 1;
    type Array<T> = [T; CPUS];

    #[inline]
    fn enter(&self) -> usize {
        if CPUS == 1 {
            self.acquire();
            return 0;
        }
        if PREEMPTIVE {
            core::mem::forget(preempt::disable());
        }
        let cpu = ukplat::cpu_id();
        assert!(cpu < CPUS, "a CPU that the image does not use allocates");
        cpu
    }

    #[inline]
    unsafe fn leave(&self, _shard: usize) {
        if CPUS == 1 {
            self.release();
        } else if PREEMPTIVE {
            // SAFETY: `enter` left one guard behind on this flow.
            drop(unsafe { PreemptGuard::adopt() });
        }
    }

    fn lock(&self) {
        if CPUS > 1 {
            self.spin.acquire();
        }
    }

    unsafe fn unlock(&self) {
        if CPUS > 1 {
            self.spin.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preemption_is_off_inside() {
        // SAFETY: the test is one flow of control.
        let lock = unsafe { FlowLock::<true, 1>::new() };
        assert!(preempt::is_enabled());
        lock.acquire();
        assert!(!preempt::is_enabled());
        lock.release();
        assert!(preempt::is_enabled());
    }

    #[test]
    fn several_cpus_exclude_each_other() {
        // SAFETY: with a spin lock any number of flows may come.
        static LOCK: FlowLock<false, 4> = unsafe { FlowLock::new() };
        static mut COUNT: u32 = 0;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        LOCK.acquire();
                        // SAFETY: the lock is held.
                        unsafe { COUNT += 1 };
                        LOCK.release();
                    }
                });
            }
        });
        // SAFETY: the other threads have ended.
        assert_eq!(unsafe { COUNT }, 4000);
    }
}
