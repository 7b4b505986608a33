//! Many readers or one writer.

use core::panic::Location;

use super::list::{List, Node, Taken};
use crate::diagnose::{self, Kind};
use crate::guarded::Guarded;
use crate::sys::{self, Wakeup};
use crate::word::Word;

/// A writer holds it.
const WRITER: usize = 1;
/// Somebody waits: nobody gets in but by being admitted.
const QUEUED: usize = 2;
/// One reader holds it; the rest of the word is their number.
const READER: usize = 4;

struct Queue {
    readers: List,
    writers: List,
}

/// Many readers or one writer, without data, for C and POSIX layers.
///
/// Phases alternate under contention (B. Brandenburg, J. Anderson, "Spin-based reader-writer
/// synchronization for multiprocessor real-time systems", phase-fair locks): once a writer waits,
/// new readers wait too; when the last reader leaves, the longest waiting writer gets in; when it
/// leaves, *all* readers that wait get in. So a reader waits for one writer at most, a writer for
/// one phase of readers and the writers before it, and neither side starves.
///
/// A thread that reads must not start to read again: with a writer waiting in between it would
/// wait for ever (debug builds panic). Not for interrupt handlers.
pub struct RawRwLock {
    word: Word,
    queue: Guarded<Queue>,
}

impl RawRwLock {
    /// A free lock.
    pub const fn new() -> Self {
        let queue = Queue { readers: List::new(), writers: List::new() };
        Self { word: Word::new(0), queue: Guarded::new(queue) }
    }

    fn id(&self) -> *const () {
        core::ptr::from_ref(self).cast()
    }

    fn enter(word: usize, kind: Kind) -> Option<usize> {
        match kind {
            Kind::Read => (word & (WRITER | QUEUED) == 0).then(|| word + READER),
            _ => (word == 0).then_some(WRITER),
        }
    }

