//! Processes that are known by number: a number alone may be another process's by now.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::diagnostic::{Context, Result};

/// What a process is for good: its number together with when it began, in clock ticks since the
/// machine was started, and which start of the machine that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// Clock ticks from the start of the machine to that of the process.
    pub start_ticks: u64,
    /// The kernel's random name of this start of the machine.
    pub boot: String,
}

impl Identity {
    /// Of a running process; `None` when there is none.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, start_ticks: start_ticks(pid)?, boot: boot()? })
    }

    /// The process, if it still runs.
    pub fn open(&self) -> Option<Process> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Looked at after it was opened: from here on the descriptor means what was looked at.
        (Self::of(self.pid).as_ref() == Some(self)).then_some(Process { fd })
    }
}

/// A running process, or one that ended since.
#[derive(Debug)]
pub struct Process {
    fd: OwnedFd,
}

impl Process {
    /// Of a child that was not waited for yet.
    pub fn of_child(child: &std::process::Child) -> Result<Self> {
        let fd = pidfd_open(Pid::from_child(child), PidfdFlags::empty());
        Ok(Self { fd: fd.context("cannot watch the image")? })
    }

    /// Sends it a signal; nothing happens when it has ended.
    pub fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.fd, signal);
    }

    /// Waits for its end, at most so long; whether it came.
    pub fn ends_within(&self, time: Duration) -> bool {
        let start = Instant::now();
        loop {
            let left = time.saturating_sub(start.elapsed());
            let timeout = rustix::time::Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut entry = [PollFd::new(&self.fd, PollFlags::IN)];
            match poll(&mut entry, Some(&timeout)) {
                Ok(1..) => return true,
                _ if left.is_zero() => return false,
                _ => {}
            }
        }
    }
}

/// When a process began (field 22 of /proc/PID/stat, proc(5)); `None` when it has ended, even if
/// nobody has waited for it yet.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain anything. The state is field 3.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Bytes of memory of a process that are in the machine's (statm(5): resident pages).
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
