//! Waiting until a clock shows a time.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use syscall_shim::Errno;
use uklock::WaitQueue;

use crate::Clock;

/// Those who sleep.
static SLEEPERS: WaitQueue = WaitQueue::new();
/// How often the wall clock was set.
static SETTINGS: AtomicU32 = AtomicU32::new(0);

/// Lets those look again who wait for a time of the wall clock.
static WALL_SET: ukplat::WallSet = |_| {
    SETTINGS.fetch_add(1, SeqCst);
    SLEEPERS.wake_all();
};

/// Waits until a clock shows a time, in nanoseconds, also when it is set meanwhile.
///
/// # Errors
/// `EINTR` when a signal is to be handled.
pub fn sleep_until(clock: Clock, ns: u64) -> Result<(), Errno> {
    let follows = clock == Clock::Real;
    if follows {
        ukplat::on_wall_set(&WALL_SET);
    }
    loop {
        let settings = SETTINGS.load(SeqCst);
        if clock.now_ns() >= ns {
            return Ok(());
        }
        let deadline = Some(clock.deadline_ns(ns));
        let was_set = || follows && SETTINGS.load(SeqCst) != settings;
        SLEEPERS.wait_interruptible(deadline, was_set).map_err(|_| Errno::EINTR)?;
    }
}
