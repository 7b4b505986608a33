//! Words that each CPU has for itself, as this crate needs them.

use crate::platform::bound;

/// One word. Every access is a single instruction where it matters: with several CPUs a flow can
/// move to another one between any two instructions, and an access that first found out which
/// CPU it is on would reach the wrong word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Word {
    /// How many guards keep the running flow from being preempted.
    PreemptCount,
    /// Not 0 when preemption was asked for.
    PreemptRequested,
    /// What a scheduler knows the running flow by.
    Flow,
}

/// Number of [`Word`]s.
pub const WORDS: usize = 3;

impl Word {
    /// What the current CPU's word holds.
    #[inline]
    pub(crate) fn load(self) -> usize {
        (bound().word_load)(self)
    }

    /// Sets the current CPU's word.
    #[inline]
    pub(crate) fn store(self, value: usize) {
        (bound().word_store)(self, value)
    }

    /// Adds to the current CPU's word, wrapping around. Handlers leave what they add to as they
    /// found it.
    #[inline]
    pub(crate) fn add(self, value: usize) {
        (bound().word_add)(self, value)
    }
}

/// The words of the only CPU there is: what [`Platform`](crate::Platform) gives by default.
pub(crate) mod single {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::{WORDS, Word};

    static CELLS: [AtomicUsize; WORDS] = [const { AtomicUsize::new(0) }; WORDS];

    #[inline(always)]
    pub fn load(word: Word) -> usize {
        CELLS[word as usize].load(Relaxed)
    }

    #[inline(always)]
    pub fn store(word: Word, value: usize) {
        CELLS[word as usize].store(value, Relaxed)
    }

    #[inline(always)]
    pub fn add(word: Word, value: usize) {
        // An interrupt between the two leaves the word as it found it.
        store(word, load(word).wrapping_add(value))
    }
}
