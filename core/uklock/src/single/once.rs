//! Something done once, by the only one there is.

use super::deadlock;
use crate::word::Word;

const INCOMPLETE: usize = 0;
const RUNNING: usize = 1;
const DONE: usize = 2;

/// Runs an initialisation once. When it panics (where panics unwind), it is not done, and the
/// next call runs its own.
///
/// ```
/// static ONCE: uklock::Once = uklock::Once::new();
/// let mut runs = 0;
/// ONCE.call_once(|| runs += 1);
/// ONCE.call_once(|| runs += 1);
/// assert!(ONCE.is_completed() && runs == 1);
/// ```
pub struct Once {
    word: Word,
}

impl Once {
    /// Not done yet.
    pub const fn new() -> Self {
        Self { word: Word::new(INCOMPLETE) }
    }

    /// Whether it is done.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.word.load() == DONE
    }

    /// Runs `f` unless one was run.
    ///
    /// # Panics
    /// When `f` itself comes here.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn call_once(&self, f: impl FnOnce()) {
        if self.is_completed() {
            return;
        }
        if self.word.compare_exchange(INCOMPLETE, RUNNING).is_err() {
            deadlock("something done once waits for itself");
        }
        let mut finish = Finish { once: self, result: INCOMPLETE };
        f();
        finish.result = DONE;
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

/// Says how it ended, also when it ended by unwinding.
struct Finish<'a> {
    once: &'a Once,
    result: usize,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.once.word.store(self.result);
    }
}
