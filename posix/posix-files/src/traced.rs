//! What words of calls are, for `strace`, when other words say.

use core::fmt::{self, Write};

use syscall_shim::{
    DescriptorFlags, FileFlags, LockType, Meaning, Mode, Plain, Seals, Traced, UserWord, Whence,
};
use ukfile::OpenFlags;

use crate::control::{
    BLKGETSIZE64, FIONBIO, FIONREAD, RawTermios, TCGETS, TCSETS, TCSETSF, TIOCGWINSZ, TIOCSWINSZ,
};
use crate::descriptors::command;
use crate::locks::FLock;

/// The permissions of a new file, if one can be made.
pub enum NewMode {}

impl Meaning for NewMode {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        let flags = OpenFlags::from_bits_retain(call.before() as u32);
        if flags.intersects(OpenFlags::CREATE | OpenFlags::TEMPORARY) {
            Mode(word.value() as u32).trace(out)
        } else {
            Ok(())
        }
    }
}

/// A lock that is asked for: of whom it is goes without saying, and what is there may be anything.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct OwnLock {
    #[trace(LockType)]
    kind: i16,
    #[trace(Whence)]
    whence: i16,
    _pad: u32,
    start: i64,
    length: i64,
    _process: [u32; 2],
}

/// What a command of `fcntl` is about; nothing for those that only ask.
pub enum FcntlArgument {}

impl Meaning for FcntlArgument {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        let number = word.value() as u32;
        match call.before() as u32 {
            command::GET_FD
            | command::GET_FLAGS
            | command::GET_OWNER
            | command::GET_SIGNAL
            | command::GET_PIPE_SIZE
            | command::GET_SEALS => Ok(()),
            command::DUPLICATE
            | command::DUPLICATE_CLOSE
            | command::SET_OWNER
            | command::SET_PIPE_SIZE => write!(out, "{}", number as i32),
            command::SET_FD => DescriptorFlags(number).trace(out),
            command::SET_FLAGS => FileFlags(number).trace(out),
            command::ADD_SEALS => Seals(number).trace(out),
            command::GET_LOCK | command::OPEN_GET_LOCK if call.has_succeeded() => {
                word.trace_target::<FLock>(out)
            }
            command::GET_LOCK..=command::WAIT_LOCK
            | command::OPEN_GET_LOCK..=command::OPEN_WAIT_LOCK => word.trace_target::<OwnLock>(out),
            _ => write!(out, "{:#x}", word.value()),
        }
    }
}

/// `struct winsize`
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct RawWindowSize {
    rows: u16,
    columns: u16,
    width: u16,
    height: u16,
}

/// What a request of `ioctl` is about.
pub enum IoctlArgument {}

impl Meaning for IoctlArgument {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match call.before() as u32 {
            // What an answer is, once there is one.
            FIONREAD | TCGETS | TIOCGWINSZ | BLKGETSIZE64 if !call.has_succeeded() => {
                word.trace_address(out)
            }
            FIONREAD | FIONBIO => word.trace_target::<i32>(out),
            TCGETS | TCSETS..=TCSETSF => word.trace_target::<RawTermios>(out),
            TIOCGWINSZ | TIOCSWINSZ => word.trace_target::<RawWindowSize>(out),
            BLKGETSIZE64 => word.trace_target::<u64>(out),
            _ => write!(out, "{:#x}", word.value()),
        }
    }
}
