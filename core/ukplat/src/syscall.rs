//! Instructions for system calls that the program of an image executes itself.
//!
//! A program that is linked with the system calls it. What was compiled for Linux, or has such an
//! instruction written out, traps: with a handler here, these calls arrive too.
//!
//! ```
//! use ukplat::syscall::{TrapError, Words, handle_with};
//!
//! fn on_syscall(words: &Words) -> isize {
//!     let [number, arguments @ ..] = *words;
//!     if number == 1000 { arguments[0] as isize } else { -38 }
//! }
//!
//! // Not in programs of the development machine.
//! assert_eq!(handle_with(on_syscall), Err(TrapError::Unsupported));
//! ```

use core::fmt;

use crate::platform::bound;

/// The number and six arguments.
pub type Words = [usize; 7];

/// Carries out a call: its result, or an error number negated, as Linux returns it. Runs on the
/// stack of the program, below what it may use, with interrupts as they are there; all registers
/// that Linux keeps are kept. It may wait.
pub type Handler = fn(&Words) -> isize;

/// Why the instructions do not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapError {
    /// The platform has no way to make them.
    Unsupported,
    /// The host's system has none.
    Host,
}

impl fmt::Display for TrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "the platform does not let instructions for system calls arrive",
            Self::Host => "the host does not let instructions for system calls arrive",
        })
    }
}

impl core::error::Error for TrapError {}

/// Makes the instructions reach a handler, on all CPUs. Once, before further CPUs are started, in
/// images that have a provider of the interface `trap`: platforms are made for it only there.
///
/// # Errors
/// [`TrapError`]; the instructions then do what they did before.
pub fn handle_with(handler: Handler) -> Result<(), TrapError> {
    (bound().trap_syscalls)(handler)
}
