//! The attributes of `syscall-shim`: [`macro@syscall`] registers a handler, [`macro@Plain`] a
//! structure that applications pass.
//!
//! ```
//! #![forbid(unsafe_code)] // The attributes take care of it.
//! use syscall_shim::{Errno, Plain, UserPtr, syscall};
//!
//! #[derive(Clone, Copy, Debug, Plain)]
//! #[repr(C)]
//! struct Timespec {
//!     seconds: i64,
//!     nanoseconds: i64,
//! }
//!
//! #[syscall]
//! fn clock_getres(_clock: i32, result: Option<UserPtr<Timespec>>) -> Result<(), Errno> {
//!     if let Some(result) = result {
//!         result.write(Timespec { seconds: 0, nanoseconds: 1 });
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Written without a parser library: every image compiles this crate, and function signatures and
//! plain structures are all that it reads.
#![forbid(unsafe_code)]

mod item;
mod plain;
mod template;

use proc_macro::TokenStream;

/// Registers a function as the handler of the system call of the same name.
///
/// The number comes from the architecture's table, or from `nr = N` for a call that is not there.
/// Parameters must implement `syscall_shim::Argument`, the result `syscall_shim::Outcome` or be
/// `!`. The function itself stays as it is, for callers in Rust.
///
/// The option `strace` prints a parameter as its type says, or as the type in `#[trace(TYPE)]`:
///
/// ```
/// # use syscall_shim::{Errno, Signal, SignalSet, UserPtr, syscall};
/// #[syscall(nr = 500)]
/// fn wait_for(
///     #[trace(Signal)] number: i32,
///     #[trace(UserPtr<SignalSet>)] others: UserPtr<u64>,
/// ) -> Result<u64, Errno> {
///     Ok(others.read() | 1 << (number - 1))
/// }
/// ```
///
/// ```compile_fail,E0080
/// # use syscall_shim::{UserSlice, syscall};
/// #[syscall(nr = 500)] // It has one word, not two.
/// fn address(#[trace(UserSlice<u8>)] place: usize) {}
/// ```
///
/// ```compile_fail,E0425
/// # use syscall_shim::syscall;
/// #[syscall] // There is no call of that name.
/// fn frobnicate() {}
/// ```
///
/// ```compile_fail,E0080
/// # use syscall_shim::{syscall, UserSlice};
/// #[syscall(nr = 500)] // Four times two words.
/// fn many(a: UserSlice<u8>, b: UserSlice<u8>, c: UserSlice<u8>, d: UserSlice<u8>) {}
/// ```
#[proc_macro_attribute]
pub fn syscall(options: TokenStream, function: TokenStream) -> TokenStream {
    match item::Function::parse(options, function.clone()) {
        Ok(parsed) => {
            let function = item::without_trace_attributes(function);
            function.into_iter().chain(parsed.registration()).collect()
        }
        Err(error) => error.at_compile_time(function),
    }
}

/// Implements `syscall_shim::Plain` for a structure with `repr(C)` or `repr(transparent)`, all of
/// whose fields are plain, and which has no padding.
///
/// The option `strace` prints the fields whose names do not begin with `_` and that have no
/// `#[trace(_)]`, numbers among them as the type in `#[trace(TYPE)]` if there is one:
///
/// ```
/// # use syscall_shim::{Plain, Signal};
/// #[derive(Clone, Copy, Debug, Plain)]
/// #[repr(C)]
/// struct Sent {
///     #[trace(Signal)]
///     signal: i32,
///     sender: u32,
///     _padding: u64,
/// }
///
/// let mut text = String::new();
/// Sent { signal: 9, sender: 1, _padding: 0 }.trace(&mut text).unwrap();
/// assert_eq!(text, "{signal=SIGKILL, sender=1}");
/// ```
///
/// ```compile_fail,E0080
/// # use syscall_shim::Plain;
/// #[derive(Clone, Copy, Debug, Plain)]
/// #[repr(C)]
/// struct Padded {
///     small: u8,
///     large: u64,
/// }
/// ```
///
/// ```compile_fail,E0277
/// # use syscall_shim::Plain;
/// #[derive(Clone, Copy, Debug, Plain)]
/// #[repr(C)]
/// struct WithBool(bool);
/// ```
#[proc_macro_derive(Plain, attributes(trace))]
pub fn plain(structure: TokenStream) -> TokenStream {
    match plain::implementation(structure) {
        Ok(tokens) => tokens,
        Err(error) => error.at_compile_time(TokenStream::new()),
    }
}
