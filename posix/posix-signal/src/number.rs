//! Numbers of signals, and what they do to a process that has said nothing (signal(7)).

/// Numbers are from 1 to this.
pub const LAST: i32 = 64;
/// Signals from here on are queued: each that is sent arrives.
pub const FIRST_QUEUED: i32 = 32;

pub const SIGILL: i32 = 4;
pub const SIGTRAP: i32 = 5;
pub const SIGBUS: i32 = 7;
pub const SIGFPE: i32 = 8;
pub const SIGKILL: i32 = 9;
pub const SIGSEGV: i32 = 11;
pub const SIGPIPE: i32 = 13;
pub const SIGALRM: i32 = 14;
pub const SIGCHLD: i32 = 17;
pub const SIGCONT: i32 = 18;
pub const SIGSTOP: i32 = 19;
pub const SIGTSTP: i32 = 20;
pub const SIGTTIN: i32 = 21;
pub const SIGTTOU: i32 = 22;
pub const SIGURG: i32 = 23;
pub const SIGVTALRM: i32 = 26;
pub const SIGPROF: i32 = 27;
pub const SIGWINCH: i32 = 28;

/// Signals that can neither be handled nor blocked.
pub const FIXED: u64 = bit(SIGKILL) | bit(SIGSTOP);

/// The bit of a signal in a set.
pub const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Whether there is a signal with this number.
pub fn is_signal(number: i32) -> bool {
    (1..=LAST).contains(&number)
}

/// Whether a signal does nothing when the process has not said otherwise. Those that stop a process
/// are among them: nobody is there who could let it go on.
pub const fn is_ignored_by_default(signal: i32) -> bool {
    matches!(signal, SIGCHLD | SIGCONT | SIGURG | SIGWINCH | SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU)
}

/// The name of a signal.
pub fn name(signal: i32) -> &'static str {
    syscall_shim::signal_name(signal).unwrap_or("real-time signal")
}
