//! The thread and its handle.

use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::ops::Range;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use uktimers::{Entry, Node};

use crate::foreign::Foreign;
use crate::parker::Parker;
use crate::stack::Stack;
use crate::sys::Context;
use crate::sys::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};

/// Number of priorities; 0 is the lowest.
pub const PRIORITIES: u8 = 32;
/// Priority of threads that do not ask for another.
pub const DEFAULT_PRIORITY: u8 = 16;
/// Bytes of a thread's name that are kept.
pub const NAME_LEN: usize = 23;

/// A thread. Its memory is never given back to the heap, only used for other threads, so that a
/// handle leads to a thread for ever.
///
/// Who may touch the cells: `context` and `stack` the CPU that the thread belongs to, while the
/// thread is not running; `link` the owner of the thread's [`Ready`](crate::Ready), or the inbox;
/// `heap` the CPU that the thread belongs to; `name` whoever creates the thread.
pub struct Thread {
    pub(crate) context: UnsafeCell<Context>,
    pub(crate) stack: Cell<Stack>,
    pub(crate) link: Cell<Option<ThreadRef>>,
    /// The place among the deadlines of the CPU.
    pub(crate) timer: Node<ThreadRef>,
    pub(crate) parker: Parker,
    /// The priority that counts.
    pub(crate) priority: AtomicU8,
    #[cfg(feature = "inherit")]
    inherit: Inherit,
    pub(crate) cpu: AtomicU32,
    /// Bit `i`: the thread may run on CPU `i`.
    pub(crate) affinity: AtomicU64,
    pub(crate) life: Life,
    pub(crate) thread_pointer: AtomicUsize,
    pub(crate) foreign: Foreign,
    /// See [`ThreadRef::word`].
    word: AtomicUsize,
    /// Number of the tick at which the thread was switched to.
    pub(crate) since_tick: AtomicU32,
    pub(crate) on_cpu: AtomicU8,
    pub(crate) counters: Counters,
    id: AtomicU64,
    name: [AtomicU8; NAME_LEN + 1],
    /// All threads that were ever made, newest first.
    next_made: AtomicPtr<Thread>,
}

// SAFETY: the cells are touched as the type's documentation says; all else is atomic.
unsafe impl Sync for Thread {}

/// What a thread needs to have another priority for a while.
#[cfg(feature = "inherit")]
struct Inherit {
    /// The thread's own priority.
    base: AtomicU8,
    words: [AtomicUsize; 2],
}

/// From creation to the last use of a thread's memory.
pub struct Life {
    pub(crate) bits: AtomicU8,
    /// Uses that keep stack and thread from being used again: the thread itself, and its handle.
    pub(crate) uses: AtomicU8,
    pub(crate) joiner: AtomicPtr<Thread>,
}

/// What the scheduler counts.
#[derive(Default)]
pub struct Counters {
    pub(crate) switches: AtomicU64,
    pub(crate) preemptions: AtomicU64,
    pub(crate) cpu_ns: AtomicU64,
    pub(crate) switched_in_ns: AtomicU64,
}

