//! The mutex: one word with its owner, and a queue.

use core::panic::Location;

#[cfg(feature = "inherit")]
use super::inherit::Links;
use super::inherit::{self, Change, Queue};
use super::list::{List, Node, Taken};
use crate::diagnose::{self, Kind};
use crate::sys::{self, ThreadRef, Wakeup};
use crate::word::Word;

// The low bits of the word, which are clear in a thread's reference.

/// The queue is not empty. Set and cleared under the queue's lock.
const QUEUED: usize = 1;
/// The first of the queue has been woken and has not looked yet, so that releasing again needs no
/// second wake-up.
const WOKEN: usize = 2;
const FLAGS: usize = 7;

/// Looks at a taken mutex before parking: about the cost of a park and its wake-up.
#[cfg(feature = "smp")]
const LOOKS: u32 = 100;

/// A mutex without data, for C and POSIX layers.
///
/// Taking and releasing it uncontended is one compare-and-exchange each (with one CPU: plain
/// loads and stores). Releasing a contended one frees it and wakes the longest waiting thread;
/// others may be faster, but only once: a thread that was woken and came too late is *handed* the
/// mutex by the next release. So a lock that is taken again and again is not passed to and fro
/// with a context switch each time, and still nobody is overtaken twice after being woken. With
/// several CPUs a thread first spins for a moment, while the owner runs.
///
/// A thread that owns it must not take it again: it would wait for ever (debug builds panic). Not
/// for interrupt handlers.
///
/// ```
/// static LOCK: uklock::RawMutex = uklock::RawMutex::new();
/// LOCK.lock();
/// // SAFETY: this thread holds it.
/// unsafe { LOCK.unlock() };
/// ```
///
/// With the option `priority-inheritance` the most urgent waiting thread comes first instead, and
/// nobody is faster than threads that wait. The owner runs with the priority of that thread as long
/// as it waits: it waits for the owner's critical section, not for threads that are less urgent.
pub struct RawMutex {
    word: Word,
    pub(super) queue: Queue,
    #[cfg(feature = "inherit")]
    pub(super) links: Links,
}

/// Who owns a mutex with this word.
fn owner_in(word: usize) -> Option<ThreadRef> {
    #[cfg(feature = "inherit")]
    return (word & !FLAGS != 0).then(|| ThreadRef::from_usize(word & !FLAGS));
    #[cfg(not(feature = "inherit"))]
    {
        let _ = word;
        None
    }
}

impl RawMutex {
    /// A free mutex.
    pub const fn new() -> Self {
        Self {
            word: Word::new(0),
            queue: Queue::new(),
            #[cfg(feature = "inherit")]
            links: Links::new(),
        }
    }

    /// Its owner, while others wait for it.
    #[cfg(feature = "inherit")]
    pub(super) fn owner(&self) -> Option<ThreadRef> {
        owner_in(self.word.load())
    }

    /// Another node is the first of the queue, which was not woken.
    pub(super) fn front_changed(&self) {
        self.word.update(|word| (word & WOKEN != 0).then_some(word & !WOKEN));
    }

    fn id(&self) -> *const () {
        core::ptr::from_ref(self).cast()
    }

