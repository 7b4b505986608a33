//! Memory of the application that a call only writes.

use core::fmt::{self, Write};

use crate::{Argument, Errno, Plain, Traced, UserPtr, WORDS, text};

/// A pointer to room for one object, which the call writes and does not read.
/// `Option<UserOut<T>>` is one that may be null.
///
/// What is there before the call means nothing, so that there is no way to read it:
///
/// ```compile_fail,E0599
/// # use syscall_shim::UserOut;
/// fn handler(place: UserOut<u32>) -> u32 {
///     place.read()
/// }
/// ```
pub struct UserOut<'a, T>(UserPtr<'a, T>);

impl<T> Clone for UserOut<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserOut<'_, T> {}

impl<T: Plain> UserOut<'_, T> {
    /// Puts a value there.
    #[inline]
    pub fn write(self, value: T) {
        self.0.write(value);
    }
}

impl<'a, T: Plain> Argument<'a> for UserOut<'a, T> {
    #[inline(always)]
    unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
        // SAFETY: the caller's promise.
        unsafe { UserPtr::from_words(words, at) }.map(Self)
    }

    /// The value, once there is one.
    fn trace(&self, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        if call.has_succeeded() {
            self.0.read().trace(out)
        } else {
            text::address(self.0.address(), out)
        }
    }
}

impl<'a, T: Plain> Argument<'a> for Option<UserOut<'a, T>> {
    #[inline(always)]
    unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
        // SAFETY: the caller's promise.
        unsafe { Option::<UserPtr<'a, T>>::from_words(words, at) }.map(|p| p.map(UserOut))
    }

    fn trace(&self, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match self {
            Some(place) => place.trace(call, out),
            None => out.write_str("NULL"),
        }
    }
}
