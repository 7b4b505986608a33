//! Waiting for signals.

use posix_time::TimeSpec;
use syscall_shim::{Errno, SignalSet, UserOut, UserPtr, syscall};

use crate::info::Info;
use crate::number::FIXED;
use crate::post::activate;
use crate::state::{STATE, WAITING};
use crate::{check_size, masks, timers};

/// Waits for a signal that is handled or ends the process (pause(2)).
#[syscall]
fn pause() -> Result<(), Errno> {
    activate();
    match WAITING.wait_interruptible(None, || false) {
        Ok(_) => Ok(()),
        Err(_) => Err(Errno::EINTR),
    }
}

/// Waits with another mask (sigsuspend(2)).
#[syscall]
fn rt_sigsuspend(
    #[trace(UserPtr<SignalSet>)] mask: UserPtr<u64>,
    size: usize,
) -> Result<(), Errno> {
    check_size(size)?;
    activate();
    // The mask stays until the signal was delivered.
    masks::begin(mask.read());
    pause()
}

/// Takes a pending signal of a set, or waits for one (sigtimedwait(2)); returns its number.
#[syscall]
fn rt_sigtimedwait(
    #[trace(UserPtr<SignalSet>)] set: UserPtr<u64>,
    info: Option<UserOut<Info>>,
    timeout: Option<UserPtr<TimeSpec>>,
    size: usize,
) -> Result<i32, Errno> {
    check_size(size)?;
    activate();
    let deadline = match timeout {
        Some(time) => Some(ukplat::monotonic_ns().saturating_add(time.read().to_ns()?)),
        None => None,
    };
    let set = set.read() & !FIXED;
    let thread = posix_thread::gettid();
    let mut found = None;
    let mut take = || {
        let mut state = STATE.lock();
        found = state.take(thread, set);
        state.own(thread).awaited = if found.is_some() { 0 } else { set };
        found.is_some()
    };
    let waited = WAITING.wait_interruptible(deadline, &mut take);
    STATE.lock().own(thread).awaited = 0;
    // What came just before that is not to be lost.
    if waited != Ok(true) {
        take();
        STATE.lock().own(thread).awaited = 0;
    }
    let Some(mut taken) = found else {
        return Err(if waited.is_err() { Errno::EINTR } else { Errno::EAGAIN });
    };
    timers::delivered(&mut taken);
    if let Some(info) = info {
        info.write(taken);
    }
    Ok(taken.signal)
}
