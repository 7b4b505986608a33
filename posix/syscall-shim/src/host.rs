//! Calls of handlers in tests, by number and with arguments as values.

use core::ffi::CStr;

use crate::{Plain, WORDS, dispatch};

/// The words of a call, see [`call!`](crate::call).
#[derive(Debug, Default)]
pub struct Words {
    words: [usize; WORDS],
    len: usize,
}

impl Words {
    /// Adds an argument.
    pub fn add(&mut self, argument: impl IntoWords) {
        argument.add_to(self);
    }

    fn word(&mut self, word: usize) {
        self.words[self.len] = word;
        self.len += 1;
    }

    /// Calls the handler.
    pub fn call(self, number: u16) -> isize {
        // SAFETY: the words are addresses of what lives during the test's call, or addresses that
        // the handler must refuse. That they fit the handler's types is what the test is about.
        unsafe { dispatch(number.into(), self.words) }
    }
}

/// What can be an argument of [`call!`](crate::call).
pub trait IntoWords {
    /// Adds its words.
    fn add_to(self, words: &mut Words);
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl IntoWords for $number {
            fn add_to(self, words: &mut Words) {
                words.word(self as usize);
            }
        })*
    };
}

numbers!(i32 u32 i64 u64 isize usize);

impl<T: Plain> IntoWords for &T {
    fn add_to(self, words: &mut Words) {
        words.word(core::ptr::from_ref(self) as usize);
    }
}

impl<T: Plain> IntoWords for &mut T {
    fn add_to(self, words: &mut Words) {
        words.word(core::ptr::from_mut(self) as usize);
    }
}

impl<T: Plain> IntoWords for &[T] {
    fn add_to(self, words: &mut Words) {
        words.word(self.as_ptr() as usize);
        words.word(self.len());
    }
}

impl<T: Plain> IntoWords for &mut [T] {
    fn add_to(self, words: &mut Words) {
        words.word(self.as_mut_ptr() as usize);
        words.word(self.len());
    }
}

impl IntoWords for &CStr {
    fn add_to(self, words: &mut Words) {
        words.word(self.as_ptr() as usize);
    }
}

/// Calls a handler as an application does: numbers, references to plain values, slices of them
/// (two words) and C strings. With the feature `host`, for tests.
///
/// ```
/// use syscall_shim::{Errno, UserPtr, UserSlice, syscall};
///
/// #[syscall(nr = 501)]
/// fn count(bytes: UserSlice<u8>, result: UserPtr<u32>) -> Result<(), Errno> {
///     result.write(bytes.len() as u32);
///     Ok(())
/// }
///
/// let mut result = 0u32;
/// assert_eq!(syscall_shim::call!(501, &b"abc"[..], &mut result), 0);
/// assert_eq!(result, 3);
/// assert_eq!(syscall_shim::call!(501, &b"abc"[..], 0), Errno::EFAULT.to_raw());
/// ```
#[macro_export]
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {{
        #[allow(unused_mut)]
        let mut words = $crate::host::Words::default();
        $(words.add($argument);)*
        words.call($number)
    }};
}
