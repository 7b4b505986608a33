//! Error numbers that this library sets, and the texts of errors (POSIX.1-2017, chapter Headers,
//! errno.h; numbers are those of Linux).

use core::ffi::CStr;

/// A signal came before something was read or written.
pub const EINTR: i32 = 4;
/// A device does not do what it is asked to.
pub const EIO: i32 = 5;
/// An argument that the function does not know.
pub const EINVAL: i32 = 22;
/// The result has no room in its type.
pub const ERANGE: i32 = 34;
/// More characters than an `int` can count.
pub const EOVERFLOW: i32 = 75;

/// What an error number means.
pub fn text(number: i32) -> &'static CStr {
    match number {
        0 => c"Success",
        1 => c"Operation not permitted",
        2 => c"No such file or directory",
        3 => c"No such process",
        4 => c"Interrupted function call",
        5 => c"Input/output error",
        6 => c"No such device or address",
        7 => c"Argument list too long",
        8 => c"Executable file format error",
        9 => c"Bad file descriptor",
        10 => c"No child processes",
        11 => c"Resource unavailable, try again",
        12 => c"Not enough space",
        13 => c"Permission denied",
        14 => c"Bad address",
        16 => c"Device or resource busy",
        17 => c"File exists",
        18 => c"Cross-device link",
        19 => c"No such device",
        20 => c"Not a directory",
        21 => c"Is a directory",
        22 => c"Invalid argument",
        23 => c"Too many files open in system",
        24 => c"File descriptor value too large",
        25 => c"Inappropriate I/O control operation",
        27 => c"File too large",
        28 => c"No space left on device",
        29 => c"Invalid seek",
        30 => c"Read-only file system",
        31 => c"Too many links",
        32 => c"Broken pipe",
        33 => c"Mathematics argument out of domain of function",
        34 => c"Result too large",
        35 => c"Resource deadlock would occur",
        36 => c"Filename too long",
        38 => c"Functionality not supported",
        39 => c"Directory not empty",
        40 => c"Too many levels of symbolic links",
        75 => c"Value too large to be stored in data type",
        95 => c"Operation not supported",
        110 => c"Connection timed out",
        _ => c"No error information",
    }
}
