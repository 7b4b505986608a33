//! Blocking signals.

use syscall_shim::{Errno, MaskHow, SignalSet, UserOut, UserPtr, UserWord, syscall};

use crate::check_size;
use crate::number::FIXED;
use crate::post::know_threads;
use crate::state::STATE;

const BLOCK: i32 = 0;
const UNBLOCK: i32 = 1;
const SET: i32 = 2;

/// See sigprocmask(2). What is not blocked any more is delivered when the call ends.
#[syscall]
fn rt_sigprocmask(
    #[trace(MaskHow)] how: i32,
    #[trace(Option<UserPtr<SignalSet>>)] new: Option<UserPtr<u64>>,
    #[trace(Option<UserOut<SignalSet>>)] old: Option<UserOut<u64>>,
    size: usize,
) -> Result<(), Errno> {
    check_size(size)?;
    know_threads();
    let thread = posix_thread::gettid();
    let mut state = STATE.lock();
    let before = state.mask(thread);
    if let Some(new) = new {
        let set = new.read() & !FIXED;
        let after = match how {
            BLOCK => before | set,
            UNBLOCK => before & !set,
            SET => set,
            _ => return Err(Errno::EINVAL),
        };
        if after != before {
            state.own(thread).mask = after;
            state.request();
        }
    }
    drop(state);
    if let Some(old) = old {
        old.write(before);
    }
    Ok(())
}

/// Signals that are pending and blocked (sigpending(2)).
#[syscall]
fn rt_sigpending(#[trace(UserOut<SignalSet>)] set: UserWord, size: usize) -> Result<(), Errno> {
    if size > size_of::<u64>() {
        return Err(Errno::EINVAL);
    }
    // Of a smaller set as much as it has room for.
    let mut set = set.slice_mut::<u8>(size)?;
    let thread = posix_thread::gettid();
    let state = STATE.lock();
    let pending = state.pending(thread) & state.mask(thread);
    drop(state);
    set.as_mut_slice().copy_from_slice(&pending.to_ne_bytes()[..size]);
    Ok(())
}

/// The calling thread blocks other signals, until the wait is over or a signal was delivered.
pub fn begin(mask: u64) {
    let Some(thread) = posix_thread::of_program() else { return };
    let mut state = STATE.lock();
    let own = state.own(thread);
    own.saved = own.saved.or(Some(own.mask));
    own.mask = mask & !FIXED;
    state.request();
}

/// The wait is over, without a signal.
pub fn end() {
    let Some(thread) = posix_thread::of_program() else { return };
    let mut state = STATE.lock();
    let own = state.own(thread);
    if let Some(saved) = own.saved.take() {
        own.mask = saved;
    }
    state.request();
}
