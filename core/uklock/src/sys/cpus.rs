//! Several CPUs that each run to completion: a CPU is a thread, and waits by spinning.

use core::fmt;

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
    /// CPUs have no priorities.
    #[cfg(feature = "inherit")]
    pub fn priority(self) -> u8 {
        0
    }
    #[cfg(feature = "inherit")]
    pub fn base_priority(self) -> u8 {
        0
    }
    #[cfg(feature = "inherit")]
    pub fn inherit_priority(self, _priority: u8) {}
    #[cfg(feature = "inherit")]
    pub fn lock_words(self) -> Option<&'static [atomic::AtomicUsize; 2]> {
        None
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

/// The index of this CPU.
pub fn cpu_index() -> usize {
    ukplat::cpu_id()
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

/// A spin loop goes round once more, after some time.
#[inline]
pub fn relax() {
    ukplat::relax();
}
