//! `unistd.h`, `fcntl.h`, `sys/stat.h`: system calls with `errno`.

use core::ffi::{c_char, c_int};

use super::errno::result;
use super::missing as system;

/// Writes to the standard error output, without `errno`.
pub(super) fn say(text: &[u8]) {
    // SAFETY: the bytes are there.
    unsafe { system::uk_sys_write(2, text.as_ptr(), text.len()) };
}

/// Functions that are a system call.
macro_rules! calls {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $call:ident;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            // SAFETY: the caller's promise.
            result(unsafe { system::$call($($argument),*) }) as $result
        }
    )*};
}

calls! {
    read(fd: c_int, bytes: *mut u8, len: usize) -> isize = uk_sys_read;
    write(fd: c_int, bytes: *const u8, len: usize) -> isize = uk_sys_write;
    // The mode of a variadic call is in the same register as that of any other.
    open(path: *const c_char, flags: c_int, mode: u32) -> c_int = uk_sys_open;
    close(fd: c_int) -> c_int = uk_sys_close;
    lseek(fd: c_int, offset: i64, whence: c_int) -> i64 = uk_sys_lseek;
    fsync(fd: c_int) -> c_int = uk_sys_fsync;
    rename(from: *const c_char, to: *const c_char) -> c_int = uk_sys_rename;
    mkdir(path: *const c_char, mode: u32) -> c_int = uk_sys_mkdir;
    rmdir(path: *const c_char) -> c_int = uk_sys_rmdir;
    unlink(path: *const c_char) -> c_int = uk_sys_unlink;
    getpid() -> c_int = uk_sys_getpid;
}

/// `TIOCGWINSZ`: terminals have a window size.
const WINDOW_SIZE: u64 = 0x5413;

#[unsafe(no_mangle)]
extern "C" fn isatty(fd: c_int) -> c_int {
    let mut size = [0u16; 4];
    // SAFETY: the place has the size that the request fills in.
    let raw = unsafe { system::uk_sys_ioctl(fd, WINDOW_SIZE, (&raw mut size).addr()) };
    (result(raw) == 0).into()
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn _exit(code: c_int) -> ! {
    // SAFETY: without pointers.
    unsafe { system::uk_sys_exit_group(code) };
    // An image without that handler goes nowhere else.
    loop {
        core::hint::spin_loop();
    }
}
