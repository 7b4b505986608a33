//! Runs futures as tasks without stacks: timers, wakers for interrupts and other CPUs.
//!
//! An [`Executor`] is a scheduler for tasks that wait with `.await`. It needs no stack and no
//! context switch for a task, only the bytes of its future; it needs no other scheduler, and works
//! beside one. It belongs to the flow of control that runs it first: a thread, or a CPU in images
//! without threads. Wakers may be used from everywhere: from interrupt handlers, other threads and
//! other CPUs. When no task is ready the executor waits without using the CPU.
//!
//! ```
//! use core::time::Duration;
//! use ukasync::Executor;
//!
//! static EXECUTOR: Executor = Executor::new();
//! let sum = EXECUTOR.run(async {
//!     let slow = ukasync::spawn(async {
//!         ukasync::sleep(Duration::from_millis(2)).await;
//!         40
//!     })?;
//!     let quick = ukasync::spawn(async { 2 })?;
//!     Ok::<_, ukasync::SpawnError>(slow.await + quick.await)
//! });
//! assert_eq!(sum, Ok(42));
//! ```
//!
//! Everything that works with any executor works here: channels, mutexes and combinators of the
//! crates `futures-util`, `async-channel` and their like. What needs this one is small:
//!
//! | | |
//! |---|---|
//! | [`spawn`], [`JoinHandle`] | a task of the executor that runs the caller |
//! | [`Executor::spawn`] | a task made on another flow of control, or before the executor runs |
//! | [`sleep`], [`sleep_until`], [`timeout`] | time |
//! | [`yield_now`] | room for the other tasks |
//! | [`Event`] | set by interrupt handlers and other CPUs, awaited by a task |
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "model"))]
extern crate std;

mod event;
mod executor;
#[cfg(not(feature = "model"))]
mod flow;
#[cfg(feature = "model")]
#[path = "flow_model.rs"]
mod flow;
mod sleep;
mod sync;
mod task;
#[cfg(test)]
mod tests;

pub use event::Event;
pub use executor::{Executor, ExecutorStats, spawn};
pub use sleep::{Elapsed, Sleep, sleep, sleep_until, timeout, yield_now};
pub use task::{JoinHandle, SpawnError};