    /// Takes the lock for reading if no writer holds it or waits.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn try_read(&self) -> bool {
        self.take(Kind::Read, false, None, Location::caller())
    }

    /// Takes the lock for writing if nobody holds it or waits.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn try_write(&self) -> bool {
        self.take(Kind::Write, false, None, Location::caller())
    }

    /// Waits until it can be held for reading, together with other readers.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn read(&self) {
        self.take(Kind::Read, true, None, Location::caller());
    }

    /// Waits until it can be held for writing, alone.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn write(&self) {
        self.take(Kind::Write, true, None, Location::caller());
    }

    /// As [`RawRwLock::read`], until the monotonic clock is at `deadline_ns`; returns whether it
    /// was taken.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn read_until(&self, deadline_ns: u64) -> bool {
        self.take(Kind::Read, true, Some(deadline_ns), Location::caller())
    }

    /// As [`RawRwLock::write`], until the monotonic clock is at `deadline_ns`; returns whether it
    /// was taken.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn write_until(&self, deadline_ns: u64) -> bool {
        self.take(Kind::Write, true, Some(deadline_ns), Location::caller())
    }

    #[inline(always)]
    fn take(
        &self,
        kind: Kind,
        wait: bool,
        deadline_ns: Option<u64>,
        place: &'static Location<'static>,
    ) -> bool {
        let taken = self.word.update(|word| Self::enter(word, kind)).1
            || (wait && self.take_slow(kind, deadline_ns, place));
        if taken {
            diagnose::held(self.id(), kind, place);
        }
        taken
    }

    #[cold]
    fn take_slow(
        &self,
        kind: Kind,
        deadline_ns: Option<u64>,
        place: &'static Location<'static>,
    ) -> bool {
        let _waits = diagnose::waits(self.id(), kind, place, deadline_ns.is_none());
        let node = Node::new(sys::current());
        let taken = self.queue.with(|queue| {
            let (before, _) =
                self.word.update(|word| Some(Self::enter(word, kind).unwrap_or(word | QUEUED)));
            let taken = Self::enter(before, kind).is_some();
            if !taken {
                // SAFETY: the node is new; this function returns when it is out of the list.
                unsafe { queue.list(kind).push_back(&node) };
            }
            taken
        });
        if taken {
            return true;
        }
        loop {
            let wakeup = sys::park(deadline_ns);
            if node.is_granted() {
                return true;
            }
            if wakeup == Wakeup::TimedOut {
                let left = {
                    let _critical = sys::critical();
                    let admitted = self.queue.with(|queue| {
                        (!node.is_taken()).then(|| {
                            // SAFETY: nobody took it out.
                            unsafe { queue.list(kind).remove(&node) };
                            self.after_leaving(queue)
                        })
                    });
                    admitted.map(Taken::grant).is_some()
                };
                if !left {
                    node.wait_granted();
                }
                return !left;
            }
        }
    }

    /// A waiting thread gave up: perhaps it was the writer for which readers waited, or the last
    /// one to wait. Returns who is admitted.
    fn after_leaving(&self, queue: &mut Queue) -> Taken {
        let readers = if queue.writers.is_empty() { queue.readers.len() } else { 0 };
        let (before, changed) = self.word.update(|word| {
            if word & WRITER != 0 {
                return queue.is_empty().then_some(word & !QUEUED);
            }
            queue.writers.is_empty().then(|| (word & !QUEUED) + readers * READER)
        });
        if changed && before & WRITER == 0 { queue.readers.take_all() } else { Taken::NOBODY }
    }

    /// Releases the lock after reading.
    ///
    /// # Safety
    /// The calling thread holds it for reading.
    #[inline]
    pub unsafe fn unlock_read(&self) {
        diagnose::released(self.id());
        let (before, _) = self.word.update(|word| Some(word - READER));
        if before == READER | QUEUED {
            self.admit(Kind::Write);
        }
    }

    /// Releases the lock after writing.
    ///
    /// # Safety
    /// The calling thread holds it for writing.
    #[inline]
    pub unsafe fn unlock_write(&self) {
        diagnose::released(self.id());
        let (before, _) = self.word.update(|word| Some(word & !WRITER));
        if before & QUEUED != 0 {
            self.admit(Kind::Read);
        }
    }

    /// Changes from writing to reading, without letting a writer in between; readers that wait
    /// are admitted.
    ///
    /// # Safety
    /// The calling thread holds it for writing.
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub unsafe fn downgrade(&self) {
        diagnose::released(self.id());
        {
            let _critical = sys::critical();
            let admitted = self.queue.with(|queue| {
                let queued = if queue.writers.is_empty() { 0 } else { QUEUED };
                // The writer is in here: others only set QUEUED, under the queue's lock.
                self.word.store(((1 + queue.readers.len()) * READER) | queued);
                queue.readers.take_all()
            });
            admitted.grant();
        }
        diagnose::held(self.id(), Kind::Read, Location::caller());
    }

    /// The lock is free and QUEUED, so that nobody gets in: admits who waits, first the side that
    /// did not have it.
    #[cold]
    fn admit(&self, first: Kind) {
        let _critical = sys::critical();
        let admitted = self.queue.with(|queue| {
            // Who waited may have given up, and admitted others or cleared the flag.
            if self.word.load() != QUEUED {
                return Taken::NOBODY;
            }
            let readers = queue.readers.len();
            if readers > 0 && (first == Kind::Read || queue.writers.is_empty()) {
                let queued = if queue.writers.is_empty() { 0 } else { QUEUED };
                self.word.store((readers * READER) | queued);
                queue.readers.take_all()
            } else {
                let writer = queue.writers.take_front();
                let queued = if queue.is_empty() { 0 } else { QUEUED };
                self.word.store(WRITER | queued);
                writer
            }
        });
        admitted.grant();
    }
}

impl Queue {
    fn list(&mut self, kind: Kind) -> &mut List {
        match kind {
            Kind::Read => &mut self.readers,
            _ => &mut self.writers,
        }
    }

    fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.writers.is_empty()
    }
}

impl Default for RawRwLock {
    fn default() -> Self {
        Self::new()
    }
}
