//! Several CPUs: starting them, interrupting them, data that each has for itself.
//!
//! An image is made for at most so many CPUs as its manifest says. When that is one, everything
//! here is constant: [`cpu_id`] is 0, [`PerCpu`] a plain value.
//!
//! ```
//! use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
//! use ukplat::{PerCpu, per_cpu};
//!
//! static COUNTERS: PerCpu<AtomicU64> = per_cpu!(AtomicU64::new(0));
//! COUNTERS.get().fetch_add(3, Relaxed);
//! let sum: u64 = COUNTERS.iter().map(|c| c.load(Relaxed)).sum();
//! assert_eq!(sum, 3);
//! ```

use core::fmt;
use core::ops::Range;

use crate::platform::bound;

/// CPUs an image can use at most.
#[cfg(feature = "smp")]
pub const MAX_CPUS: usize = 64;
/// CPUs an image can use at most.
#[cfg(not(feature = "smp"))]
pub const MAX_CPUS: usize = 1;

/// Why a CPU was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuError {
    /// There is no CPU of that number: they go from 0 to [`cpu_count`].
    NoSuchCpu,
    /// It runs already.
    Running,
    /// It gave no sign of life.
    NoAnswer,
    /// There is no memory for its tables and stacks.
    NoMemory,
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CpuError::NoSuchCpu => "there is no such CPU",
            CpuError::Running => "the CPU runs already",
            CpuError::NoAnswer => "the CPU gave no sign of life",
            CpuError::NoMemory => "no memory for the CPU's tables and stacks",
        })
    }
}

impl core::error::Error for CpuError {}

/// Number of the CPU that runs this, from 0, which is the one that boots. When preemption can move
/// the running flow to another CPU, the answer may be old at once.
#[inline(always)]
pub fn cpu_id() -> usize {
    #[cfg(feature = "smp")]
    return (bound().cpu_id)();
    #[cfg(not(feature = "smp"))]
    0
}

/// Number of CPUs that can be used, started or not: those of the machine, at most so many as the
/// image is made for.
#[inline]
pub fn cpu_count() -> usize {
    #[cfg(feature = "smp")]
    return (bound().cpu_count)();
    #[cfg(not(feature = "smp"))]
    1
}

/// Starts a CPU: it calls `entry` with `argument` on the stack that ends at `stack_top`, with
/// interrupts disabled and preemption enabled; `entry` enables interrupts with
/// [`irq::enable`](crate::irq::enable) when it is ready for them.
///
/// # Errors
/// See [`CpuError`]. In images for one CPU always [`CpuError::NoSuchCpu`].
///
/// # Safety
/// The stack must be writable memory used by nothing else, as long as the image runs, and enough
/// for what `entry` does.
pub unsafe fn cpu_start(
    cpu: usize,
    stack_top: usize,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
) -> Result<(), CpuError> {
    if cpu >= cpu_count() {
        return Err(CpuError::NoSuchCpu);
    }
    if cpu == 0 {
        return Err(CpuError::Running);
    }
    // SAFETY: the caller's promise.
    unsafe { (bound().cpu_start)(cpu, stack_top, entry, argument) }
}

/// To be called by a CPU that was started, before it does anything for the program: from here on its
/// CPU time is counted, if anybody wants to know.
#[inline]
pub fn cpu_started() {
    #[cfg(feature = "cpu-time")]
    crate::busy::run();
}

/// Interrupts a CPU, which may be the calling one: ends its [`idle_until`](crate::idle_until) and
/// runs the handler of [`on_cpu_interrupt`] there. Several interrupts may arrive as one. Does
/// nothing to a CPU that was not started.
#[inline]
pub fn cpu_interrupt(cpu: usize) {
    (bound().cpu_interrupt)(cpu)
}

/// Sets the function that CPUs call, with interrupts disabled, when they are interrupted by
/// [`cpu_interrupt`]. It must not allocate or wait.
pub fn on_cpu_interrupt(handler: fn()) {
    (bound().on_cpu_interrupt)(handler)
}

/// Makes all other running CPUs forget how they translate the addresses of a range, after its page
/// tables were changed, and waits until they have. The calling CPU does its own part itself.
/// Other CPUs must not keep interrupts disabled while they wait for the caller. Does nothing where
/// the platform's tables are somebody else's, as on `linuxu`.
#[inline]
pub fn tlb_flush_others(range: Range<usize>) {
    #[cfg(feature = "smp")]
    (bound().tlb_flush_others)(range);
    #[cfg(not(feature = "smp"))]
    let _ = range;
}

/// A value in cache lines of its own, so that CPUs that use neighbours do not disturb each other.
/// Two lines of 64 bytes, because CPUs fetch them in pairs.
#[derive(Debug, Default)]
#[cfg_attr(feature = "smp", repr(align(128)))]
pub struct Padded<T>(pub T);

/// A value for each CPU.
#[derive(Debug)]
pub struct PerCpu<T>([Padded<T>; MAX_CPUS]);

/// A [`PerCpu`] whose values are all the given constant expression.
#[macro_export]
macro_rules! per_cpu {
    ($value:expr) => {
        $crate::PerCpu::new([const { $crate::cpu::Padded($value) }; $crate::cpu::MAX_CPUS])
    };
}

impl<T> PerCpu<T> {
    /// The values of all CPUs, CPU 0 first; see [`per_cpu!`](crate::per_cpu).
    pub const fn new(values: [Padded<T>; MAX_CPUS]) -> Self {
        Self(values)
    }

    /// The value of the CPU that runs this. Unless preemption is disabled, the flow may be on
    /// another CPU by the time the value is used.
    #[inline]
    pub fn get(&self) -> &T {
        let cpu = cpu_id();
        // SAFETY: CPUs have numbers below `MAX_CPUS`: platforms count no others.
        unsafe { &self.0.get_unchecked(cpu).0 }
    }

    /// The value of a CPU.
    #[inline]
    pub fn of(&self, cpu: usize) -> Option<&T> {
        self.0.get(cpu).map(|padded| &padded.0)
    }

    /// The values of all CPUs that the image can have.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }
}
