//! Memory of the application, as it passes it to calls.

use core::ffi::CStr;
use core::fmt::{self, Debug, Write};
use core::marker::PhantomData;
use core::sync::atomic::AtomicU32;

use crate::{Argument, Errno, Plain, Traced, WORDS, text};

/// The first page is never memory, so that null pointers to fields of structures are found too.
const FIRST_PAGE: usize = 4096;
/// Longest path in bytes with its terminator, as in `limits.h`.
const PATH_MAX: usize = 4096;

/// Whether `len` elements of this size can lie at an address; says nothing about what is there.
#[inline(always)]
fn check(address: usize, len: usize, size: usize) -> Result<(), Errno> {
    let bytes = len.checked_mul(size).ok_or(Errno::EFAULT)?;
    let end = address.checked_add(bytes).ok_or(Errno::EFAULT)?;
    // The upper half of the address space is never the application's.
    if (address < FIRST_PAGE && bytes > 0) || end > isize::MAX as usize {
        return Err(Errno::EFAULT);
    }
    Ok(())
}

/// How long memory of a call may be used.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a>(PhantomData<&'a mut u8>);

/// A pointer inside of a structure that the application passed; null is possible.
#[repr(transparent)]
pub struct Raw<T> {
    address: usize,
    target: PhantomData<fn() -> T>,
}

// SAFETY: it is an address, of which every value is valid.
unsafe impl<T: 'static> Plain for Raw<T> {
    fn trace(&self, out: &mut dyn Write) -> fmt::Result {
        text::address(self.address, out)
    }
}

impl<T> Clone for Raw<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Raw<T> {}

impl<T> Debug for Raw<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address)
    }
}

impl<T: Plain> Raw<T> {
    /// The address; 0 for null.
    pub fn address(self) -> usize {
        self.address
    }

    /// One object there.
    ///
    /// # Errors
    /// `EFAULT` when it is no address of memory.
    pub fn pointer(self, _: Scope<'_>) -> Result<UserPtr<'_, T>, Errno> {
        UserPtr::checked(self.address)
    }

    /// `len` objects there, to be read.
    ///
    /// # Errors
    /// `EFAULT` when it is no address of memory.
    pub fn slice(self, _: Scope<'_>, len: usize) -> Result<UserSlice<'_, T>, Errno> {
        UserSlice::checked(self.address, len)
    }

    /// `len` objects there, to be written.
    ///
    /// # Errors
    /// `EFAULT` when it is no address of memory.
    pub fn slice_mut(self, _: Scope<'_>, len: usize) -> Result<UserSliceMut<'_, T>, Errno> {
        UserSliceMut::checked(self.address, len)
    }
}

/// A number or an address, depending on another argument, as in `ioctl` and `prctl`.
#[derive(Clone, Copy, Debug)]
pub struct UserWord<'a> {
    word: usize,
    scope: Scope<'a>,
}

impl<'a> UserWord<'a> {
    /// The number.
    pub fn value(self) -> usize {
        self.word
    }

    /// The object at the address.
    ///
    /// # Errors
    /// `EFAULT` when it is no address of memory.
    pub fn pointer<T: Plain>(self) -> Result<UserPtr<'a, T>, Errno> {
        UserPtr::checked(self.word)
    }

    /// `len` objects at the address, to be read.
    ///
    /// # Errors
    /// `EFAULT` when it is no address of memory.
    pub fn slice<T: Plain>(self, len: usize) -> Result<UserSlice<'a, T>, Errno> {
        UserSlice::checked(self.word, len)
    }

    /// `len` objects at the address, to be written.
    ///
    /// # Errors
    /// `EFAULT` when it is no address of memory.
    pub fn slice_mut<T: Plain>(self, len: usize) -> Result<UserSliceMut<'a, T>, Errno> {
        UserSliceMut::checked(self.word, len)
    }

    /// How long what is there may be used.
    pub fn scope(self) -> Scope<'a> {
        self.scope
    }

    /// Prints it for `strace`, as an address.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn trace_address(self, out: &mut dyn Write) -> fmt::Result {
        text::address(self.word, out)
    }

    /// Prints the object at the address for `strace`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn trace_target<T: Plain>(self, out: &mut dyn Write) -> fmt::Result {
        match self.pointer::<T>() {
            Ok(place) => place.read().trace(out),
            Err(_) => self.trace_address(out),
        }
    }
}

