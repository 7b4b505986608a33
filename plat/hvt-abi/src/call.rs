//! What a guest can ask for.
//!
//! Most calls are made by writing the call's number and arguments to the CPU's page and then any
//! value to the doorbell. Calls that change what memory can be used for ([`Call::is_memory`]) are
//! made by running the instruction at the image's *gate*, `ud2`, instead: changes of page tables take
//! effect in kernel mode only, and an invalid instruction is the one way there that works wherever
//! user mode does.

use core::fmt;

/// As a time: no limit.
pub const NEVER: u64 = u64::MAX;

/// A call; arguments in order, then what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Call {
    /// Ends the guest: exit code.
    Exit = 1,
    /// Writes to the console: [`Stream`], address, length; the number of bytes written.
    ConsoleWrite = 2,
    /// Takes what has arrived on the console, without waiting: address, length; how many bytes, or
    /// [`Call::INPUT_ENDED`].
    ConsoleRead = 3,
    /// Waits until an interrupt is pending: at most so many nanoseconds, or [`NEVER`]. Ends also when
    /// there is input that the CPU's last [`Call::ConsoleRead`] did not find.
    Wait = 4,
    /// Sets the CPU's timer: nanoseconds from now, or [`NEVER`].
    Timer = 5,
    /// Fills memory with random bytes: address, length, at most [`Call::MAX_RANDOM`].
    Random = 6,
    /// Wall-clock time in nanoseconds since 1970-01-01T00:00:00 UTC.
    WallClock = 7,
    /// Starts a CPU: its number, instruction pointer, stack pointer, argument.
    CpuStart = 8,
    /// Interrupts a CPU: its number.
    CpuInterrupt = 9,
    /// Sets what may be done with pages of memory: address, length, [`Rights`].
    Protect = 16,
    /// Gives memory further addresses in the window: new address, address in memory, length.
    Alias = 17,
    /// Takes addresses in the window away: address, length.
    Revoke = 18,
}

impl Call {
    /// What [`Call::ConsoleRead`] gives when nothing will arrive any more.
    pub const INPUT_ENDED: u64 = u64::MAX;

    /// Most bytes of one [`Call::Random`].
    pub const MAX_RANDOM: u64 = 256;

    /// Most bytes whose rights, or aliases, one call changes.
    pub const MAX_MEMORY: u64 = 1 << 30;

    /// All calls.
    pub const ALL: [Self; 12] = [
        Self::Exit,
        Self::ConsoleWrite,
        Self::ConsoleRead,
        Self::Wait,
        Self::Timer,
        Self::Random,
        Self::WallClock,
        Self::CpuStart,
        Self::CpuInterrupt,
        Self::Protect,
        Self::Alias,
        Self::Revoke,
    ];

    /// The call of that number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|call| *call as u64 == number)
    }

    /// Whether it is made at the gate and not by the doorbell.
    pub const fn is_memory(self) -> bool {
        matches!(self, Self::Protect | Self::Alias | Self::Revoke)
    }
}

/// Where console output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    /// Output.
    Out = 0,
    /// Log and reports.
    Err = 1,
}

/// What may be done with memory. It can never be made executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Rights {
    /// Nothing: every access faults.
    None = 0,
    /// Reading.
    Read = 1,
    /// Reading and writing.
    Write = 2,
}

impl Rights {
    /// The rights of that number.
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Read,
            2 => Self::Write,
            _ => return None,
        })
    }
}

/// Why a call was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum CallError {
    /// There is no such call, or not in this way.
    NoSuchCall = 1,
    /// Memory that an argument names is not the guest's, or cannot be used so.
    BadAddress = 2,
    /// An argument is none of those allowed.
    BadArgument = 3,
    /// The tender has no memory for it.
    NoMemory = 4,
    /// It was done already.
    Busy = 5,
}

impl CallError {
    /// The error of that number; unknown ones are [`CallError::NoSuchCall`].
    pub const fn from_number(number: u64) -> Self {
        match number {
            2 => Self::BadAddress,
            3 => Self::BadArgument,
            4 => Self::NoMemory,
            5 => Self::Busy,
            _ => Self::NoSuchCall,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchCall => "there is no such call",
            Self::BadAddress => "the memory is not the guest's",
            Self::BadArgument => "an argument is not allowed",
            Self::NoMemory => "the monitor has no memory for it",
            Self::Busy => "it was done already",
        })
    }
}

impl core::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for call in Call::ALL {
            assert_eq!(Call::from_number(call as u64), Some(call));
        }
        assert_eq!(Call::from_number(0), None);
        assert_eq!(Call::from_number(u64::MAX), None);
        for rights in [Rights::None, Rights::Read, Rights::Write] {
            assert_eq!(Rights::from_number(rights as u64), Some(rights));
        }
        assert_eq!(Rights::from_number(3), None);
        for error in [CallError::BadAddress, CallError::BadArgument, CallError::NoMemory] {
            assert_eq!(CallError::from_number(error as u64), error);
        }
        assert_eq!(CallError::from_number(77), CallError::NoSuchCall);
    }
}
