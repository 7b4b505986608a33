//! What is done when a signal comes.

use syscall_shim::{Errno, Signal, UserOut, UserPtr, syscall};

use crate::number::{FIXED, bit, is_signal};
use crate::post::activate;
use crate::state::{Action, STATE};
use crate::{check_size, timers};

/// See sigaction(2).
#[syscall]
fn rt_sigaction(
    #[trace(Signal)] signal: i32,
    new: Option<UserPtr<Action>>,
    old: Option<UserOut<Action>>,
    size: usize,
) -> Result<(), Errno> {
    check_size(size)?;
    if !is_signal(signal) || (new.is_some() && bit(signal) & FIXED != 0) {
        return Err(Errno::EINVAL);
    }
    activate();
    let mut state = STATE.lock();
    let before = state.action(signal);
    if let Some(new) = new {
        let new = new.read();
        state.set_action(signal, Action { mask: new.mask & !FIXED, ..new });
        state.request();
    }
    let ignored = state.is_ignored(signal);
    drop(state);
    if ignored {
        timers::forgotten(bit(signal));
    }
    if let Some(old) = old {
        old.write(before);
    }
    Ok(())
}
