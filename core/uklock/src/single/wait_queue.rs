//! The wait queue between one flow of control and interrupt handlers.

use super::idle_while_not;
use crate::Interrupted;

/// Waits for conditions that interrupt handlers make true. Waking is nothing: the one that waits
/// looks after each interrupt.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
/// static READY: AtomicBool = AtomicBool::new(false);
/// static QUEUE: uklock::WaitQueue = uklock::WaitQueue::new();
///
/// READY.store(true, Relaxed);
/// QUEUE.wake_one();
/// QUEUE.wait(|| READY.load(Relaxed));
/// ```
#[derive(Default)]
pub struct WaitQueue(());

impl WaitQueue {
    /// A queue in which nobody waits.
    pub const fn new() -> Self {
        Self(())
    }

    /// Idles until `condition` is true.
    pub fn wait(&self, condition: impl FnMut() -> bool) {
        idle_while_not(None, condition);
    }

    /// Idles until `condition` is true or the monotonic clock is at `deadline_ns`; returns the
    /// condition.
    pub fn wait_until(&self, deadline_ns: u64, condition: impl FnMut() -> bool) -> bool {
        idle_while_not(Some(deadline_ns), condition)
    }

    /// Idles until `condition` is true or the monotonic clock is at `deadline_ns`, if there is a
    /// deadline; returns the condition.
    ///
    /// # Errors
    /// The program was [interrupted](crate::interrupted) before.
    pub fn wait_interruptible(
        &self,
        deadline_ns: Option<u64>,
        mut condition: impl FnMut() -> bool,
    ) -> Result<bool, Interrupted> {
        let mut met = false;
        let ended = idle_while_not(deadline_ns, || {
            met = condition();
            met || crate::interrupted()
        });
        if ended && !met { Err(Interrupted) } else { Ok(met) }
    }

    /// Nothing; false.
    #[inline(always)]
    pub fn wake_one(&self) -> bool {
        false
    }

    /// Nothing; 0.
    #[inline(always)]
    pub fn wake_all(&self) -> usize {
        0
    }
}
