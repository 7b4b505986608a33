//! The one process: who it is, its limits, the system it runs on.
//!
//! ```
//! # use posix_process as _;
//! # use syscall_shim::{Errno, call, nr};
//! assert_eq!((call!(nr::getpid), call!(nr::getuid)), (1, 0));
//! // There is no second address space for a second process.
//! assert_eq!(call!(nr::fork), Errno::ENOSYS.to_raw());
//! ```
//!
//! An image is one process, with the number 1. It begins as user 0, who may do all there is to do;
//! when it becomes another, files are told ([`on_identity_change`]). What would need a second process
//! fails as on a system that cannot have one.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod credentials;
mod limits;
mod name;
mod others;
mod prctl;
mod system;
#[cfg(test)]
mod tests;

pub use credentials::{Identity, OnIdentityChange, group, on_identity_change, user};
pub use limits::open_files;
pub use name::{RELEASE, host_name, set_host_name};
use syscall_shim::{Address, Errno, UserOut, syscall};
pub use system::{Memory, memory, uptime_ns};

/// The number of the process.
pub const PID: i32 = 1;

/// Number of the process (getpid(2)).
#[syscall]
pub fn getpid() -> i32 {
    PID
}

/// Nobody started the process (getppid(2)).
#[syscall]
fn getppid() -> i32 {
    0
}

/// A number that means the process, with 0 for itself.
pub(crate) fn this_process(pid: i32) -> Result<(), Errno> {
    if pid == 0 || pid == PID { Ok(()) } else { Err(Errno::ESRCH) }
}

/// The process leads its group (getpgrp(2)).
#[syscall]
fn getpgrp() -> i32 {
    PID
}

/// Group of a process (getpgid(2)).
#[syscall]
fn getpgid(pid: i32) -> Result<i32, Errno> {
    this_process(pid).map(|()| PID)
}

/// The only group there is can be set again (setpgid(2)).
#[syscall]
fn setpgid(pid: i32, group: i32) -> Result<(), Errno> {
    this_process(pid)?;
    match group {
        0 | PID => Ok(()),
        1.. => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// Session of a process (getsid(2)).
#[syscall]
fn getsid(pid: i32) -> Result<i32, Errno> {
    this_process(pid).map(|()| PID)
}

/// The process leads a group already, so it cannot begin a session (setsid(2)).
#[syscall]
fn setsid() -> Result<i32, Errno> {
    Err(Errno::EPERM)
}

/// The CPU that the caller runs on, and its node (getcpu(2)).
#[syscall]
fn getcpu(cpu: Option<UserOut<u32>>, node: Option<UserOut<u32>>, #[trace(Address)] _cache: usize) {
    if let Some(cpu) = cpu {
        cpu.write(ukplat::cpu_id() as u32);
    }
    if let Some(node) = node {
        node.write(0);
    }
}
