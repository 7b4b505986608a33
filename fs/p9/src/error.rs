//! What can be wrong with a message.

use core::fmt;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It says that it is so many bytes long, and is not.
    Length(u32),
    /// It ends within a field.
    TooShort,
    /// There are bytes behind its last field.
    TooLong,
    /// There is no message of this type, or it does not go in this direction.
    Type(u8),
    /// It walks through more names than the protocol allows.
    TooManyNames(u16),
    /// A name has more bytes than its length can say.
    NameTooLong(usize),
    /// A field has a value that it cannot have.
    Value(u8),
    /// There is no room to write it.
    NoRoom,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(said) => {
                write!(f, "a 9P message says that it has {said} bytes, which it has not")
            }
            Self::TooShort => f.write_str("a 9P message ends within a field"),
            Self::TooLong => f.write_str("a 9P message goes on behind its last field"),
            Self::Type(number) => write!(f, "a 9P message of type {number} is not known here"),
            Self::TooManyNames(count) => {
                write!(f, "a 9P message walks through {count} names, 16 are allowed")
            }
            Self::NameTooLong(length) => {
                write!(f, "a name of {length} bytes does not fit into a 9P message")
            }
            Self::Value(value) => {
                write!(f, "a field of a 9P message is {value}, which it cannot be")
            }
            Self::NoRoom => f.write_str("a 9P message has no room in its buffer"),
        }
    }
}

impl core::error::Error for Error {}
