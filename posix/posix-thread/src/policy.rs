//! Scheduling policies, as programs name them.

use core::sync::atomic::Ordering::Relaxed;

use syscall_shim::{Errno, Policy, UserOut, UserPtr, syscall};

use crate::table;

// Policies (`linux/sched.h`).
const OTHER: i32 = 0;
const FIFO: i32 = 1;
const ROUND_ROBIN: i32 = 2;
const BATCH: i32 = 3;
const IDLE: i32 = 5;
const RESET_ON_FORK: i32 = 0x4000_0000;

/// Real-time priorities are 1 to 99.
const HIGHEST: i32 = 99;

/// The priorities of a policy.
fn range(policy: i32) -> Result<(i32, i32), Errno> {
    match policy {
        FIFO | ROUND_ROBIN => Ok((1, HIGHEST)),
        OTHER | BATCH | IDLE => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}

/// The scheduler's priority for one of POSIX, where the scheduler knows priorities.
#[cfg(feature = "threads")]
fn scheduler_priority(policy: i32, priority: i32) -> u8 {
    const USUAL: i32 = uksched::PRIORITIES as i32 / 2;
    let above = uksched::PRIORITIES as i32 - 1 - USUAL;
    (match policy {
        FIFO | ROUND_ROBIN => USUAL + 1 + (priority - 1) * (above - 1) / (HIGHEST - 1),
        BATCH => USUAL - 1,
        IDLE => 0,
        _ => USUAL,
    }) as u8
}

fn set(thread: i32, policy: Option<i32>, priority: i32) -> Result<(), Errno> {
    if thread < 0 {
        return Err(Errno::EINVAL);
    }
    table::with(thread, |task| {
        let policy = policy.unwrap_or_else(|| task.policy.load(Relaxed));
        let (lowest, highest) = range(policy)?;
        if !(lowest..=highest).contains(&priority) {
            return Err(Errno::EINVAL);
        }
        task.policy.store(policy, Relaxed);
        task.priority.store(priority, Relaxed);
        #[cfg(feature = "threads")]
        if let Some(thread) = task.thread() {
            thread.set_priority(scheduler_priority(policy, priority));
        }
        Ok(())
    })?
}

/// See sched_setscheduler(2). What the numbers mean is up to the image's scheduler: one without
/// priorities remembers them.
#[syscall]
fn sched_setscheduler(
    thread: i32,
    #[trace(Policy)] policy: i32,
    priority: UserPtr<i32>,
) -> Result<(), Errno> {
    set(thread, Some(policy & !RESET_ON_FORK), priority.read())
}

/// See sched_getscheduler(2).
#[syscall]
fn sched_getscheduler(thread: i32) -> Result<i32, Errno> {
    if thread < 0 {
        return Err(Errno::EINVAL);
    }
    table::with(thread, |task| task.policy.load(Relaxed))
}

/// See sched_setparam(2).
#[syscall]
fn sched_setparam(thread: i32, priority: UserPtr<i32>) -> Result<(), Errno> {
    set(thread, None, priority.read())
}

/// See sched_getparam(2).
#[syscall]
fn sched_getparam(thread: i32, priority: UserOut<i32>) -> Result<(), Errno> {
    if thread < 0 {
        return Err(Errno::EINVAL);
    }
    priority.write(table::with(thread, |task| task.priority.load(Relaxed))?);
    Ok(())
}

/// See sched_get_priority_max(2).
#[syscall]
fn sched_get_priority_max(#[trace(Policy)] policy: i32) -> Result<i32, Errno> {
    range(policy).map(|(_, highest)| highest)
}

/// See sched_get_priority_min(2).
#[syscall]
fn sched_get_priority_min(#[trace(Policy)] policy: i32) -> Result<i32, Errno> {
    range(policy).map(|(lowest, _)| lowest)
}

/// The length of a turn, if a thread takes turns with others (sched_rr_get_interval(2)): schedulers
/// do not tell, so it is none.
#[syscall]
fn sched_rr_get_interval(thread: i32, interval: UserOut<[i64; 2]>) -> Result<(), Errno> {
    if thread < 0 {
        return Err(Errno::EINVAL);
    }
    table::with(thread, |_| ())?;
    interval.write([0; 2]);
    Ok(())
}