impl<'a> Argument<'a> for UserWord<'a> {
    #[inline(always)]
    unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
        Ok(Self { word: words[at], scope: Scope(PhantomData) })
    }

    fn trace(&self, _: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{:#x}", self.word)
    }
}

/// A pointer to one object of the application. `Option<UserPtr<T>>` is a pointer that may be null.
pub struct UserPtr<'a, T> {
    address: usize,
    target: PhantomData<&'a mut T>,
}

impl<T> Clone for UserPtr<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserPtr<'_, T> {}

impl<'a, T: Plain> UserPtr<'a, T> {
    #[inline(always)]
    fn checked(address: usize) -> Result<Self, Errno> {
        check(address, 1, size_of::<T>())?;
        Ok(Self { address, target: PhantomData })
    }

    /// The address, for those to whom the place itself means something.
    pub fn address(self) -> usize {
        self.address
    }

    /// How long what it points to may be used.
    pub fn scope(self) -> Scope<'a> {
        Scope(PhantomData)
    }

    /// What is there.
    #[inline]
    pub fn read(self) -> T {
        // SAFETY: the application promised an object there, and any bytes are a value.
        unsafe { (self.address as *const T).read_unaligned() }
    }

    /// Replaces what is there.
    #[inline]
    pub fn write(self, value: T) {
        // SAFETY: the application promised room for an object there.
        unsafe { (self.address as *mut T).write_unaligned(value) }
    }
}

impl<'a, T: Plain> Argument<'a> for UserPtr<'a, T> {
    #[inline(always)]
    unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
        Self::checked(words[at])
    }

    fn trace(&self, _: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        self.read().trace(out)
    }
}

impl<'a, T: Plain> Argument<'a> for Option<UserPtr<'a, T>> {
    #[inline(always)]
    unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
        if words[at] == 0 { Ok(None) } else { UserPtr::checked(words[at]).map(Some) }
    }

    fn trace(&self, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match self {
            Some(pointer) => pointer.trace(call, out),
            None => out.write_str("NULL"),
        }
    }
}

impl<'a> UserPtr<'a, u32> {
    /// The word as one that others change at the same time.
    ///
    /// # Errors
    /// `EINVAL` when its address is not a multiple of its size.
    pub fn atomic(self) -> Result<&'a AtomicU32, Errno> {
        let place = self.address as *mut u32;
        if !place.is_aligned() {
            return Err(Errno::EINVAL);
        }
        // SAFETY: the application promised a word there; it is aligned, and accessed atomically.
        Ok(unsafe { AtomicU32::from_ptr(place) })
    }
}

macro_rules! slice {
    ($slice:ident, $doc:literal, $shown:expr) => {
        #[doc = $doc]
        ///
        /// As a parameter it takes two words, the address and the number of elements.
        pub struct $slice<'a, T> {
            address: usize,
            len: usize,
            target: PhantomData<&'a mut T>,
        }

        impl<'a, T: Plain> $slice<'a, T> {
            #[inline(always)]
            fn checked(address: usize, len: usize) -> Result<Self, Errno> {
                check(address, len, size_of::<T>())?;
                Ok(Self { address, len, target: PhantomData })
            }

            /// Number of elements.
            #[inline]
            #[allow(clippy::len_without_is_empty)]
            pub fn len(&self) -> usize {
                self.len
            }

            /// Whether there are none.
            #[inline]
            pub fn is_empty(&self) -> bool {
                self.len == 0
            }

            /// The address of the first element.
            pub fn address(&self) -> usize {
                self.address
            }

            /// How long what is there may be used.
            pub fn scope(&self) -> Scope<'a> {
                Scope(PhantomData)
            }

            /// The element at `index`.
            #[inline]
            pub fn get(&self, index: usize) -> Option<T> {
                let place = (self.address as *const T).wrapping_add(index);
                // SAFETY: the application promised `len` objects there; any bytes are a value.
                (index < self.len).then(|| unsafe { place.read_unaligned() })
            }

            /// All elements.
            pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
                (0..self.len).filter_map(|index| self.get(index))
            }
        }

        impl<'a, T: Plain> Argument<'a> for $slice<'a, T> {
            const WORDS: usize = 2;

            #[inline(always)]
            unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
                Self::checked(words[at], words[at + 1])
            }

            fn trace(&self, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
                if size_of::<T>() == 1 {
                    let shown: fn(&Traced<'_>, usize) -> Option<usize> = $shown;
                    let bytes = shown(call, self.len)
                        .and_then(|len| UserSlice::<u8>::checked(self.address, len).ok());
                    match bytes {
                        Some(bytes) => text::bytes(bytes.as_slice(), out)?,
                        None => text::address(self.address, out)?,
                    }
                } else {
                    text::list(self.iter(), self.len, out)?;
                }
                write!(out, ", {}", self.len)
            }
        }
    };
}

