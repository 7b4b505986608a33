//! What `main` may return.

use core::fmt::Debug;

/// A result of `main` and the exit code it stands for.
///
/// ```
/// use ukboot::Termination;
///
/// assert_eq!(().exit_code(), 0);
/// assert_eq!(7.exit_code(), 7);
/// assert_eq!(Err::<(), &str>("no disk").exit_code(), 1);
/// ```
pub trait Termination {
    /// The code the outside sees; prints errors on the way.
    fn exit_code(self) -> u8;
}

impl Termination for () {
    fn exit_code(self) -> u8 {
        0
    }
}

impl Termination for u8 {
    fn exit_code(self) -> u8 {
        self
    }
}

impl Termination for i32 {
    /// The low 8 bits, as with a POSIX `exit`.
    fn exit_code(self) -> u8 {
        self as u8
    }
}

impl<T: Termination, E: Debug> Termination for Result<T, E> {
    fn exit_code(self) -> u8 {
        match self {
            Ok(value) => value.exit_code(),
            Err(error) => {
                ukplat::eprintln!("error: {:?}", error);
                1
            }
        }
    }
}
