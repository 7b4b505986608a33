//! Calls for other processes, of which there are none.

use syscall_shim::{Address, Errno, PriorityWhich, UserOut, WaitKind, WaitOptions, syscall};

use crate::PID;

/// A second process would need a second address space (fork(2)).
#[syscall]
fn fork() -> Result<i32, Errno> {
    Err(Errno::ENOSYS)
}

/// See [`fork`].
#[syscall]
fn vfork() -> Result<i32, Errno> {
    Err(Errno::ENOSYS)
}

/// The program is part of the image and cannot be replaced (execve(2)).
#[syscall]
fn execve(
    #[trace(Address)] _path: usize,
    #[trace(Address)] _arguments: usize,
    #[trace(Address)] _environment: usize,
) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Options of `wait4` that Linux knows (`linux/wait.h`).
const WAIT_OPTIONS: i32 = 1 | 2 | 8 | 0x2000_0000 | 0x4000_0000 | i32::MIN;

/// There are no children to wait for (wait4(2)).
#[syscall]
fn wait4(
    _pid: i32,
    _status: Option<UserOut<i32>>,
    #[trace(WaitOptions)] options: i32,
    #[trace(Address)] _usage: usize,
) -> Result<i32, Errno> {
    if options & !WAIT_OPTIONS != 0 { Err(Errno::EINVAL) } else { Err(Errno::ECHILD) }
}

/// There are no children to wait for (waitid(2)).
#[syscall]
fn waitid(
    #[trace(WaitKind)] kind: i32,
    _id: u32,
    #[trace(Address)] _info: usize,
    #[trace(WaitOptions)] options: i32,
    #[trace(Address)] _usage: usize,
) -> Result<(), Errno> {
    /// Exited, stopped, continued: one must be asked for.
    const EVENTS: i32 = 2 | 4 | 8;
    if !(0..=3).contains(&kind) || options & EVENTS == 0 {
        return Err(Errno::EINVAL);
    }
    Err(Errno::ECHILD)
}

/// Which Unix a process takes the system for (personality(2)): Linux, and no other.
#[syscall]
fn personality(kind: u32) -> Result<u32, Errno> {
    /// Asks alone.
    const QUERY: u32 = u32::MAX;
    match kind {
        0 | QUERY => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// Whose priority `getpriority` and `setpriority` mean.
fn only_process(which: i32, who: i32) -> Result<(), Errno> {
    match (which, who) {
        (0..=2, 0) | (0 | 1, PID) => Ok(()),
        (0..=2, _) => Err(Errno::ESRCH),
        _ => Err(Errno::EINVAL),
    }
}

static NICE: core::sync::atomic::AtomicI32 = core::sync::atomic::AtomicI32::new(0);

/// How nice the process is, as 20 minus the value (getpriority(2)).
#[syscall]
fn getpriority(#[trace(PriorityWhich)] which: i32, who: i32) -> Result<i32, Errno> {
    only_process(which, who)?;
    Ok(20 - NICE.load(core::sync::atomic::Ordering::Relaxed))
}

/// Nobody is there to be nice to, so the value is only remembered (setpriority(2)).
#[syscall]
fn setpriority(#[trace(PriorityWhich)] which: i32, who: i32, value: i32) -> Result<(), Errno> {
    only_process(which, who)?;
    NICE.store(value.clamp(-20, 19), core::sync::atomic::Ordering::Relaxed);
    Ok(())
}
