//! The system calls that this library makes. A handler that an image does not have is replaced by
//! `ENOSYS`, counted by number.

/// Declares calls with their numbers, and what stands for a handler that is not there.
macro_rules! calls {
    ($($number:literal $name:ident($($argument:ident: $type:ty),*);)*) => {
        unsafe extern "C" {
            $(pub(super) fn $name($($argument: $type),*) -> isize;)*
        }
        $(core::arch::global_asm!(
            concat!(".section .text.", stringify!($name), ",\"ax\",@progbits"),
            concat!(".weak ", stringify!($name)),
            concat!(".type ", stringify!($name), ",@function"),
            concat!(stringify!($name), ":"),
            concat!("mov edi, ", stringify!($number)),
            "jmp uk_syscall_missing",
            concat!(".size ", stringify!($name), ", . - ", stringify!($name)),
            ".text",
        );)*
    };
}

calls! {
    0 uk_sys_read(fd: i32, bytes: *mut u8, len: usize);
    1 uk_sys_write(fd: i32, bytes: *const u8, len: usize);
    2 uk_sys_open(path: *const core::ffi::c_char, flags: i32, mode: u32);
    3 uk_sys_close(fd: i32);
    8 uk_sys_lseek(fd: i32, offset: i64, whence: i32);
    16 uk_sys_ioctl(fd: i32, request: u64, argument: usize);
    35 uk_sys_nanosleep(time: *const super::time::Timespec, rest: *mut super::time::Timespec);
    39 uk_sys_getpid();
    74 uk_sys_fsync(fd: i32);
    82 uk_sys_rename(from: *const core::ffi::c_char, to: *const core::ffi::c_char);
    83 uk_sys_mkdir(path: *const core::ffi::c_char, mode: u32);
    84 uk_sys_rmdir(path: *const core::ffi::c_char);
    87 uk_sys_unlink(path: *const core::ffi::c_char);
    228 uk_sys_clock_gettime(clock: i32, time: *mut super::time::Timespec);
    231 uk_sys_exit_group(code: i32);
}
