//! The condition variable that nobody can notify.

use super::mutex::{DataMutex, RawMutex};
use super::{deadlock, idle_until};

/// A condition variable without a mutex of its own, for C and POSIX layers. Here there is one
/// flow of control: notifying is nothing, and waiting would never end.
#[derive(Default)]
pub struct RawCondvar(());

impl RawCondvar {
    /// A condition variable that nobody waits for.
    pub const fn new() -> Self {
        Self(())
    }

    /// Panics: nobody can notify.
    ///
    /// # Safety
    /// The calling thread holds `mutex`.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub unsafe fn wait(&self, _mutex: &RawMutex) {
        deadlock("a condition is waited for");
    }

    /// Lets the time pass until the monotonic clock is at `deadline_ns`; false.
    ///
    /// # Safety
    /// The calling thread holds `mutex`.
    pub unsafe fn wait_until(&self, _mutex: &RawMutex, deadline_ns: u64) -> bool {
        idle_until(deadline_ns);
        false
    }

    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub(crate) unsafe fn wait_data(&self, _mutex: &DataMutex, deadline_ns: Option<u64>) -> bool {
        match deadline_ns {
            Some(deadline) => idle_until(deadline),
            None => deadlock("a condition is waited for"),
        }
        false
    }

    /// Nothing.
    #[inline(always)]
    pub fn notify_one(&self) {}

    /// Nothing.
    #[inline(always)]
    pub fn notify_all(&self) {}
}
