//! Time: values of `linux/time.h`, `linux/timerfd.h`.

use super::{constants, flags};

constants! {
    /// The number of a clock.
    ClockId(i32) {
        CLOCK_REALTIME = 0,
        CLOCK_MONOTONIC = 1,
        CLOCK_PROCESS_CPUTIME_ID = 2,
        CLOCK_THREAD_CPUTIME_ID = 3,
        CLOCK_MONOTONIC_RAW = 4,
        CLOCK_REALTIME_COARSE = 5,
        CLOCK_MONOTONIC_COARSE = 6,
        CLOCK_BOOTTIME = 7,
        CLOCK_REALTIME_ALARM = 8,
        CLOCK_BOOTTIME_ALARM = 9,
        CLOCK_SGI_CYCLE = 10,
        CLOCK_TAI = 11,
    }
    /// A timer of setitimer(2).
    IntervalTimer(i32) {
        ITIMER_REAL = 0,
        ITIMER_VIRTUAL = 1,
        ITIMER_PROF = 2,
    }
}

flags! {
    /// Flags of timer_settime(2) and clock_nanosleep(2).
    TimerFlags(u32) {
        TIMER_ABSTIME = 1,
    }
    /// Flags of timerfd_create(2).
    TimerFdFlags(u32) {
        TFD_NONBLOCK = 0o4000,
        TFD_CLOEXEC = 0o2_000_000,
    }
    /// Flags of timerfd_settime(2).
    TimerFdSetFlags(u32) {
        TFD_TIMER_ABSTIME = 1,
        TFD_TIMER_CANCEL_ON_SET = 2,
    }
}
