//! Numbers that a line of `strace` tells by name, in tables by subject.

mod files;
mod memory;
mod poll;
mod process;
mod signals;
#[cfg(test)]
mod tests;
mod threads;
mod time;

use core::fmt::{self, Write};

pub use files::*;
pub use memory::*;
pub use poll::*;
pub use process::*;
pub use signals::*;
pub use threads::*;
pub use time::*;

use crate::text;

/// Types of numbers that are printed by functions.
macro_rules! named {
    ($($(#[$doc:meta])* $name:ident($number:ty) by $trace:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[repr(transparent)]
            pub struct $name(pub $number);

            impl $crate::Scalar for $name {
                #[inline(always)]
                fn from_word(word: usize) -> Result<Self, $crate::Errno> {
                    Ok(Self(word as $number))
                }

                fn trace(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
                    let trace: fn($number, &mut dyn core::fmt::Write) -> core::fmt::Result = $trace;
                    trace(self.0, out)
                }
            }

            // SAFETY: it is a number.
            unsafe impl $crate::Plain for $name {
                fn trace(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
                    $crate::Scalar::trace(self, out)
                }
            }
        )*
    };
}

/// Types of numbers that are one of several constants.
macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident($number:ty) { $($constant:ident = $value:expr,)* })*) => {
        $crate::named::named! {
            $($(#[$doc])* $name($number) by |value, out| {
                $crate::named::one(value as i64, &[$(($value, stringify!($constant)),)*], out)
            };)*
        }
    };
}

/// Types of numbers whose bits are constants; several together come before those of one.
macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident($number:ty) { $($constant:ident = $value:expr,)* })*) => {
        $crate::named::named! {
            $($(#[$doc])* $name($number) by |value, out| {
                $crate::named::Names::new(out)
                    .bits(value.into(), &[$(($value, stringify!($constant)),)*])
            };)*
        }
    };
}

use {constants, flags, named};

named! {
    /// An address that means something to the program alone.
    Address(usize) by text::address;
    /// A number that is known by its digits.
    Hexadecimal(u64) by |value, out| write!(out, "{value:#x}");
}

/// The name of a number; one without is printed as it is.
fn one(value: i64, names: &[(i64, &str)], out: &mut dyn Write) -> fmt::Result {
    const SMALL: i64 = 4096;
    match names.iter().find(|(number, _)| *number == value) {
        Some((_, name)) => out.write_str(name),
        None if value < SMALL => write!(out, "{value}"),
        None => write!(out, "{value:#x}"),
    }
}

/// A list of names with `|` between them.
struct Names<'a> {
    out: &'a mut dyn Write,
    any: bool,
}

impl<'a> Names<'a> {
    fn new(out: &'a mut dyn Write) -> Self {
        Self { out, any: false }
    }

    fn put(&mut self, name: fmt::Arguments<'_>) -> fmt::Result {
        if self.any {
            self.out.write_char('|')?;
        }
        self.any = true;
        self.out.write_fmt(name)
    }

    /// The names of bits, of several together before those of one; then what has no name. Nothing
    /// at all is 0.
    fn bits(mut self, mut value: u64, names: &[(u64, &str)]) -> fmt::Result {
        for (bits, name) in names {
            if value & bits == *bits {
                value &= !bits;
                self.put(format_args!("{name}"))?;
            }
        }
        match value {
            0 if self.any => Ok(()),
            0 => self.put(format_args!("0")),
            rest => self.put(format_args!("{rest:#x}")),
        }
    }
}