/// Adds without an atomic instruction: only the CPU of the thread counts.
#[inline]
pub fn count(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

static MADE: AtomicPtr<Thread> = AtomicPtr::new(core::ptr::null_mut());
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Thread {
    pub(crate) const fn new() -> Self {
        Self {
            context: UnsafeCell::new(Context::NONE),
            stack: Cell::new(Stack::NONE),
            link: Cell::new(None),
            timer: Node::new(),
            parker: Parker::new(),
            priority: AtomicU8::new(DEFAULT_PRIORITY),
            #[cfg(feature = "inherit")]
            inherit: Inherit {
                base: AtomicU8::new(DEFAULT_PRIORITY),
                words: [const { AtomicUsize::new(0) }; 2],
            },
            cpu: AtomicU32::new(0),
            affinity: AtomicU64::new(u64::MAX),
            life: Life {
                bits: AtomicU8::new(0),
                uses: AtomicU8::new(0),
                joiner: AtomicPtr::new(core::ptr::null_mut()),
            },
            thread_pointer: AtomicUsize::new(0),
            foreign: Foreign::new(),
            word: AtomicUsize::new(0),
            since_tick: AtomicU32::new(0),
            on_cpu: AtomicU8::new(0),
            counters: Counters {
                switches: AtomicU64::new(0),
                preemptions: AtomicU64::new(0),
                cpu_ns: AtomicU64::new(0),
                switched_in_ns: AtomicU64::new(0),
            },
            id: AtomicU64::new(0),
            name: [const { AtomicU8::new(0) }; NAME_LEN + 1],
            next_made: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Makes a thread known to [`threads`], for ever.
    pub(crate) fn publish(&'static self) {
        let this = core::ptr::from_ref(self).cast_mut();
        let mut head = MADE.load(Relaxed);
        loop {
            self.next_made.store(head, Relaxed);
            match MADE.compare_exchange_weak(head, this, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    fn set_name(&self, name: &str) {
        let end = name.floor_char_boundary(NAME_LEN.min(name.len()));
        let bytes = name.as_bytes()[..end].iter().copied().chain(core::iter::repeat(0));
        for (cell, byte) in self.name.iter().zip(bytes) {
            cell.store(byte, Relaxed);
        }
    }

    /// Begins a new life under a name, which is cut to [`NAME_LEN`] bytes.
    pub(crate) fn begin(&'static self, name: &str, priority: u8) {
        self.set_name(name);
        self.id.store(NEXT_ID.fetch_add(1, Relaxed), Relaxed);
        self.priority.store(priority.min(PRIORITIES - 1), Relaxed);
        #[cfg(feature = "inherit")]
        {
            self.inherit.base.store(priority.min(PRIORITIES - 1), Relaxed);
            self.inherit.words.iter().for_each(|word| word.store(0, Relaxed));
        }
        self.thread_pointer.store(0, Relaxed);
        self.foreign.forget();
        self.word.store(0, Relaxed);
        for counter in [
            &self.counters.switches,
            &self.counters.preemptions,
            &self.counters.cpu_ns,
            &self.counters.switched_in_ns,
        ] {
            counter.store(0, Relaxed);
        }
    }
}

/// A handle of a thread. When the thread has ended it leads to another thread, or to none: waking
/// through it then does no harm, because every wait copes with early wake-ups.
#[derive(Clone, Copy)]
pub struct ThreadRef(pub(crate) &'static Thread);

impl ThreadRef {
    /// Number of the thread, from 1, never given twice.
    pub fn id(self) -> u64 {
        self.0.id.load(Relaxed)
    }

    /// Writes the thread's name.
    pub fn name(self) -> Name {
        Name(core::array::from_fn(|i| self.0.name[i].load(Relaxed)))
    }

    /// Gives the thread another name, of which 23 bytes are kept.
    pub fn set_name(self, name: &str) {
        self.0.set_name(name);
    }

    /// A word for the library that makes POSIX threads of these, 0 when the thread begins.
    #[inline]
    pub fn word(self) -> &'static AtomicUsize {
        &self.0.word
    }

    /// Priority from 0 (lowest) to [`PRIORITIES`] - 1; with priority inheritance the one that counts
    /// now.
    #[inline]
    pub fn priority(self) -> u8 {
        self.0.priority.load(Relaxed)
    }

    /// Sets the priority, effective when the thread becomes ready the next time.
    pub fn set_priority(self, priority: u8) {
        let priority = priority.min(PRIORITIES - 1);
        #[cfg(feature = "inherit")]
        let before = self.0.inherit.base.swap(priority, Relaxed);
        // What is inherited still counts, until the mutex is released.
        #[cfg(feature = "inherit")]
        if self.priority() > before.max(priority) {
            return;
        }
        self.0.priority.store(priority, Relaxed);
    }

    /// The priority that was set, without what is inherited.
    #[cfg(feature = "inherit")]
    pub fn base_priority(self) -> u8 {
        self.0.inherit.base.load(Relaxed)
    }

    /// Makes another priority count, at once: also while the thread runs or is ready. For the
    /// library with the locks, which calls this for one thread at a time and not from interrupt
    /// handlers.
    #[cfg(feature = "inherit")]
    pub fn inherit_priority(self, priority: u8) {
        crate::bind::prioritize(self, priority);
    }

    /// Two words for the library with the locks, 0 when the thread begins.
    #[cfg(feature = "inherit")]
    pub fn lock_words(self) -> &'static [AtomicUsize; 2] {
        &self.0.inherit.words
    }

    /// The CPU the thread belongs to.
    #[inline]
    pub fn cpu(self) -> usize {
        self.0.cpu.load(Relaxed) as usize
    }

    /// Bit `i` says that the thread may run on CPU `i`.
    pub fn affinity(self) -> u64 {
        self.0.affinity.load(Relaxed)
    }

    /// The handle as a number: a multiple of 8, at least 16.
    #[inline]
    pub fn to_usize(self) -> usize {
        core::ptr::from_ref(self.0) as usize
    }

    /// The handle that [`ThreadRef::to_usize`] made a number of.
    ///
    /// # Safety
    /// The number must be from `to_usize`, in this image.
    #[inline]
    pub unsafe fn from_usize(number: usize) -> Self {
        // SAFETY: the caller's promise; threads are static.
        Self(unsafe { &*(number as *const Thread) })
    }

    /// Whether the thread is on a CPU right now, as far as can be told: it may have changed
    /// meanwhile. Counted with several CPUs only; with one, nobody but the caller runs.
    #[inline]
    pub fn is_running(self) -> bool {
        if cfg!(feature = "smp") {
            self.0.on_cpu.load(Relaxed) != 0
        } else {
            try_current() == Some(self)
        }
    }

    /// Gives the thread a token: a `park` that waits returns, otherwise the next one does. May be
    /// called from interrupt handlers and other CPUs.
    #[inline]
    pub fn unpark(self) {
        if self.0.parker.notify() {
            crate::bind::make_ready(self);
        }
    }

    /// What was counted in the thread's life.
    pub fn stats(self) -> ThreadStats {
        let counters = &self.0.counters;
        ThreadStats {
            switches: counters.switches.load(Relaxed),
            preemptions: counters.preemptions.load(Relaxed),
            cpu_ns: counters.cpu_ns.load(Relaxed),
        }
    }

    /// Nanoseconds that the thread has been on a CPU; for others than the calling thread, up to its
    /// last switch. `None` without the option `cpu-time`.
    pub fn cpu_ns(self) -> Option<u64> {
        if !cfg!(feature = "cpu-time") {
            return None;
        }
        // No switch between looking at the sum and at what is to be added.
        let _here = crate::preempt_disable();
        let counters = &self.0.counters;
        let sum = counters.cpu_ns.load(Relaxed);
        if try_current() != Some(self) {
            return Some(sum);
        }
        let since = counters.switched_in_ns.load(Relaxed);
        Some(sum + crate::sys::monotonic_ns().saturating_sub(since))
    }

    /// The stack of a thread that does not run. For the running one only `memory` means something.
    ///
    /// # Safety
    /// Preemption must be disabled, and no other CPU may run threads: a thread that runs changes
    /// its context, and one that ends its stack.
    pub unsafe fn saved_stack(self) -> SavedStack {
        let stack = self.0.stack.get();
        // SAFETY: nobody switches meanwhile (the caller's promise).
        let context = unsafe { *self.0.context.get() };
        SavedStack {
            memory: self.0.foreign.memory().unwrap_or(stack.base + stack.guard..stack.top()),
            stack_pointer: context.stack_pointer(),
        }
    }

    /// The value of the thread-pointer register while the thread runs; 0 when it uses none.
    pub fn thread_pointer(self) -> usize {
        self.0.thread_pointer.load(Relaxed)
    }
}

impl PartialEq for ThreadRef {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.0, other.0)
    }
}

impl Eq for ThreadRef {}

impl Entry for ThreadRef {
    #[inline]
    fn node(&self) -> &Node<Self> {
        &self.0.timer
    }
}

impl fmt::Debug for ThreadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} `{}`", self.id(), self.name())
    }
}

