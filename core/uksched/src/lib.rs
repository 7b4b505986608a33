//! Threads: creation, switching, waiting with deadlines; policies are libraries of their own.
//!
//! A [`Policy`] (one of the libraries in `sched/`) decides who runs next; this library does the
//! rest: stacks, switching, sleeping, waking. The generated root crate binds the policy of the
//! image with [`bind!`], so that no call is indirect. An image without a scheduler contains none of
//! this; one with several CPUs may have several schedulers, an [`Instance`] each.
//!
//! Waiting rests on one pair of calls, [`park`] and [`ThreadRef::unpark`], with a token as in the
//! standard library: a token that comes first is kept, so a wake-up is never lost. What waits for
//! more than that (mutexes, queues) is built on them, in `uklock`.
//!
//! ```no_run
//! let worker = uksched::Builder::new("worker").spawn(|| 6 * 7)?;
//! assert_eq!(worker.join(), Ok(42));
//! # Ok::<(), uksched::SpawnError>(())
//! ```
//!
//! Each thread belongs to one CPU at a time. What belongs to a CPU (its policy, its timers) is
//! touched by that CPU alone, outside of interrupt handlers; others leave woken threads in the
//! CPU's inbox.
#![cfg_attr(not(any(test, feature = "model")), no_std)]

mod bind;
mod completion;
mod core_loop;
mod cpu;
mod either;
mod foreign;
mod hooks;
mod inbox;
mod instance;
mod parker;
mod policy;
mod queue;
mod report;
mod spawn;
mod stack;
mod sys;
mod thread;

pub use bind::{
    Bound, CpuHooks, PreemptGuard, Table, cpus, init, is_mixed, is_preemptive, on_cpu_events, park,
    preempt_disable, sleep_until, yield_now,
};
pub use completion::{RunToCompletion, run_on};
pub use cpu::Cpu;
pub use either::Either;
pub use foreign::{enter_stack, leave_stack};
pub use hooks::{Hook, MAX_HOOKS, add_hook};
pub use instance::{Instance, instance_of, instances};
pub use policy::{Policy, Reason};
pub use queue::{Queue, Ready};
#[cfg(feature = "model")]
pub mod model {
    //! The machine of the models.
    pub use crate::sys::{Machine, cpu_id, interrupts, monotonic_ns};
}

pub use spawn::{Builder, Exited, JoinHandle, MIN_STACK, SpawnError, exit, spawn};
pub use thread::{
    Name, PRIORITIES, SavedStack, ThreadRef, ThreadStats, current, set_thread_pointer, threads,
    try_current,
};

/// Options of the library.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Stack in bytes of a thread that does not ask for another size.
    pub stack_size: u64,
    /// Stacks of ended threads that are kept.
    pub stack_cache: i64,
}

/// How a call of [`park`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// By a token of [`ThreadRef::unpark`].
    Token,
    /// The deadline is over.
    TimedOut,
}
