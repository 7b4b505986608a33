//! Locks and waiting: as much of them as the configuration needs.
//!
//! ```
//! use uklock::{Condvar, Mutex};
//!
//! static QUEUE: Mutex<Vec<u32>> = Mutex::new(Vec::new());
//! static MORE: Condvar = Condvar::new();
//!
//! QUEUE.lock().push(7);
//! MORE.notify_one();
//! assert_eq!(QUEUE.lock().pop(), Some(7));
//! ```
//!
//! Two features, which the tool sets from the image (a scheduler is in it; it uses more than one
//! CPU), decide what is compiled. What an uncontended operation costs:
//!
//! | primitive | neither | `threads` | `smp` (with or without `threads`) |
//! |---|---|---|---|
//! | [`RawMutex`], [`RawReentrantMutex`] | nothing, 0 bytes | load, compare, store | compare-and-exchange |
//! | [`Mutex`] | a byte, read and written | as `RawMutex` | as `RawMutex` |
//! | [`ReentrantMutex`] | nothing | as `RawReentrantMutex` | as `RawReentrantMutex` |
//! | [`RawRwLock`] | nothing, 0 bytes | load, compare, store | compare-and-exchange |
//! | [`RwLock`] | a word, read and written | as `RawRwLock` | as `RawRwLock` |
//! | [`RawCondvar`], [`Condvar`]: notify | nothing | load, compare | ticket lock, load |
//! | [`Semaphore`] | a word, interrupts disabled | the same | the same in a ticket lock |
//! | [`Barrier`] of one | compare | add, compare | ticket lock, add |
//! | [`Once`], [`OnceLock`], [`LazyLock`], done | load | load | load |
//! | [`RawSpinLock`] | nothing, 0 bytes | preemption disabled | fetch-and-add, store |
//! | [`SpinLock`] | a byte, read and written | the same, preemption disabled | as `RawSpinLock` |
//! | `lock_irq`, [`IrqSpinLock`] | interrupts disabled | the same | the same, and the lock |
//! | [`SeqLock`] read | copy, 2 loads | copy, 2 loads | copy, 2 loads |
//! | [`rcu::read`] | nothing | preemption disabled | preemption disabled |
//! | [`rcu::synchronize`] | nothing | nothing | every CPU quiescent once |
//! | [`WaitQueue`] wake | nothing | interrupts disabled, load | the same in a ticket lock |
//! | [`EventCount`] notify | interrupts disabled | the same, and as `WaitQueue` | fetch-and-add, and as `WaitQueue` |
//!
//! *Preemption disabled* is nothing with cooperative schedulers, and a counter with preemptive
//! ones. With `threads` on one CPU there is no atomic read-modify-write instruction in this crate.
//!
//! What an operation does that has to wait:
//!
//! | | neither | `threads` | `smp` without `threads` |
//! |---|---|---|---|
//! | until something is released | panics: it would be for ever | parks the thread | spins |
//! | the same, with a deadline | idles, times out | parks the thread | spins |
//! | [`Semaphore`], [`WaitQueue`], [`EventCount`] | idles: interrupt handlers end it | parks the thread | spins |
//!
//! The *raw* types hold no data and are for C and POSIX layers. The others stay sound in safe
//! Rust in each configuration: what would give two `&mut` to one value panics, also where nobody
//! else could lock.
//!
//! # Who is woken
//!
//! One thread where one can go on, never the herd; the longest waiting first. Queues are lists of
//! nodes on the stacks of those that wait: nothing is allocated, nothing fails. Semaphores and
//! rwlocks hand over directly; mutexes let others be faster once (see [`RawMutex`]); condition
//! variables move threads to the mutex's queue instead of waking them.
//!
//! # Interrupt handlers
//!
//! They may use [`IrqSpinLock`], [`RawSpinLock::lock_irq`], [`Semaphore::release`] and
//! `try_acquire`, [`WaitQueue::wake_one`] and `wake_all`, [`EventCount::notify`], [`SeqLock`], [`rcu::read`]; nothing else.
//!
//! # Soundness and configuration
//!
//! With neither feature all types are `Sync` although they synchronise nothing: there is one flow
//! of control, beside interrupt handlers that keep to the list above. With `threads` alone, all
//! threads run on one CPU. The tool sets the features so; to build an image otherwise is to break
//! the contract of this crate.
//!
//! # Deadlocks
//!
//! In debug builds, and with the feature `diagnose`, a wait that closes a circle of threads that
//! wait for each other panics with the chain, naming threads, locks and places; [`report`] lists
//! all that is held and waited for.
//!
//! Unsafe code in this crate: the cells behind guards, the lists of waiting threads, the copies
//! of the sequence lock, the pointers of RCU.
#![cfg_attr(not(feature = "host"), no_std)]

