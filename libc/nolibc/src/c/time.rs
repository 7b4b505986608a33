//! `time.h`: the clocks, and waiting.

use core::ffi::c_int;

use super::errno::result;
use super::missing as system;

/// Seconds and nanoseconds.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int {
    // SAFETY: the caller's promise.
    result(unsafe { system::uk_sys_clock_gettime(clock, time) }) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(time: *const Timespec, rest: *mut Timespec) -> c_int {
    // SAFETY: the caller's promise.
    result(unsafe { system::uk_sys_nanosleep(time, rest) }) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn time(place: *mut i64) -> i64 {
    let mut now = Timespec::default();
    // SAFETY: the place is there. Clock 0 is CLOCK_REALTIME.
    if result(unsafe { system::uk_sys_clock_gettime(0, &mut now) }) < 0 {
        return -1;
    }
    if !place.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *place = now.seconds };
    }
    now.seconds
}

#[unsafe(no_mangle)]
extern "C" fn sleep(seconds: u32) -> u32 {
    let time = Timespec { seconds: seconds.into(), nanoseconds: 0 };
    let mut rest = Timespec::default();
    // SAFETY: both places are there.
    let raw = unsafe { system::uk_sys_nanosleep(&time, &mut rest) };
    if raw < 0 { rest.seconds as u32 } else { 0 }
}
