//! The calls that send signals.

use posix_thread::FIRST;
use syscall_shim::{Errno, Signal, UserPtr, syscall};

use crate::info::{Info, SI_TKILL, SI_USER};
use crate::number::is_signal;
use crate::post::{Target, post};

/// Sends a signal, if it is one; signal 0 only asks whether the target is there.
fn send(target: Target, signal: i32, info: Info) -> Result<(), Errno> {
    match (signal, target) {
        (0, Target::Thread(thread)) if !posix_thread::exists(thread) => Err(Errno::ESRCH),
        (0, _) => Ok(()),
        _ if !is_signal(signal) => Err(Errno::EINVAL),
        _ => post(target, Info { signal, ..info }),
    }
}

/// The process, by its number or as its own group; there are no others.
fn process(pid: i32) -> Result<Target, Errno> {
    match pid {
        0 | FIRST => Ok(Target::Process),
        // -1 is all other processes; the group that is called as the process cannot be named.
        _ => Err(Errno::ESRCH),
    }
}

/// See kill(2).
#[syscall]
fn kill(pid: i32, signal: Signal) -> Result<(), Errno> {
    let Signal(signal) = signal;
    if signal != 0 && !is_signal(signal) {
        return Err(Errno::EINVAL);
    }
    send(process(pid)?, signal, Info::from_process(signal, SI_USER))
}

/// See tkill(2).
#[syscall]
fn tkill(thread: i32, signal: Signal) -> Result<(), Errno> {
    tgkill(FIRST, thread, signal)
}

/// See tgkill(2).
#[syscall]
fn tgkill(pid: i32, thread: i32, signal: Signal) -> Result<(), Errno> {
    let Signal(signal) = signal;
    if pid <= 0 || thread <= 0 || (signal != 0 && !is_signal(signal)) {
        return Err(Errno::EINVAL);
    }
    if pid != FIRST {
        return Err(Errno::ESRCH);
    }
    send(Target::Thread(thread), signal, Info::from_process(signal, SI_TKILL))
}

/// See rt_sigqueueinfo(2).
#[syscall]
fn rt_sigqueueinfo(pid: i32, signal: Signal, info: UserPtr<Info>) -> Result<(), Errno> {
    send(process(pid)?, signal.0, info.read())
}

/// See rt_tgsigqueueinfo(2).
#[syscall]
fn rt_tgsigqueueinfo(
    pid: i32,
    thread: i32,
    signal: Signal,
    info: UserPtr<Info>,
) -> Result<(), Errno> {
    if pid <= 0 || thread <= 0 {
        return Err(Errno::EINVAL);
    }
    if pid != FIRST {
        return Err(Errno::ESRCH);
    }
    send(Target::Thread(thread), signal.0, info.read())
}