mod condvar;
#[cfg(any(feature = "threads", feature = "smp"))]
mod diagnose;
mod event_count;
mod guarded;
mod interrupt;
mod mutex;
mod once_lock;
pub mod rcu;
mod recursive;
mod rwlock;
mod seqlock;
#[cfg(not(any(feature = "threads", feature = "smp")))]
mod single;
mod spin;
mod sys;
#[cfg(any(feature = "threads", feature = "smp"))]
mod waiting;
mod word;

#[cfg(not(any(feature = "threads", feature = "smp")))]
use single as imp;
#[cfg(any(feature = "threads", feature = "smp"))]
use waiting as imp;

use core::fmt;
use core::time::Duration;

pub use condvar::Condvar;
pub use event_count::EventCount;
/// A barrier has no data.
pub use imp::RawBarrier as Barrier;
/// A semaphore has no data.
pub use imp::RawSemaphore as Semaphore;
pub use imp::{
    Once, RawBarrier, RawCondvar, RawMutex, RawReentrantMutex, RawRwLock, RawSemaphore, WaitQueue,
};
pub use interrupt::{Interrupted, Query, interrupted, on_interrupted_query};
pub use mutex::{Mutex, MutexGuard};
pub use once_lock::{LazyLock, OnceLock};
pub use recursive::{ReentrantMutex, ReentrantMutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use seqlock::{Plain, SeqLock};
pub use spin::{IrqSpinGuard, IrqSpinLock, RawSpinGuard, RawSpinLock, SpinGuard, SpinLock};
#[cfg(all(feature = "smp", not(feature = "threads"), not(feature = "host")))]
pub use sys::cpu_index;
/// For models of priority inheritance.
#[cfg(all(feature = "model", feature = "inherit", any(feature = "threads", feature = "smp")))]
pub use sys::{current_priority, set_priority};

/// Threads of models, for those that model what waits without these locks.
#[cfg(all(feature = "model", any(feature = "threads", feature = "smp")))]
pub mod model {
    pub use crate::sys::{ThreadRef, Wakeup, current, park};
}

/// The monotonic time in nanoseconds that is `from_now` away, for the functions with a deadline.
///
/// ```
/// use std::time::Duration;
/// let lock = uklock::Mutex::new(1);
/// let _held = lock.lock();
/// assert!(lock.lock_until(uklock::deadline(Duration::from_millis(1))).is_none());
/// ```
pub fn deadline(from_now: Duration) -> u64 {
    let nanoseconds = u64::try_from(from_now.as_nanos()).unwrap_or(u64::MAX);
    ukplat::monotonic_ns().saturating_add(nanoseconds)
}

/// Lists who holds and who waits for what, as far as it is recorded (debug builds, and the
/// feature `diagnose`).
pub fn report(out: &mut dyn fmt::Write) -> fmt::Result {
    #[cfg(any(feature = "threads", feature = "smp"))]
    return diagnose::report(out);
    #[cfg(not(any(feature = "threads", feature = "smp")))]
    writeln!(out, "one flow of control: nothing waits for a lock")
}

macro_rules! debug_by_name {
    ($($name:ident)*) => {
        $(
            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(stringify!($name))
                }
            }
        )*
    };
}
debug_by_name! {
    Once RawBarrier RawCondvar RawMutex RawReentrantMutex RawRwLock RawSemaphore WaitQueue
}

/// Boot phase `lock`: with threads on several CPUs, RCU learns from the scheduler when CPUs read
/// nothing.
///
/// # Errors
/// None.
pub fn init(_boot: &'static ukplat::BootInfo) -> Result<(), ukplat::InitError> {
    #[cfg(all(feature = "threads", feature = "smp", not(feature = "host")))]
    {
        static HOOKS: uksched::CpuHooks = uksched::CpuHooks {
            // SAFETY: the scheduler passes the number of the CPU it is on, and
            // calls where no thread there has preemption disabled, as read sections have.
            quiescent: |cpu| unsafe { rcu::quiescent(cpu) },
            // SAFETY: as above.
            offline: |cpu| unsafe { rcu::offline(cpu) },
            // SAFETY: as above.
            online: |cpu| unsafe { rcu::online(cpu) },
        };
        uksched::on_cpu_events(&HOOKS);
    }
    Ok(())
}
