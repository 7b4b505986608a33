//! Signals: values of `asm-generic/signal.h`, with those of x86-64.

use core::fmt::{self, Write};

use super::{constants, flags, named};

named! {
    /// The number of a signal.
    Signal(i32) by signal;
    /// A set of signals, the first in the lowest bit.
    SignalSet(u64) by signal_set;
    /// What handles a signal: an address, `SIG_DFL`, `SIG_IGN`.
    Handler(usize) by |handler, out| match handler {
        0 => out.write_str("SIG_DFL"),
        1 => out.write_str("SIG_IGN"),
        address => write!(out, "{address:#x}"),
    };
}

constants! {
    /// How sigprocmask(2) changes the mask.
    MaskHow(i32) {
        SIG_BLOCK = 0,
        SIG_UNBLOCK = 1,
        SIG_SETMASK = 2,
    }
    /// How a timer tells that it has expired (sigevent(7)).
    Notify(i32) {
        SIGEV_SIGNAL = 0,
        SIGEV_NONE = 1,
        SIGEV_THREAD = 2,
        SIGEV_THREAD_ID = 4,
    }
    /// Where a signal comes from.
    SignalCode(i32) {
        SI_USER = 0,
        SI_KERNEL = 0x80,
        SI_QUEUE = -1,
        SI_TIMER = -2,
        SI_MESGQ = -3,
        SI_ASYNCIO = -4,
        SI_SIGIO = -5,
        SI_TKILL = -6,
    }
}

flags! {
    /// Flags of sigaction(2), in the lower half of their word.
    ActionFlags(u32) {
        SA_NOCLDSTOP = 1,
        SA_NOCLDWAIT = 2,
        SA_SIGINFO = 4,
        SA_RESTORER = 0x400_0000,
        SA_ONSTACK = 0x800_0000,
        SA_RESTART = 0x1000_0000,
        SA_NODEFER = 0x4000_0000,
        SA_RESETHAND = 0x8000_0000,
    }
    /// Flags of sigaltstack(2).
    StackFlags(u32) {
        SS_ONSTACK = 1,
        SS_DISABLE = 2,
        SS_AUTODISARM = 0x8000_0000,
    }
    /// Flags of signalfd4(2).
    SignalFdFlags(u32) {
        SFD_NONBLOCK = 0o4000,
        SFD_CLOEXEC = 0o2_000_000,
    }
}

const SIGNALS: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// The name of a signal that has one (signal(7)).
pub fn signal_name(signal: i32) -> Option<&'static str> {
    let index = usize::try_from(signal).ok()?.checked_sub(1)?;
    SIGNALS.get(index).copied()
}

fn signal(signal: i32, out: &mut dyn Write) -> fmt::Result {
    const FIRST_REAL_TIME: i32 = 32;
    match signal_name(signal) {
        Some(name) => out.write_str(name),
        None if (FIRST_REAL_TIME..=64).contains(&signal) => {
            write!(out, "SIGRT_{}", signal - FIRST_REAL_TIME)
        }
        None => write!(out, "{signal}"),
    }
}

/// In brackets; with `~` those that are missing, when most are there.
fn signal_set(set: u64, out: &mut dyn Write) -> fmt::Result {
    let most = set.count_ones() > u64::BITS / 2;
    let named = if most { !set } else { set };
    out.write_str(if most { "~[" } else { "[" })?;
    let members = (0..u64::BITS).filter(|bit| named >> bit & 1 != 0);
    for (index, bit) in members.enumerate() {
        out.write_str(if index > 0 { " " } else { "" })?;
        signal(bit as i32 + 1, out)?;
    }
    out.write_str("]")
}
