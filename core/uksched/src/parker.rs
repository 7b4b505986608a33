//! The token of a thread: what makes waiting and waking meet.

use core::sync::atomic::Ordering;

use crate::sys::atomic::AtomicU8;
#[cfg(not(feature = "smp"))]
use crate::sys::irq;

/// `unpark` came, and no `park` has taken it yet.
const TOKEN: u8 = 1;
/// The thread waits for a token, and perhaps a deadline.
const PARKED: u8 = 2;
/// The thread waits for a deadline alone.
const SLEEPING: u8 = 4;

/// State of waiting. All changes are atomic with respect to interrupt handlers and other CPUs.
#[derive(Debug)]
pub struct Parker(AtomicU8);

impl Parker {
    pub const fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// Changes the state and returns the one before.
    #[cfg(feature = "smp")]
    #[inline]
    fn update(&self, change: impl Fn(u8) -> u8) -> u8 {
        let result =
            self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| Some(change(state)));
        match result {
            Ok(old) | Err(old) => old,
        }
    }

    /// Changes the state and returns the one before. Without other CPUs only interrupt handlers
    /// could come between: keeping them away needs no atomic instruction.
    #[cfg(not(feature = "smp"))]
    #[inline]
    fn update(&self, change: impl Fn(u8) -> u8) -> u8 {
        let _no_interrupts = irq::disable();
        let old = self.0.load(Ordering::Relaxed);
        self.0.store(change(old), Ordering::Relaxed);
        old
    }

    /// Leaves a token; returns whether the thread was parked, and is now to be made ready.
    #[inline]
    pub fn notify(&self) -> bool {
        self.update(|s| if s & PARKED != 0 { TOKEN } else { s | TOKEN }) & PARKED != 0
    }

    /// Takes a token, or else begins to wait for one; returns whether a token was taken.
    #[inline]
    pub fn begin_park(&self) -> bool {
        self.update(|s| if s & TOKEN != 0 { 0 } else { PARKED }) & TOKEN != 0
    }

    /// Begins to wait for a deadline alone; tokens are kept.
    pub fn begin_sleep(&self) {
        self.update(|s| s | SLEEPING);
    }

    /// The deadline is over; returns whether the thread was waiting, and is now to be made ready.
    pub fn time_out(&self) -> bool {
        self.update(|s| s & TOKEN) & (PARKED | SLEEPING) != 0
    }

    /// The parked thread runs again: takes the token that woke it; `false` when it was the deadline.
    #[inline]
    pub fn end_park(&self) -> bool {
        self.update(|s| s & !TOKEN) & TOKEN != 0
    }
}

#[cfg(test)]
mod tests {
    use super::Parker;

    #[test]
    fn a_token_that_comes_first_is_kept() {
        let parker = Parker::new();
        assert!(!parker.notify() && !parker.notify());
        assert!(parker.begin_park());
        assert!(!parker.begin_park(), "there was one token");
        assert!(parker.notify(), "the parked thread is to be made ready");
        assert!(!parker.notify(), "once");
        assert!(parker.end_park());
    }

    #[test]
    fn deadlines_and_tokens_wake_once() {
        let parker = Parker::new();
        parker.begin_park();
        assert!(parker.time_out());
        assert!(!parker.notify(), "it is awake; the token stays for later");
        assert!(!parker.time_out());
        assert!(parker.end_park());
    }

    #[test]
    fn sleeping_keeps_tokens() {
        let parker = Parker::new();
        parker.notify();
        parker.begin_sleep();
        assert!(!parker.notify(), "a token does not end sleep");
        assert!(parker.time_out());
        assert!(parker.begin_park(), "the token is still there");
    }
}