    /// Waits for the mutex and takes it.
    ///
    /// # Panics
    /// With deadlock diagnosis, when waiting would never end.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn lock(&self) {
        if self.word.compare_exchange(0, sys::current().to_usize()).is_err() {
            self.lock_slow(None, Location::caller());
        }
        diagnose::held(self.id(), Kind::Mutex, Location::caller());
    }

    /// Takes the mutex if it is free.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn try_lock(&self) -> bool {
        let me = sys::current();
        let taken = if inherit::ENABLED {
            self.word.compare_exchange(0, me.to_usize()).is_ok() || self.try_lock_queued(me)
        } else {
            self.take_if_free(me).is_some()
        };
        if taken {
            diagnose::held(self.id(), Kind::Mutex, Location::caller());
        }
        taken
    }

    /// Takes it if it is free; returns the word before.
    #[inline]
    fn take_if_free(&self, me: ThreadRef) -> Option<usize> {
        let (before, taken) =
            self.word.update(|word| (word & !FLAGS == 0).then_some(word | me.to_usize()));
        taken.then_some(before)
    }

    /// The same where others may wait for it.
    #[cold]
    fn try_lock_queued(&self, me: ThreadRef) -> bool {
        Queue::with(self, |_| match self.take_if_free(me) {
            None => (false, Change::None),
            Some(before) => {
                let queued = before & QUEUED != 0;
                (true, Change::Taken { owner: Some(me), node: None, queued })
            }
        })
    }

    /// Waits for the mutex until the monotonic clock is at `deadline_ns`; returns whether it was
    /// taken.
    #[inline]
    #[cfg_attr(any(feature = "diagnose", debug_assertions), track_caller)]
    pub fn lock_until(&self, deadline_ns: u64) -> bool {
        let taken = self.word.compare_exchange(0, sys::current().to_usize()).is_ok()
            || self.lock_slow(Some(deadline_ns), Location::caller());
        if taken {
            diagnose::held(self.id(), Kind::Mutex, Location::caller());
        }
        taken
    }

    /// Releases the mutex.
    ///
    /// # Safety
    /// The calling thread holds it.
    #[inline]
    pub unsafe fn unlock(&self) {
        diagnose::released(self.id());
        let released = self.word.update(|word| {
            // Somebody to be woken, or to inherit from no more?
            let looks = if inherit::ENABLED { QUEUED } else { QUEUED | WOKEN };
            (word & looks != QUEUED).then_some(word & FLAGS)
        });
        if !released.1 {
            self.unlock_slow();
        }
    }

    /// Whether the calling thread holds it.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        self.word.load() & !FLAGS == sys::current().to_usize()
    }

    #[cold]
    fn lock_slow(&self, deadline_ns: Option<u64>, place: &'static Location<'static>) -> bool {
        let me = sys::current();
        #[cfg(feature = "smp")]
        if self.spin(me) {
            return true;
        }
        let _waits = diagnose::waits(self.id(), Kind::Mutex, place, deadline_ns.is_none());
        let node = Node::new(me);
        let queued = Queue::with(self, |list| {
            let (before, _) = self.word.update(|word| {
                Some(if word & !FLAGS == 0 { word | me.to_usize() } else { word | QUEUED })
            });
            if before & !FLAGS == 0 {
                let queued = before & QUEUED != 0;
                return (false, Change::Taken { owner: Some(me), node: None, queued });
            }
            // SAFETY: the node is new; `wait_queued` returns when it is out of the list.
            if unsafe { Queue::insert(list, &node) } {
                self.front_changed();
            }
            (true, Change::Waits { node: &raw const node, owner: owner_in(before) })
        });
        !queued || {
            let timed_out = sys::park(deadline_ns) == Wakeup::TimedOut;
            self.wait_queued(&node, deadline_ns, timed_out)
        }
    }

    /// Tries to get the mutex while its owner runs on another CPU.
    #[cfg(feature = "smp")]
    fn spin(&self, me: ThreadRef) -> bool {
        for _ in 0..LOOKS {
            let word = self.word.load();
            if word & !FLAGS == 0 {
                if inherit::ENABLED && word != 0 {
                    // Who waits goes first.
                    return false;
                }
                if self.word.compare_exchange(word, word | me.to_usize()).is_ok() {
                    return true;
                }
            } else if word & QUEUED != 0 || !ThreadRef::from_usize(word & !FLAGS).is_running() {
                // There is a queue: going to its end is fair, and saves the spinning.
                return false;
            }
            for _ in 0..8 {
                core::hint::spin_loop();
            }
        }
        false
    }

    /// Waits for the mutex with a node that is in the queue; afterwards it is not.
    fn wait_queued(&self, node: &Node, deadline_ns: Option<u64>, mut timed_out: bool) -> bool {
        loop {
            if node.is_granted() {
                return true;
            }
            match Queue::with(self, |list| self.look(list, node, timed_out)) {
                Look::HandedOver => {
                    node.wait_granted();
                    return true;
                }
                Look::Took => return true,
                Look::GaveUp => return false,
                Look::WaitOn => {}
            }
            timed_out = sys::park(deadline_ns) == Wakeup::TimedOut;
        }
    }

    /// A queued thread looks whether it can have the mutex, or gives up.
    fn look(&self, list: &mut List, node: &Node, timed_out: bool) -> (Look, Change) {
        if node.is_taken() {
            return (Look::HandedOver, Change::None);
        }
        let front = list.is_front(node);
        let has_others = list.has_second();
        let queued = if has_others { QUEUED } else { 0 };
        // Only the first is ever woken: when that is this one, it has now looked. (Who inherits may
        // have been the first when it was woken, and then takes what is free.)
        let others_woken = if front { 0 } else { WOKEN };
        let may_take = front || timed_out || inherit::ENABLED;
        let (before, changed) = self.word.update(|word| {
            if word & !FLAGS == 0 && may_take {
                Some(node.thread.to_usize() | queued | (word & others_woken))
            } else if timed_out {
                Some((word & !FLAGS) | queued | (word & others_woken))
            } else if front {
                Some(word & !WOKEN)
            } else {
                None
            }
        });
        let free = before & !FLAGS == 0;
        let this = &raw const *node;
        if changed && (free || timed_out) {
            // SAFETY: it is neither taken nor was it removed before.
            unsafe { list.remove(node) };
            return if free {
                let owner = Some(node.thread);
                (Look::Took, Change::Taken { owner, node: Some(this), queued: has_others })
            } else {
                let owner = owner_in(before);
                (Look::GaveUp, Change::GaveUp { node: this, owner, queued: has_others })
            };
        }
        if front && before & WOKEN != 0 {
            node.impatient.set(true);
        }
        (Look::WaitOn, Change::None)
    }

    #[cold]
    fn unlock_slow(&self) {
        // Not preempted between marking a thread as woken and waking it: meanwhile nobody else
        // would.
        let _critical = sys::critical();
        let (taken, woken) = Queue::with(self, |list| {
            let before = self.word.load();
            if let Some(front) = list.front()
                && front.impatient.get()
            {
                let (owner, node) = (front.thread.to_usize(), &raw const *front);
                let has_others = list.has_second();
                let queued = if has_others { QUEUED } else { 0 };
                // The holder is in here; others only set flags, under the queue's lock.
                self.word.store(owner | queued);
                let from = owner_in(before);
                let change = Change::HandedOver { from, node, queued: has_others };
                return ((list.take_front(), None), change);
            }
            let (before, _) = self.word.update(|word| {
                let woken = if word & QUEUED != 0 { WOKEN } else { 0 };
                Some((word & FLAGS) | woken)
            });
            let wake = before & (QUEUED | WOKEN) == QUEUED;
            let woken = if wake { list.front().map(|front| front.thread) } else { None };
            ((Taken::NOBODY, woken), Change::Released { owner: owner_in(before) })
        });
        taken.grant();
        if let Some(thread) = woken {
            thread.unpark();
        }
    }

    /// Puts the node of a thread that waits for something else into this queue, as if the thread
    /// had tried to take the mutex. Returns a thread to be unparked.
    ///
    /// # Safety
    /// The node is in no list and its thread calls `wait_moved` when it sees `MOVED`.
    pub(super) unsafe fn move_here(&self, node: &Node) -> Option<ThreadRef> {
        Queue::with(self, |list| {
            node.set_moved();
            // SAFETY: in no list (contract); `wait_moved` keeps it alive until it is out.
            if unsafe { Queue::insert(list, node) } {
                self.front_changed();
            }
            let (before, _) = self.word.update(|word| {
                let woken = if word & !FLAGS == 0 { WOKEN } else { 0 };
                Some(word | QUEUED | woken)
            });
            let wake = before & !FLAGS == 0 && before & WOKEN == 0;
            let woken = if wake { list.front().map(|front| front.thread) } else { None };
            (woken, Change::Waits { node: &raw const *node, owner: owner_in(before) })
        })
    }

    /// Waits for the mutex with a node that `move_here` was called with.
    pub(super) fn wait_moved(&self, node: &Node, place: &'static Location<'static>) {
        {
            let _waits = diagnose::waits(self.id(), Kind::Mutex, place, false);
            self.wait_queued(node, None, false);
        }
        diagnose::held(self.id(), Kind::Mutex, place);
    }
}

/// What a queued thread found.
enum Look {
    HandedOver,
    Took,
    GaveUp,
    WaitOn,
}

impl Default for RawMutex {
    fn default() -> Self {
        Self::new()
    }
}
