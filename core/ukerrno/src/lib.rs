//! Error numbers of system calls: Linux's, with their names and messages.
//!
//! ```
//! use ukerrno::Errno;
//!
//! fn open(name: &str) -> Result<usize, Errno> {
//!     if name.is_empty() { Err(Errno::ENOENT) } else { Ok(3) }
//! }
//!
//! let error = open("").unwrap_err();
//! assert_eq!((error.name(), error.number()), (Some("ENOENT"), 2));
//! assert_eq!(error.to_string(), "No such file or directory");
//! // As a register of a system call has it:
//! assert_eq!(ukerrno::to_raw(open("")), -2);
//! assert_eq!(ukerrno::from_raw(-2), Err(Errno::ENOENT));
//! ```
//!
//! The numbers are those of Linux's `asm-generic/errno.h`, which all architectures of this project
//! share; the messages those of POSIX's `strerror` as Linux's C libraries word them.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::fmt;
use core::num::NonZeroU16;

mod table;

/// The largest error number: results from -4095 to -1 are errors (System V ABI of Linux).
pub const MAX: u16 = 4095;

/// An error number, from 1 to [`MAX`].
///
/// Numbers without a name are possible: a host may know more of them than this crate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Errno(NonZeroU16);

impl Errno {
    /// The same number as `EAGAIN`.
    pub const EWOULDBLOCK: Self = Self::EAGAIN;
    /// The same number as `EDEADLK`.
    pub const EDEADLOCK: Self = Self::EDEADLK;
    /// The same number as `EOPNOTSUPP`.
    pub const ENOTSUP: Self = Self::EOPNOTSUPP;

    /// The error with this number; `None` when it is not from 1 to [`MAX`].
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) if number.get() <= MAX => Some(Self(number)),
            _ => None,
        }
    }

    /// The number, as C's `errno` has it.
    #[inline]
    pub const fn number(self) -> u16 {
        self.0.get()
    }

    /// The result of a system call that fails with this error: the number, negated.
    #[inline]
    pub const fn to_raw(self) -> isize {
        -(self.0.get() as isize)
    }

    /// Name of the constant, `"ENOENT"`.
    pub fn name(self) -> Option<&'static str> {
        self.line_of(table::NAMES)
    }

    /// What C's `strerror` says.
    pub fn message(self) -> Option<&'static str> {
        self.line_of(table::MESSAGES)
    }

    /// Its line of a text with one for each number that has a name.
    fn line_of(self, text: &'static str) -> Option<&'static str> {
        let at = table::NUMBERS.iter().position(|number| u16::from(*number) == self.number())?;
        text.split('\n').nth(at)
    }
}

/// What a system call returns: a value, or an error number negated.
///
/// Values must not be taken for errors, so they are at most `isize::MAX`; none of a system call is
/// larger.
#[inline]
pub fn to_raw(result: Result<usize, Errno>) -> isize {
    match result {
        Ok(value) => value as isize,
        Err(error) => error.to_raw(),
    }
}

/// Takes the result of a system call apart; the inverse of [`to_raw`].
///
/// # Errors
/// The call's.
#[inline]
pub fn from_raw(raw: isize) -> Result<usize, Errno> {
    match raw {
        -4095..=-1 => match Errno::new(raw.unsigned_abs() as u16) {
            Some(error) => Err(error),
            None => Ok(raw as usize),
        },
        value => Ok(value as usize),
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => f.pad(message),
            None => write!(f, "error {}", self.number()),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "Errno({})", self.number()),
        }
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_those_of_the_host() {
        let mut named = 0;
        for number in 1..=MAX {
            let error = Errno::new(number).unwrap();
            let host = std::io::Error::from_raw_os_error(number.into()).to_string();
            if let Some(message) = error.message() {
                assert_eq!(host, format!("{message} (os error {number})"));
                named += 1;
            }
        }
        // 133 numbers without the two that Linux left out.
        assert_eq!(named, 131);
    }

    #[test]
    fn numbers_out_of_range_are_none() {
        assert_eq!((Errno::new(0), Errno::new(MAX + 1)), (None, None));
        let unknown = Errno::new(4000).unwrap();
        assert_eq!(format!("{unknown} {unknown:?}"), "error 4000 Errno(4000)");
        assert_eq!(format!("{:?}", Errno::EDEADLOCK), "EDEADLK");
    }

    proptest! {
        #[test]
        fn raw_there_and_back(raw: isize) {
            prop_assert_eq!(to_raw(from_raw(raw)), raw);
        }

        #[test]
        fn errors_there_and_back(number in 1..=MAX) {
            let error = Errno::new(number).unwrap();
            prop_assert_eq!(from_raw(error.to_raw()), Err(error));
        }
    }

    #[test]
    fn results_are_small() {
        assert_eq!(size_of::<Result<(), Errno>>(), 2);
    }
}
