//! How a program in C starts, whatever its C library: what it finds on its stack, and the heap
//! under `malloc`.
//!
//! A C library of the pool expands [`entry!`] in its own macro of that name, which the generated root
//! crate of an image expands once, with the heap:
//!
//! ```ignore
//! #[macro_export]
//! macro_rules! entry {
//!     ($heap:expr) => {
//!         $crate::crt0::entry!($heap, $crate::PROGRAM);
//!     };
//! }
//! ```
//!
//! On its side the C library has `__libc_start_main`, which runs constructors and `main` and ends
//! the image, and `__errno_location`.
//!
//! Unsafe code in this crate: the C interface of the heap, and the call of the C program.
#![cfg_attr(not(test), no_std)]

#[doc(hidden)]
pub mod start;
#[cfg(test)]
mod tests;

#[doc(hidden)]
pub use ukalloc::Alloc;

/// What a C library says about the programs that it starts.
#[derive(Debug)]
pub struct Program {
    /// Name of the library, whose heap has the arguments.
    pub library: &'static str,
    /// The environment: words `NAME=VALUE`.
    pub environment: &'static ukparam::Text,
}

/// Defines what the C side calls (`malloc` and its family) and calls (`main`), as the module
/// `libc_entry` with a function `start`. Takes a heap and a [`Program`].
///
/// A macro, so that crates which are only tested beside another libc do not define its functions.
#[macro_export]
macro_rules! entry {
    ($heap:expr, $program:expr) => {
        mod libc_entry {
            #[allow(unused_imports)]
            use super::*;
            use ::core::ffi::{c_char, c_int, c_void};

            unsafe extern "C" {
                fn main(argc: c_int, argv: *mut *mut c_char, envp: *mut *mut c_char) -> c_int;
                fn __libc_start_main(
                    main: unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int,
                    argc: c_int,
                    argv: *mut *mut c_char,
                    init: usize,
                    fini: usize,
                    ldso: usize,
                ) -> c_int;
                fn __errno_location() -> *mut c_int;
                #[link_name = "__ehdr_start"]
                static EHDR: $crate::start::Header;
                // Where the image begins: the header has that as it is linked, not as it runs.
                fn _start();
            }

            const ENOMEM: c_int = 12;
            const EINVAL: c_int = 22;

            /// Runs the application; it ends the image itself.
            pub fn start(arguments: &'static [&'static str]) -> u8 {
                // SAFETY: the linker script puts the ELF header into the image.
                let header = unsafe { &*&raw const EHDR };
                let entry = _start as *const () as usize;
                $crate::start::run(&$program, header, entry, arguments, |argc, argv| {
                    // SAFETY: both are C functions with these signatures; the block is laid out as
                    // the System V ABI says.
                    unsafe { __libc_start_main(main, argc, argv, 0, 0, 0) };
                })
            }

            use $crate::Alloc;

            /// What is null when there is no memory, with `errno` set then.
            #[inline(always)]
            fn or_errno(block: *mut u8) -> *mut c_void {
                if block.is_null() {
                    fail(ENOMEM);
                }
                block.cast()
            }

            #[cold]
            fn fail(number: c_int) {
                // SAFETY: the place is the thread's own and lives as long as the thread.
                unsafe { *__errno_location() = number };
            }

            // C programs mean the functions below by their names, which is why they have them.
            #[unsafe(no_mangle)]
            extern "C" fn malloc(size: usize) -> *mut c_void {
                or_errno($heap.malloc(size))
            }
            #[unsafe(no_mangle)]
            extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
                or_errno($heap.calloc(count, size))
            }
            #[unsafe(no_mangle)]
            unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
                // SAFETY: the C caller's promise.
                let block = unsafe { $heap.realloc(block.cast(), size) };
                if size == 0 { block.cast() } else { or_errno(block) }
            }
            #[unsafe(no_mangle)]
            unsafe extern "C" fn free(block: *mut c_void) {
                // SAFETY: the C caller's promise.
                unsafe { $heap.free(block.cast()) }
            }
            #[unsafe(no_mangle)]
            extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
                aligned_alloc(align, size)
            }
            #[unsafe(no_mangle)]
            extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
                if !align.is_power_of_two() {
                    fail(EINVAL);
                    return ::core::ptr::null_mut();
                }
                or_errno($heap.memalign(align, size))
            }
            #[unsafe(no_mangle)]
            unsafe extern "C" fn posix_memalign(
                place: *mut *mut c_void,
                align: usize,
                size: usize,
            ) -> c_int {
                if !align.is_power_of_two() || align < size_of::<usize>() {
                    return EINVAL;
                }
                let block = $heap.memalign(align, size);
                if block.is_null() {
                    return ENOMEM;
                }
                // SAFETY: the C caller's promise.
                unsafe { *place = block.cast() };
                0
            }
            #[unsafe(no_mangle)]
            unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
                // SAFETY: the C caller's promise.
                unsafe { $heap.usable_size(block.cast()) }
            }
        }
    };
}
