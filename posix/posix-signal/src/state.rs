//! What is known of signals: actions, masks, pending ones.

use posix_thread::FIRST;
use syscall_shim::{ActionFlags, Address, Errno, Handler, Plain, SignalSet, request_call_end};
use uklock::{Mutex, WaitQueue};
use ukmap::SortedMap;

use crate::fault;
use crate::info::Info;
use crate::number::{LAST, bit, is_ignored_by_default};
use crate::queue::Queue;

pub const DEFAULT: usize = 0;
pub const IGNORE: usize = 1;

/// `struct sigaction` of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
#[repr(C)]
pub struct Action {
    #[trace(Handler)]
    pub handler: usize,
    #[trace(ActionFlags)]
    pub flags: u64,
    /// Not used: handlers return.
    #[trace(Address)]
    pub restorer: usize,
    #[trace(SignalSet)]
    pub mask: u64,
}

/// Of one thread.
#[derive(Debug, Default)]
pub struct Own {
    /// Signals that are blocked.
    pub mask: u64,
    /// The mask to go back to, while a call waits with another one.
    pub saved: Option<u64>,
    /// Signals that the thread waits for, blocked or not.
    pub awaited: u64,
    pub pending: Queue,
}

pub struct State {
    /// Signals for whichever thread takes them.
    pub pending: Queue,
    /// Of the first thread, which was there before anybody could be told that there is no memory.
    first: Own,
    /// Of those that were made later.
    own: SortedMap<i32, Own>,
}

/// Of each signal. Apart from the rest of the state, with which it is locked, because it begins as
/// zeros: those are in no image.
static ACTIONS: Mutex<[Action; LAST as usize]> =
    Mutex::new([Action { handler: DEFAULT, flags: 0, restorer: 0, mask: 0 }; LAST as usize]);

pub static STATE: Mutex<State> = Mutex::new(State {
    pending: Queue::new(),
    first: Own { mask: 0, saved: None, awaited: 0, pending: Queue::new() },
    own: SortedMap::new(),
});

/// Those that wait for a signal.
pub static WAITING: WaitQueue = WaitQueue::new();

impl State {
    pub fn action(&self, signal: i32) -> Action {
        ACTIONS.lock()[signal as usize - 1]
    }

    pub fn set_action(&mut self, signal: i32, action: Action) {
        ACTIONS.lock()[signal as usize - 1] = action;
        fault::note(signal, &action);
        if self.is_ignored(signal) {
            self.pending.forget(bit(signal));
            let others = self.own.values_mut();
            others.chain([&mut self.first]).for_each(|own| own.pending.forget(bit(signal)));
        }
    }

    /// Whether a signal does nothing.
    pub fn is_ignored(&self, signal: i32) -> bool {
        match self.action(signal).handler {
            IGNORE => true,
            DEFAULT => is_ignored_by_default(signal),
            _ => false,
        }
    }

    /// What a thread has, to be changed. Those that began before anybody asked for signals get it
    /// now; all others had it from their beginning.
    pub fn own(&mut self, thread: i32) -> &mut Own {
        match thread {
            FIRST => &mut self.first,
            other => self.own.get_or_insert_with(other, Own::default),
        }
    }

    /// What a thread has, if it differs from a new one.
    fn of(&self, thread: i32) -> Option<&Own> {
        if thread == FIRST { Some(&self.first) } else { self.own.get(&thread) }
    }

    pub fn mask(&self, thread: i32) -> u64 {
        self.of(thread).map_or(0, |own| own.mask)
    }

    pub fn awaits(&self, thread: i32, signal: i32) -> bool {
        self.of(thread).is_some_and(|own| own.awaited & bit(signal) != 0)
    }

    /// Pending signals of a thread, blocked or not.
    pub fn pending(&self, thread: i32) -> u64 {
        self.pending.set() | self.of(thread).map_or(0, |own| own.pending.set())
    }

    /// Signals that are to be delivered to a thread.
    pub fn deliverable(&self, thread: i32) -> u64 {
        self.pending(thread) & !self.mask(thread)
    }

    /// Takes a pending signal of a set: a thread's own ones first.
    pub fn take(&mut self, thread: i32, set: u64) -> Option<Info> {
        let own = if thread == FIRST { Some(&mut self.first) } else { self.own.get_mut(&thread) };
        own.and_then(|own| own.pending.take(set)).or_else(|| self.pending.take(set))
    }

    /// Whether a signal is to be delivered to a thread, which has it alone from now on. Otherwise
    /// another thread might take it, and the wait that ends for it would begin anew, with all of its
    /// time.
    pub fn claim(&mut self, thread: i32) -> bool {
        let open = !self.mask(thread);
        if self.of(thread).is_some_and(|own| own.pending.set() & open != 0) {
            return true;
        }
        let Some(info) = self.pending.take(open) else { return false };
        if !self.own(thread).pending.push(info) {
            // There is room where it was.
            self.pending.push(info);
        }
        true
    }

    /// A new thread has the mask of the one that made it.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn thread_created(&mut self, parent: i32, child: i32) -> Result<(), Errno> {
        let own = Own { mask: self.mask(parent), ..Own::default() };
        self.own.try_insert(child, own).map(drop).map_err(|_| Errno::ENOMEM)
    }

    /// Forgets a thread; returns the signals that were pending for it.
    pub fn thread_ended(&mut self, thread: i32) -> u64 {
        let own = if thread == FIRST {
            Some(core::mem::take(&mut self.first))
        } else {
            self.own.remove(&thread)
        };
        own.map_or(0, |own| own.pending.set())
    }

    /// Calls of threads have to look as long as there is something to deliver. Called after
    /// whatever may have changed that.
    pub fn request(&self) {
        let mut known = self.own.keys().copied().chain([FIRST]);
        let own = known.any(|thread| self.deliverable(thread) != 0);
        let anybody = || {
            let open = |thread| self.pending.set() & !self.mask(thread) != 0;
            self.pending.set() != 0 && posix_thread::find_number(open).is_some()
        };
        request_call_end(own || anybody());
    }
}
