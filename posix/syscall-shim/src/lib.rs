//! System calls: handlers registered by attribute, called directly or by number.
//!
//! ```
//! use syscall_shim::{Errno, UserSlice, syscall};
//!
//! /// Adds the bytes of a buffer.
//! #[syscall(nr = 500)]
//! fn sum(bytes: UserSlice<u8>, start: u32) -> Result<u32, Errno> {
//!     bytes.as_slice().iter().try_fold(start, |sum, &byte| {
//!         sum.checked_add(byte.into()).ok_or(Errno::EOVERFLOW)
//!     })
//! }
//!
//! let bytes = [1u8, 2, 3];
//! let words = [bytes.as_ptr() as usize, bytes.len(), 10, 0, 0, 0];
//! // SAFETY: the words are what the call asks for.
//! assert_eq!(unsafe { syscall_shim::dispatch(500, words) }, 16);
//! ```
//!
//! From a registration come: the symbol `uk_sys_NAME`, which a libc made for this system calls in
//! place of a trap; an entry in the table that [`dispatch`] looks numbers up in; the line that the
//! option `strace` prints for a call; and what `oxk syscalls` lists. The linker drops handlers that
//! the application has no call of, and the table with all that it refers to when nothing calls by
//! number.
//!
//! Handlers take words as the types they mean. Memory of the application comes as [`UserPtr`], [`UserOut`],
//! [`UserSlice`], [`UserSliceMut`], [`CStrPtr`] and [`UserWord`], all valid for the length of the call. The
//! application is linked with the system and shares its address space: null and addresses that
//! can never be memory give `EFAULT`; any other wrong pointer has the same effect as in a call of any
//! other function, a fault and its crash report.
//!
//! Unsafe code in this crate: taking the application's word for what is behind its pointers, and
//! the table that the linker puts together.
#![cfg_attr(not(test), no_std)]

#[cfg(feature = "after-call")]
mod after;
mod argument;
#[cfg(feature = "counters")]
mod counters;
#[cfg(any(test, feature = "host"))]
pub mod host;
mod missing;
mod named;
pub mod nr;
mod out;
mod plain;
#[cfg(feature = "strace")]
mod strace;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod traced;
mod user;
mod vectors;

#[cfg(feature = "after-call")]
pub use after::{
    Delivery, Ended, Then, is_call_end_requested, note_calls, on_call_end, request_call_end,
};
pub use argument::{Argument, Outcome, Scalar, Value};
#[doc(hidden)]
pub use argument::{plain, take, trace, trace_scalar, words};
#[cfg(feature = "counters")]
pub use counters::calls;
pub use missing::missing;
pub use named::*;
pub use out::UserOut;
pub use plain::Plain;
pub use syscall_macros::{Plain, syscall};
pub use table::{Entry, Parameter, Syscall, WORDS, by_number, dispatch, registered};
pub use traced::{As, Interrupted, Meaning, Returned, Traced};
pub use ukerrno::Errno;
pub use user::{CStrPtr, Raw, Scope, UserPtr, UserSlice, UserSliceMut, UserWord};
pub use vectors::{FilledBuffers, FullBuffers, IoVec};

// What the macros make names the crate from outside.
extern crate self as syscall_shim;

/// Waits with other signals blocked than usual, if a mask is given: as `ppoll` and `epoll_pwait`.
///
/// # Errors
/// Those of `wait`.
pub fn with_mask<R>(
    mask: Option<u64>,
    wait: impl FnOnce() -> Result<R, Errno>,
) -> Result<R, Errno> {
    #[cfg(feature = "after-call")]
    return after::with_mask(mask, wait);
    #[cfg(not(feature = "after-call"))]
    {
        let _ = mask;
        wait()
    }
}

/// The words that a call has; the others are zeros, which an entry need not keep while its handler runs.
#[doc(hidden)]
#[inline(always)]
pub const fn used<const COUNT: usize>([a, b, c, d, e, f]: [usize; WORDS]) -> [usize; WORDS] {
    const fn keep(word: usize, is_used: bool) -> usize {
        if is_used { word } else { 0 }
    }
    [
        keep(a, COUNT > 0),
        keep(b, COUNT > 1),
        keep(c, COUNT > 2),
        keep(d, COUNT > 3),
        keep(e, COUNT > 4),
        keep(f, COUNT > 5),
    ]
}

/// A call of a registered handler, which is given besides its description so that it can become
/// part of the caller: what the options of the image put around it.
///
/// # Safety
/// The words must be what the call's manual page says.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn run(call: &'static Syscall, handler: Entry, words: [usize; WORDS]) -> isize {
    #[cfg(feature = "counters")]
    counters::count(call.number);
    // The words stay in registers: nothing on the way has them as an array.
    let [a, b, c, d, e, f] = words;
    #[cfg(feature = "after-call")]
    if after::is_attended() {
        // SAFETY: the caller's promise.
        return unsafe { after::attended(a, b, c, d, e, f, call) };
    }
    // SAFETY: the caller's promise.
    let result = unsafe { handler(a, b, c, d, e, f) };
    #[cfg(feature = "after-call")]
    if after::is_attended() || result == Errno::EPIPE.to_raw() {
        // SAFETY: the caller's promise.
        return unsafe { after::ended(a, b, c, d, e, f, call, result) };
    }
    let _ = call;
    result
}

/// Runs a handler, once.
#[doc(hidden)]
#[inline(always)]
pub fn once(
    call: &'static Syscall,
    words: &[usize; WORDS],
    handler: impl FnOnce() -> isize,
) -> isize {
    let _ = (call, words);
    #[cfg(feature = "strace")]
    let started = strace::begin(call, words);
    let result = handler();
    #[cfg(feature = "strace")]
    strace::end(call, words, started, result);
    result
}

/// What a description holds of its parameters: nothing, where nobody prints them.
#[doc(hidden)]
#[cfg(feature = "strace")]
#[macro_export]
macro_rules! __parameters {
    ($($parameters:tt)*) => { &[$($parameters)*] };
}

/// What a description holds of its parameters: nothing, where nobody prints them.
#[doc(hidden)]
#[cfg(not(feature = "strace"))]
#[macro_export]
macro_rules! __parameters {
    ($($parameters:tt)*) => {
        &[]
    };
}

/// Puts a reference to a description into the table. It is exported, so that the compiler keeps it,
/// and not `#[used]`, which would make the linker keep it too.
#[doc(hidden)]
#[cfg(not(any(test, feature = "host", debug_assertions)))]
#[macro_export]
macro_rules! __entry {
    ($call:expr, $name:literal) => {
        #[unsafe(export_name = $name)]
        #[unsafe(link_section = "uk_syscalls")]
        static ENTRY: &$crate::Syscall = &$call;
    };
}

/// Puts a reference to a description into the table, in programs of the development machine: all
/// handlers are there.
#[doc(hidden)]
#[cfg(any(test, feature = "host", debug_assertions))]
#[macro_export]
macro_rules! __entry {
    ($call:expr, $name:literal) => {
        #[used]
        #[unsafe(link_section = "uk_syscalls")]
        static ENTRY: &$crate::Syscall = &$call;
    };
}