slice!(UserSlice, "Memory of the application that a call reads.", |_, len| Some(len));
// What an error left there, or was there before, is nobody's business.
slice!(UserSliceMut, "Memory of the application that a call writes.", |call, len| {
    call.returned().map(|filled| filled.min(len))
});

impl<'a> UserSlice<'a, u8> {
    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the application promised that many bytes there, unchanged until the call ends.
        unsafe { core::slice::from_raw_parts(self.address as *const u8, self.len) }
    }
}

impl<'a> UserSliceMut<'a, u8> {
    /// The bytes, to be written.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        Self { ..*self }.into_mut_slice()
    }

    /// The bytes, to be written for as long as the call takes.
    #[inline]
    pub fn into_mut_slice(self) -> &'a mut [u8] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: the application promised that many bytes there for this call alone.
        unsafe { core::slice::from_raw_parts_mut(self.address as *mut u8, self.len) }
    }
}

impl<T: Plain> UserSliceMut<'_, T> {
    /// Replaces the element at `index`; returns whether there is one.
    #[inline]
    pub fn set(&mut self, index: usize, value: T) -> bool {
        let inside = index < self.len;
        if inside {
            let place = (self.address as *mut T).wrapping_add(index);
            // SAFETY: the application promised room for `len` objects there.
            unsafe { place.write_unaligned(value) };
        }
        inside
    }
}

/// A text of the application, with a zero byte at its end.
#[derive(Clone, Copy)]
pub struct CStrPtr<'a> {
    text: &'a CStr,
}

impl<'a> CStrPtr<'a> {
    /// The text.
    pub fn as_c_str(self) -> &'a CStr {
        self.text
    }

    /// The text without the zero byte.
    pub fn as_bytes(self) -> &'a [u8] {
        self.text.to_bytes()
    }

    /// The text as a path.
    ///
    /// # Errors
    /// `ENAMETOOLONG` from 4096 bytes on.
    pub fn path(self) -> Result<&'a [u8], Errno> {
        let bytes = self.as_bytes();
        if bytes.len() < PATH_MAX { Ok(bytes) } else { Err(Errno::ENAMETOOLONG) }
    }
}

impl<'a> Argument<'a> for CStrPtr<'a> {
    #[inline(always)]
    unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
        check(words[at], 1, 1)?;
        // SAFETY: the application promised a text there, unchanged until the call ends.
        Ok(Self { text: unsafe { CStr::from_ptr(words[at] as *const core::ffi::c_char) } })
    }

    fn trace(&self, _: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        text::bytes(self.as_bytes(), out)
    }
}

impl<'a> Argument<'a> for Option<CStrPtr<'a>> {
    #[inline(always)]
    unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
        if words[at] == 0 {
            return Ok(None);
        }
        // SAFETY: the caller's promise.
        unsafe { CStrPtr::from_words(words, at) }.map(Some)
    }

    fn trace(&self, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match self {
            Some(text) => text.trace(call, out),
            None => out.write_str("NULL"),
        }
    }
}
