//! Something done once.

use core::panic::Location;

use super::list::{List, Node};
use crate::diagnose::{self, Kind};
use crate::guarded::Guarded;
use crate::sys;
use crate::word::Word;

const INCOMPLETE: usize = 0;
const RUNNING: usize = 1;
const DONE: usize = 2;

/// Runs an initialisation once. Who comes meanwhile waits until it is done. When it panics (where
/// panics unwind), it is not done, and the next to come or longest waiting runs its own.
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
    waiting: Guarded<List>,
}

impl Once {
    /// Not done yet.
    pub const fn new() -> Self {
        Self { word: Word::new(INCOMPLETE), waiting: Guarded::new(List::new()) }
    }

    /// Whether it is done; then all its effects are seen.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.word.load() == DONE
    }

    /// Runs `f` unless one was run, or waits for the one that runs.
    ///
    /// # Panics
    /// With deadlock diagnosis, when `f` itself comes here.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn call_once(&self, f: impl FnOnce()) {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call_slow(&mut || f.take().expect("called once")(), Location::caller());
        }
    }

    #[cold]
    fn call_slow(&self, f: &mut dyn FnMut(), place: &'static Location<'static>) {
        let id = core::ptr::from_ref(self).cast();
        while !self.is_completed() {
            if self.word.compare_exchange(INCOMPLETE, RUNNING).is_ok() {
                diagnose::held(id, Kind::Once, place);
                let mut finish = Finish { once: self, result: INCOMPLETE };
                f();
                finish.result = DONE;
                return;
            }
            let _waits = diagnose::waits(id, Kind::Once, place, true);
            let node = Node::new(sys::current());
            let queued = self.waiting.with(|list| {
                let running = self.word.load() == RUNNING;
                if running {
                    // SAFETY: the node is new; waited for below until it is out of the list.
                    unsafe { list.push_back(&node) };
                }
                running
            });
            if queued {
                node.wait_granted();
            }
        }
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
        let _critical = sys::critical();
        diagnose::released(core::ptr::from_ref(self.once).cast());
        let taken = self.once.waiting.with(|list| {
            self.once.word.store(self.result);
            // Not done: one is enough to try again.
            if self.result == DONE { list.take_all() } else { list.take_front() }
        });
        taken.grant();
    }
}
