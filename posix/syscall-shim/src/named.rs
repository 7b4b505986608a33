//! Numbers that a line of `strace` tells by name: flags, modes, signals, clocks.

use core::fmt::{self, Write};

use crate::{Errno, Scalar};

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident($number:ty) by $trace:path;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $name(pub $number);

            impl Scalar for $name {
                #[inline(always)]
                fn from_word(word: usize) -> Result<Self, Errno> {
                    Ok(Self(word as $number))
                }

                fn trace(&self, out: &mut dyn Write) -> fmt::Result {
                    $trace(self.0, out)
                }
            }
        )*
    };
}

named! {
    /// Flags of open(2) and its relatives.
    FileFlags(u32) by file_flags;
    /// Permissions of a file, in octal.
    Mode(u32) by mode;
    /// `PROT_READ` and so on.
    Protection(u32) by protection;
    /// Flags of mmap(2).
    MapFlags(i32) by map_flags;
    /// The number of a signal.
    Signal(i32) by signal;
    /// The number of a clock.
    ClockId(i32) by clock;
}

/// A list of names with `|` between them.
struct Names<'a> {
    out: &'a mut dyn Write,
    any: bool,
}

impl Names<'_> {
    fn put(&mut self, name: fmt::Arguments<'_>) -> fmt::Result {
        if self.any {
            self.out.write_char('|')?;
        }
        self.any = true;
        self.out.write_fmt(name)
    }

    /// The names of bits, of several together before those of one; then what has no name. Nothing
    /// at all is 0.
    fn bits(mut self, mut value: u32, names: &[(u32, &str)]) -> fmt::Result {
        for (bits, name) in names {
            if value & bits == *bits {
                value &= !bits;
                self.put(format_args!("{name}"))?;
            }
        }
        if value != 0 || !self.any { self.put(format_args!("{value:#x}")) } else { Ok(()) }
    }
}

// Values of `asm-generic/fcntl.h` and `asm-generic/mman-common.h`, with those of x86-64.

fn file_flags(flags: u32, out: &mut dyn Write) -> fmt::Result {
    const ACCESS: u32 = 3;
    let mut names = Names { out, any: false };
    match flags & ACCESS {
        0 => names.put(format_args!("O_RDONLY"))?,
        1 => names.put(format_args!("O_WRONLY"))?,
        2 => names.put(format_args!("O_RDWR"))?,
        both => names.put(format_args!("{both}"))?,
    }
    names.bits(
        flags & !ACCESS,
        &[
            (0o20_200_000, "O_TMPFILE"),
            (0o4_010_000, "O_SYNC"),
            (0o100, "O_CREAT"),
            (0o200, "O_EXCL"),
            (0o400, "O_NOCTTY"),
            (0o1000, "O_TRUNC"),
            (0o2000, "O_APPEND"),
            (0o4000, "O_NONBLOCK"),
            (0o10_000, "O_DSYNC"),
            (0o20_000, "O_ASYNC"),
            (0o40_000, "O_DIRECT"),
            (0o100_000, "O_LARGEFILE"),
            (0o200_000, "O_DIRECTORY"),
            (0o400_000, "O_NOFOLLOW"),
            (0o1_000_000, "O_NOATIME"),
            (0o2_000_000, "O_CLOEXEC"),
            (0o10_000_000, "O_PATH"),
        ],
    )
}

fn mode(mode: u32, out: &mut dyn Write) -> fmt::Result {
    // As C writes it.
    write!(out, "0{mode:o}")
}

fn protection(protection: u32, out: &mut dyn Write) -> fmt::Result {
    if protection == 0 {
        return out.write_str("PROT_NONE");
    }
    let names = [(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")];
    Names { out, any: false }.bits(protection, &names)
}

fn map_flags(flags: i32, out: &mut dyn Write) -> fmt::Result {
    Names { out, any: false }.bits(
        flags as u32,
        &[
            (3, "MAP_SHARED_VALIDATE"),
            (1, "MAP_SHARED"),
            (2, "MAP_PRIVATE"),
            (0x10, "MAP_FIXED"),
            (0x20, "MAP_ANONYMOUS"),
            (0x40, "MAP_32BIT"),
            (0x100, "MAP_GROWSDOWN"),
            (0x2000, "MAP_LOCKED"),
            (0x4000, "MAP_NORESERVE"),
            (0x8000, "MAP_POPULATE"),
            (0x1_0000, "MAP_NONBLOCK"),
            (0x2_0000, "MAP_STACK"),
            (0x4_0000, "MAP_HUGETLB"),
            (0x8_0000, "MAP_SYNC"),
            (0x10_0000, "MAP_FIXED_NOREPLACE"),
        ],
    )
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

fn clock(clock: i32, out: &mut dyn Write) -> fmt::Result {
    const NAMES: [&str; 12] = [
        "CLOCK_REALTIME",
        "CLOCK_MONOTONIC",
        "CLOCK_PROCESS_CPUTIME_ID",
        "CLOCK_THREAD_CPUTIME_ID",
        "CLOCK_MONOTONIC_RAW",
        "CLOCK_REALTIME_COARSE",
        "CLOCK_MONOTONIC_COARSE",
        "CLOCK_BOOTTIME",
        "CLOCK_REALTIME_ALARM",
        "CLOCK_BOOTTIME_ALARM",
        "CLOCK_SGI_CYCLE",
        "CLOCK_TAI",
    ];
    match usize::try_from(clock).ok().and_then(|index| NAMES.get(index)) {
        Some(name) => out.write_str(name),
        None => write!(out, "{clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &dyn Fn(&mut dyn Write) -> fmt::Result) -> String {
        let mut text = String::new();
        value(&mut text).unwrap();
        text
    }

    #[test]
    fn numbers_have_the_names_of_their_headers() {
        let flags = |flags: u32| text(&|out| FileFlags(flags).trace(out));
        assert_eq!(flags(0), "O_RDONLY");
        assert_eq!(flags(0o102), "O_RDWR|O_CREAT");
        assert_eq!(flags(0o4_010_001), "O_WRONLY|O_SYNC");
        assert_eq!(flags(0o10_003), "3|O_DSYNC");
        assert_eq!(flags(0o20_200_002 | 1 << 31), "O_RDWR|O_TMPFILE|0x80000000");
        let mode = |mode: u32| text(&|out| Mode(mode).trace(out));
        assert_eq!(
            (mode(420), mode(0), mode(0o41777)),
            ("0644".into(), "00".into(), "041777".into())
        );
        let protection = |bits: u32| text(&|out| Protection(bits).trace(out));
        assert_eq!(
            (protection(0), protection(5)),
            ("PROT_NONE".into(), "PROT_READ|PROT_EXEC".into())
        );
        let map = |flags: i32| text(&|out| MapFlags(flags).trace(out));
        assert_eq!(
            (map(0x22), map(3)),
            ("MAP_PRIVATE|MAP_ANONYMOUS".into(), "MAP_SHARED_VALIDATE".into())
        );
        assert_eq!((map(0), map(1 << 30)), ("0x0".into(), "0x40000000".into()));
        let signal = |number: i32| text(&|out| Signal(number).trace(out));
        assert_eq!(
            [0, 9, 31, 34, 65, -1].map(signal),
            ["0", "SIGKILL", "SIGSYS", "SIGRT_2", "65", "-1"]
        );
        let clock = |number: i32| text(&|out| ClockId(number).trace(out));
        assert_eq!([0, 11, 12, -6].map(clock), ["CLOCK_REALTIME", "CLOCK_TAI", "12", "-6"]);
    }
}
