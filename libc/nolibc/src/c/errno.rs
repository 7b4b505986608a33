//! `errno.h` and what prints it.

use core::ffi::{c_char, c_int};

use super::Global;
use crate::errno::text;

static ERRNO: Global<c_int> = Global::new(0);

#[unsafe(no_mangle)]
extern "C" fn __errno_location() -> *mut c_int {
    ERRNO.0.get()
}

pub(super) fn set(number: c_int) {
    ERRNO.with(|errno| *errno = number);
}

pub(super) fn get() -> c_int {
    ERRNO.with(|errno| *errno)
}

/// The result of a system call as functions return it: -1 with `errno` set for errors.
pub(super) fn result(raw: isize) -> isize {
    // Errors are from -4095 to -1.
    if (-4095..0).contains(&raw) {
        set(-raw as c_int);
        return -1;
    }
    raw
}

#[unsafe(no_mangle)]
extern "C" fn strerror(number: c_int) -> *const c_char {
    text(number).as_ptr()
}