/// Where a thread that does not run keeps what it works with, registers included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedStack {
    /// All memory of the stack; empty for a thread that was not spawned, such as `main`, whose
    /// stack is the platform's (`BootInfo::stack_top`).
    pub memory: Range<usize>,
    /// From here to its end the stack is in use.
    pub stack_pointer: usize,
}

/// A thread's name.
#[derive(Clone, Copy)]
pub struct Name([u8; NAME_LEN + 1]);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(NAME_LEN);
        // A name that is changed while it is read may be cut inside a character.
        match core::str::from_utf8(&self.0[..end]) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&self.0[..error.valid_up_to()]).unwrap_or(""),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// What was counted in a thread's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadStats {
    /// Times the thread was switched to.
    pub switches: u64,
    /// Times it had to make room for another before it waited or yielded.
    pub preemptions: u64,
    /// Nanoseconds on a CPU; counted with the option `cpu-time` only, up to the last switch.
    pub cpu_ns: u64,
}

/// The running thread.
///
/// # Panics
/// Before the boot phase `sched`.
#[inline]
pub fn current() -> ThreadRef {
    try_current().expect("threads exist from the boot phase `sched` on")
}

/// Makes `value` the running thread's [thread pointer](ukplat::thread_pointer), now and whenever it
/// is switched to.
///
/// # Safety
/// See [`ukplat::set_thread_pointer`].
pub unsafe fn set_thread_pointer(value: usize) {
    if let Some(this) = try_current() {
        this.0.thread_pointer.store(value, Relaxed);
    }
    // SAFETY: the caller's promise.
    unsafe { crate::sys::set_thread_pointer(value) };
}

/// The running thread; `None` before the boot phase `sched`.
#[inline]
pub fn try_current() -> Option<ThreadRef> {
    crate::cpu::current()
}

/// All threads that are alive, newest first. Threads that begin or end meanwhile may be missing.
pub fn threads() -> impl Iterator<Item = ThreadRef> {
    let mut next = MADE.load(Acquire);
    core::iter::from_fn(move || {
        loop {
            // SAFETY: only `publish` stores here, static threads.
            let thread: &'static Thread = unsafe { next.as_ref() }?;
            next = thread.next_made.load(Relaxed);
            if thread.life.uses.load(Acquire) > 0 {
                return Some(ThreadRef(thread));
            }
        }
    })
}
