//! Shuttle as the scheduler: it decides at every switching point which thread goes on.
//!
//! With `smp` every access to an atomic is such a point. Without, a thread can be preempted
//! where a critical section begins or ends and between two words of a copy, as by a timer
//! interrupt; inside a critical section nothing is switched, and threads unparked there become
//! ready when it ends.

use core::fmt;
use std::cell::{Cell, RefCell};

use shuttle::rand::Rng as _;
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::thread::{self, ThreadId};

use super::Wakeup;

#[cfg(not(feature = "smp"))]
pub use core::sync::atomic;
#[cfg(feature = "smp")]
pub use shuttle::sync::atomic;

#[repr(align(8))]
struct Record {
    id: ThreadId,
    /// A message is under way, one at most. Shuttle's own `park` is not used: it wakes up for no
    /// reason so often that lost wake-ups would hardly be seen.
    token: Cell<bool>,
    unpark: Sender<()>,
    park: Receiver<()>,
    /// The thread's own and the one that counts.
    #[cfg(feature = "inherit")]
    priorities: Cell<(u8, u8)>,
    #[cfg(feature = "inherit")]
    words: [atomic::AtomicUsize; 2],
}

// SAFETY: one operating-system thread runs a whole model, with all threads of shuttle.
unsafe impl Sync for Record {}

impl Record {
    fn unpark(&self) {
        if !self.token.replace(true) {
            // A thread that has ended is not waiting.
            let _ = self.unpark.send(());
        }
    }
}

/// A thread of shuttle. Records are never freed.
#[derive(Clone, Copy)]
pub struct ThreadRef(&'static Record);

thread_local! {
    /// Depth of critical sections, and who was unparked inside. One operating-system thread runs
    /// a whole model: it is the one CPU.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static UNPARKED: RefCell<Vec<ThreadRef>> = const { RefCell::new(Vec::new()) };
}

impl ThreadRef {
    /// Its priority that counts.
    #[cfg(feature = "inherit")]
    pub fn priority(self) -> u8 {
        self.0.priorities.get().1
    }
    /// Its own priority.
    #[cfg(feature = "inherit")]
    pub fn base_priority(self) -> u8 {
        self.0.priorities.get().0
    }
    /// Sets the priority that counts.
    #[cfg(feature = "inherit")]
    pub fn inherit_priority(self, priority: u8) {
        self.0.priorities.set((self.base_priority(), priority));
    }
    /// The words of the locks.
    #[cfg(feature = "inherit")]
    pub fn lock_words(self) -> Option<&'static [atomic::AtomicUsize; 2]> {
        Some(&self.0.words)
    }
    /// As a number.
    pub fn to_usize(self) -> usize {
        core::ptr::from_ref(self.0).expose_provenance()
    }
    /// Of a number.
    #[cfg(any(feature = "smp", feature = "inherit"))]
    pub fn from_usize(word: usize) -> Self {
        // SAFETY: words come from `to_usize`, and records are never freed.
        Self(unsafe { &*core::ptr::with_exposed_provenance(word) })
    }
    /// Wakes it.
    pub fn unpark(self) {
        if DEPTH.get() > 0 {
            UNPARKED.with_borrow_mut(|list| list.push(self));
        } else {
            self.0.unpark();
        }
    }
    /// Whether it runs, as far as anybody can tell.
    #[cfg(feature = "smp")]
    pub fn is_running(self) -> bool {
        shuttle::rand::thread_rng().gen_bool(0.5)
    }
}

impl PartialEq for ThreadRef {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.0, other.0)
    }
}

impl Eq for ThreadRef {}

impl fmt::Debug for ThreadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ThreadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.id)
    }
}

shuttle::thread_local! {
    static ME: Cell<Option<ThreadRef>> = Cell::new(None);
}

/// The running thread.
pub fn current() -> ThreadRef {
    ME.with(|me| {
        me.get().unwrap_or_else(|| {
            let (unpark, park) = channel();
            let token = Cell::new(false);
            let record = Record {
                id: thread::current().id(),
                token,
                unpark,
                park,
                #[cfg(feature = "inherit")]
                priorities: Cell::new((0, 0)),
                #[cfg(feature = "inherit")]
                words: [const { atomic::AtomicUsize::new(0) }; 2],
            };
            let new = ThreadRef(Box::leak(Box::new(record)));
            me.set(Some(new));
            new
        })
    })
}

/// Sets the calling thread's own priority, which it does before it uses locks.
#[cfg(feature = "inherit")]
pub fn set_priority(priority: u8) {
    current().0.priorities.set((priority, priority));
}

/// The calling thread's priority that counts.
#[cfg(feature = "inherit")]
pub fn current_priority() -> u8 {
    current().priority()
}

/// There is no clock: a deadline passes after any number of switches.
pub fn park(deadline_ns: Option<u64>) -> Wakeup {
    assert_eq!(DEPTH.get(), 0, "parked in a critical section");
    if deadline_ns.is_none() {
        let me = current().0;
        // Early returns are allowed, but rare: they could hide a lost wake-up.
        if shuttle::rand::thread_rng().gen_ratio(1, 10) {
            thread::yield_now();
        } else {
            me.park.recv().expect("the record has a sender");
            me.token.set(false);
        }
        return Wakeup::Token;
    }
    let switches = shuttle::rand::thread_rng().gen_range(0..6);
    for _ in 0..switches {
        thread::yield_now();
    }
    if shuttle::rand::thread_rng().gen_bool(0.5) { Wakeup::TimedOut } else { Wakeup::Token }
}

/// A place where threads are switched.
pub fn interleave() {
    if DEPTH.get() == 0 {
        thread::yield_now();
    }
}

pub fn relax() {
    thread::yield_now();
}

/// Without `smp`: nothing else runs while it lives.
pub struct Critical;

pub fn critical() -> Critical {
    if !cfg!(feature = "smp") {
        interleave();
        DEPTH.set(DEPTH.get() + 1);
    }
    Critical
}

impl Drop for Critical {
    fn drop(&mut self) {
        if !cfg!(feature = "smp") {
            DEPTH.set(DEPTH.get() - 1);
            if DEPTH.get() == 0 {
                for thread in UNPARKED.take() {
                    thread.unpark();
                }
                // A thread that unwinds must not switch.
                if !std::thread::panicking() {
                    interleave();
                }
            }
        }
    }
}
