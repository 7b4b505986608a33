//! What a parameter is printed by.

use core::fmt::{self, Write};
use core::marker::PhantomData;

use crate::{Argument, Errno, Plain, UserWord, WORDS, text};

/// A parameter that is printed, in its call.
#[derive(Clone, Copy, Debug)]
pub struct Traced<'w> {
    words: &'w [usize; WORDS],
    at: usize,
    result: Option<isize>,
}

impl<'w> Traced<'w> {
    pub(crate) fn new(words: &'w [usize; WORDS], at: usize, result: Option<isize>) -> Self {
        Self { words, at, result }
    }

    /// A word of the call; they are counted from 0.
    pub fn word(&self, index: usize) -> usize {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// The word before the parameter: often it says what the parameter is.
    pub fn before(&self) -> usize {
        self.word(self.at.wrapping_sub(1))
    }

    /// The result of the call, when it has ended.
    pub fn result(&self) -> Option<Result<usize, Errno>> {
        self.result.map(ukerrno::from_raw)
    }

    /// Whether the call has ended and done what it is for.
    pub fn has_succeeded(&self) -> bool {
        matches!(self.result(), Some(Ok(_)))
    }

    /// What it has returned, if it has succeeded: often the number of what it has written.
    pub fn returned(&self) -> Option<usize> {
        self.result().and_then(Result::ok)
    }
}

/// What a word is, when only the call's other words say.
pub trait Meaning {
    /// Prints it for `strace`.
    ///
    /// # Errors
    /// Those of `out`.
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result;
}

/// A word that is printed as its meaning says: `#[trace(As<M>)] argument: UserWord`.
#[derive(Debug)]
pub struct As<'a, M> {
    word: UserWord<'a>,
    meaning: PhantomData<fn() -> M>,
}

impl<'a, M: Meaning> Argument<'a> for As<'a, M> {
    #[inline(always)]
    unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
        // SAFETY: the caller's promise.
        let word = unsafe { UserWord::from_words(words, at)? };
        Ok(Self { word, meaning: PhantomData })
    }

    fn trace(&self, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        M::trace(self.word, call, out)
    }
}

/// A meaning: what is at the address is a `T`, which a call writes when a signal ends it.
#[derive(Debug)]
pub struct Interrupted<T>(PhantomData<T>);

impl<T: Plain> Meaning for Interrupted<T> {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match word.pointer::<T>() {
            Ok(place) if call.result() == Some(Err(Errno::EINTR)) => place.read().trace(out),
            _ => word.trace_address(out),
        }
    }
}

/// A meaning: room for `T`s, of which the call writes as many as its result says.
#[derive(Debug)]
pub struct Returned<T>(PhantomData<T>);

impl<T: Plain> Meaning for Returned<T> {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match call.returned().map(|count| word.slice::<T>(count)) {
            Some(Ok(list)) => text::list(list.iter(), list.len(), out),
            _ => word.trace_address(out),
        }
    }
}
