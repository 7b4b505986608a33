//! Signals that were sent and not taken yet: pure book-keeping.

use alloc::vec::Vec;

use crate::info::Info;
use crate::number::{FIRST_QUEUED, SIGBUS, SIGFPE, SIGILL, SIGSEGV, bit};

/// Signals that one thread or the process has, at most (`RLIMIT_SIGPENDING` of small systems).
pub const MOST: usize = 1024;
/// Those that the running code caused come first, as in Linux.
const SYNCHRONOUS: u64 = bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGFPE);

/// Pending signals.
#[derive(Debug, Default)]
pub struct Queue {
    set: u64,
    infos: Vec<Info>,
}

impl Queue {
    pub const fn new() -> Self {
        Self { set: 0, infos: Vec::new() }
    }

    /// The signals in it.
    pub fn set(&self) -> u64 {
        self.set
    }

    /// Adds a signal; one that is not queued and already there is dropped, but for those of timers,
    /// of which each sends one at a time. `false` when there is no room.
    pub fn push(&mut self, info: Info) -> bool {
        let bit = bit(info.signal);
        if info.signal < FIRST_QUEUED && self.set & bit != 0 && info.timer().is_none() {
            return true;
        }
        if self.infos.len() >= MOST || self.infos.try_reserve(1).is_err() {
            return false;
        }
        self.infos.push(info);
        self.set |= bit;
        true
    }

    /// Takes a signal of a set: the smallest number, the oldest of these.
    pub fn take(&mut self, set: u64) -> Option<Info> {
        let fitting = self.set & set;
        let fitting = if fitting & SYNCHRONOUS != 0 { fitting & SYNCHRONOUS } else { fitting };
        if fitting == 0 {
            return None;
        }
        let signal = fitting.trailing_zeros() as i32 + 1;
        let at = self.infos.iter().position(|info| info.signal == signal)?;
        let info = self.infos.remove(at);
        if !self.infos.iter().any(|other| other.signal == signal) {
            self.set &= !bit(signal);
        }
        Some(info)
    }

    /// Forgets the signals of a set.
    pub fn forget(&mut self, set: u64) {
        self.infos.retain(|info| bit(info.signal) & set == 0);
        self.set &= !set;
    }

    /// The signal of a timer that is there, to count that it expired again.
    pub fn of_timer(&mut self, timer: i32) -> Option<&mut Info> {
        self.infos.iter_mut().find(|info| info.timer() == Some(timer))
    }
}
