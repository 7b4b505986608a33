//! Threads that were woken for a CPU: by interrupt handlers, by other CPUs, or by its own threads.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;

use ukalloc::RawLock;

use crate::sys::atomic::AtomicBool;
use crate::{Queue, Ready, sys};

/// A queue that anybody may put threads into. The CPU it belongs to takes them out.
pub struct Inbox {
    queue: UnsafeCell<Queue>,
    lock: IrqLock,
    /// Whether the CPU has to look: something is in the queue, or the timer has expired.
    attention: AtomicBool,
}

// SAFETY: the queue is only reached through `with`, which excludes everybody else.
unsafe impl Sync for Inbox {}

impl Inbox {
    pub const fn new() -> Self {
        Self {
            queue: UnsafeCell::new(Queue::new()),
            lock: IrqLock::new(),
            attention: AtomicBool::new(false),
        }
    }

    fn with<R>(&self, work: impl FnOnce(&mut Queue) -> R) -> R {
        // Interrupt handlers put threads in: they must not come while this CPU is inside.
        let _no_interrupts = sys::irq::disable();
        self.lock.acquire();
        // SAFETY: interrupts are disabled and other CPUs are locked out; `work` is code of this file.
        let result = work(unsafe { &mut *self.queue.get() });
        self.lock.release();
        result
    }

    /// Puts a thread in.
    pub fn push(&self, thread: Ready) {
        self.with(|queue| queue.push(thread));
        self.call();
    }

    /// Makes the CPU look.
    #[inline]
    pub fn call(&self) {
        self.attention.store(true, Ordering::Release);
    }

    /// Whether the CPU has to look.
    #[inline]
    pub fn calls(&self) -> bool {
        self.attention.load(Ordering::Acquire)
    }

    /// Takes everything out. What comes meanwhile calls again.
    pub fn take(&self) -> Queue {
        self.attention.store(false, Ordering::Release);
        self.with(core::mem::take)
    }
}

/// Excludes other CPUs while interrupts are disabled.
#[cfg(feature = "smp")]
type IrqLock = sys::SpinLock;

/// Without other CPUs there is nobody to exclude.
#[cfg(not(feature = "smp"))]
struct IrqLock;

#[cfg(not(feature = "smp"))]
impl IrqLock {
    const fn new() -> Self {
        Self
    }
}

#[cfg(not(feature = "smp"))]
// SAFETY: `Inbox::with` disables interrupts, and there is no other CPU.
unsafe impl RawLock for IrqLock {
    #[inline]
    fn acquire(&self) {}
    #[inline]
    fn release(&self) {}
}
