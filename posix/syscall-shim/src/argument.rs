//! From words to the types of parameters, and from results to words.

use core::fmt::{self, Write};

use crate::{Errno, Plain, Traced, WORDS};

/// A type of parameter that is made of one word and is no memory: numbers, flags, descriptors.
pub trait Scalar: Sized {
    /// The value of a word. As in C, what does not fit into the type is cut off.
    ///
    /// # Errors
    /// The word is not a value of the type; the call fails with this error.
    fn from_word(word: usize) -> Result<Self, Errno>;

    /// Prints it for `strace`.
    ///
    /// # Errors
    /// Those of `out`.
    fn trace(&self, out: &mut dyn Write) -> fmt::Result;
}

/// A type of parameter.
///
/// Types without memory behind them implement [`Scalar`] instead.
pub trait Argument<'a>: Sized {
    /// How many words it takes: two for memory with its length.
    const WORDS: usize = 1;

    /// The argument that begins at `words[at]`.
    ///
    /// # Errors
    /// The call fails with this error.
    ///
    /// # Safety
    /// The words are the application's for this call, which promises what its manual page asks
    /// for, until the end of `'a`.
    unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno>;

    /// Prints it for `strace`, before the call or after it, with what it has written.
    ///
    /// # Errors
    /// Those of `out`.
    fn trace(&self, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result;
}

impl<T: Scalar> Argument<'_> for T {
    #[inline(always)]
    unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
        T::from_word(words[at])
    }

    fn trace(&self, _: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        Scalar::trace(self, out)
    }
}

macro_rules! scalars {
    ($($number:ty)*) => {
        $(impl Scalar for $number {
            #[inline(always)]
            fn from_word(word: usize) -> Result<Self, Errno> {
                Ok(word as Self)
            }

            fn trace(&self, out: &mut dyn Write) -> fmt::Result {
                write!(out, "{self}")
            }
        })*
    };
}

scalars!(i8 u8 i16 u16 i32 u32 i64 u64 isize usize);

/// What a call returns when it succeeds: at most `isize::MAX`.
pub trait Value {
    /// The word that the application gets.
    fn word(self) -> isize;
}

impl Value for () {
    #[inline(always)]
    fn word(self) -> isize {
        0
    }
}

macro_rules! values {
    ($($number:ty)*) => {
        $(impl Value for $number {
            #[inline(always)]
            fn word(self) -> isize {
                self as isize
            }
        })*
    };
}

values!(u8 i16 u16 i32 u32 i64 u64 isize usize);

/// What a handler returns.
pub trait Outcome {
    /// The result in a register: a value, or an error number negated.
    fn raw(self) -> isize;
}

impl<T: Value> Outcome for T {
    #[inline(always)]
    fn raw(self) -> isize {
        self.word()
    }
}

impl<T: Value> Outcome for Result<T, Errno> {
    #[inline(always)]
    fn raw(self) -> isize {
        match self {
            Ok(value) => value.word(),
            Err(error) => error.to_raw(),
        }
    }
}

/// See [`Argument::from_words`].
///
/// # Errors
/// # Safety
/// See there.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn take<'a, T: Argument<'a>>(words: &[usize; WORDS], at: usize) -> Result<T, Errno> {
    // SAFETY: the caller's promise.
    unsafe { T::from_words(words, at) }
}

/// How many words a parameter takes.
#[doc(hidden)]
pub const fn words<'a, T: Argument<'a>>() -> usize {
    T::WORDS
}

/// Prints a parameter, before or after the call, or its first word when that is not a value of the type.
///
/// # Errors
/// # Safety
/// See [`Argument`].
#[doc(hidden)]
pub unsafe fn trace<'a, T: Argument<'a>>(
    words: &[usize; WORDS],
    at: usize,
    result: Option<isize>,
    out: &mut dyn Write,
) -> fmt::Result {
    // SAFETY: the caller's promise.
    match unsafe { T::from_words(words, at) } {
        Ok(value) => value.trace(&Traced::new(words, at, result), out),
        Err(_) if words[at] == 0 => out.write_str("NULL"),
        Err(_) => write!(out, "{:#x}", words[at]),
    }
}

/// Prints a number of a plain structure as a named one.
///
/// # Errors
/// Those of `out`.
#[doc(hidden)]
pub fn trace_scalar<T: Scalar>(word: usize, out: &mut dyn Write) -> fmt::Result {
    match T::from_word(word) {
        Ok(value) => value.trace(out),
        Err(_) => write!(out, "{word:#x}"),
    }
}

/// Size in bytes of a field of a plain structure.
#[doc(hidden)]
pub const fn plain<T: Plain>() -> usize {
    size_of::<T>()
}
