//! Several CPUs that each run to completion: a CPU is a thread, and waits by spinning.

use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::Wakeup;

pub use core::sync::atomic;

/// Nothing: no scheduler preempts.
pub struct Critical;

#[inline(always)]
pub fn critical() -> Critical {
    Critical
}

/// A CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadRef(usize);

impl ThreadRef {
    #[inline(always)]
    pub fn to_usize(self) -> usize {
        self.0
    }
    #[inline(always)]
    pub fn from_usize(word: usize) -> Self {
        Self(word)
    }
    /// The waiting CPU watches memory; nothing is to be sent.
    #[inline(always)]
    pub fn unpark(self) {}
    #[inline(always)]
    pub fn is_running(self) -> bool {
        true
    }
}

impl fmt::Display for ThreadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU {}", (self.0 >> 3) - 1)
    }
}

static CPU_INDEX: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Says how a CPU learns its index, before the second CPU starts. (With a scheduler this is not
/// needed and does not exist.)
pub fn set_cpu_index(index: fn() -> usize) {
    CPU_INDEX.store(index as *mut (), Ordering::Release);
}

/// The index of this CPU; 0 until [`set_cpu_index`] was called.
pub fn cpu_index() -> usize {
    let index = CPU_INDEX.load(Ordering::Acquire);
    if index.is_null() {
        return 0;
    }
    // SAFETY: only `set_cpu_index` stores here, and it takes a `fn() -> usize`.
    let index = unsafe { core::mem::transmute::<*mut (), fn() -> usize>(index) };
    index()
}

/// This CPU.
#[inline]
pub fn current() -> ThreadRef {
    // Not zero, and three low bits free, as of a pointer.
    ThreadRef((cpu_index() + 1) << 3)
}

/// Spins a little.
pub fn park(deadline_ns: Option<u64>) -> Wakeup {
    match deadline_ns {
        Some(deadline) if ukplat::monotonic_ns() >= deadline => Wakeup::TimedOut,
        _ => {
            relax();
            Wakeup::Token
        }
    }
}

/// A place where a model would switch threads.
#[inline(always)]
pub fn interleave() {}

/// A spin loop goes round once more.
#[inline]
pub fn relax() {
    core::hint::spin_loop();
}
