//! A thread of the program.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::Relaxed};
#[cfg(feature = "threads")]
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use syscall_shim::Errno;
use uklock::Mutex;

use crate::{FIRST, table};

/// Bytes of a name that are kept, as in Linux.
const NAME_LEN: usize = 15;

/// What is known of a thread beside what the scheduler knows.
#[derive(Debug)]
pub struct Task {
    /// Its number.
    pub id: i32,
    /// See set_tid_address(2); 0 for none.
    clear: AtomicUsize,
    /// The scheduler's handle as a number; 0 before it is known.
    #[cfg(feature = "threads")]
    handle: AtomicUsize,
    /// As `sched_setscheduler` set them.
    pub policy: AtomicI32,
    pub priority: AtomicI32,
    name: Mutex<Name>,
    /// See [`in_call`].
    in_call: AtomicBool,
    /// See [`signal_stack`].
    signal_stack: (AtomicUsize, AtomicUsize),
}

/// A name with its length.
#[derive(Clone, Copy, Debug, Default)]
struct Name {
    bytes: [u8; NAME_LEN],
    len: usize,
}

/// The first thread of the program, and whoever is none of the program's.
pub static MAIN: Task = Task::new(FIRST, 0);

impl Task {
    pub const fn new(id: i32, clear: usize) -> Self {
        Self {
            id,
            clear: AtomicUsize::new(clear),
            #[cfg(feature = "threads")]
            handle: AtomicUsize::new(0),
            policy: AtomicI32::new(0),
            priority: AtomicI32::new(0),
            name: Mutex::new(Name { bytes: [0; NAME_LEN], len: 0 }),
            in_call: AtomicBool::new(false),
            signal_stack: (AtomicUsize::new(0), AtomicUsize::new(0)),
        }
    }

    pub fn set_clear_place(&self, address: usize) {
        self.clear.store(address, Relaxed);
    }

    /// Tells the program that the thread has ended: whoever waits for the word goes on.
    #[cfg(feature = "threads")]
    pub fn tell_end(&self) {
        let address = self.clear.swap(0, Relaxed);
        if address != 0 && address.is_multiple_of(align_of::<u32>()) {
            // SAFETY: the program said that there is a word, which it accesses atomically.
            unsafe { AtomicU32::from_ptr(address as *mut u32) }.store(0, SeqCst);
            posix_futex::wake(address, 1);
        }
    }

    /// The scheduler's thread, as soon as there is one.
    #[cfg(feature = "threads")]
    pub fn thread(&self) -> Option<uksched::ThreadRef> {
        let handle = self.handle.load(Relaxed);
        // SAFETY: only `set_thread` stores here, what `to_usize` returned.
        (handle != 0).then(|| unsafe { uksched::ThreadRef::from_usize(handle) })
    }

    #[cfg(feature = "threads")]
    pub fn set_thread(&self, thread: uksched::ThreadRef) {
        self.handle.store(thread.to_usize(), Relaxed);
    }

    /// The thread's name, for crash reports too.
    pub fn set_name(&self, name: &[u8]) {
        let len = name.iter().position(|b| *b == 0).unwrap_or(name.len()).min(NAME_LEN);
        let mut kept = Name { bytes: [0; NAME_LEN], len };
        kept.bytes[..len].copy_from_slice(&name[..len]);
        *self.name.lock() = kept;
        #[cfg(feature = "threads")]
        if let (Some(thread), Ok(text)) = (self.thread(), core::str::from_utf8(&name[..len])) {
            thread.set_name(text);
        }
    }

    pub fn name(&self) -> ([u8; NAME_LEN], usize) {
        let name = *self.name.lock();
        (name.bytes, name.len)
    }
}

/// What the scheduler's word of a thread leads to.
#[cfg(feature = "threads")]
#[derive(Debug)]
#[repr(C)]
pub struct Place<S> {
    pub task: *const Task,
    /// What the thread began with.
    pub start: *const S,
}

/// The calling thread.
pub fn current() -> &'static Task {
    #[cfg(feature = "threads")]
    if let Some(thread) = uksched::try_current() {
        let word = thread.word().load(Relaxed);
        if word != 0 {
            // SAFETY: only `create` stores here, for the thread itself, what lives as long as the
            // thread runs; nobody keeps the reference longer than a call.
            return unsafe { &*(*(word as *const Place<()>)).task };
        }
    }
    &MAIN
}

/// Sets the thread pointer of the calling thread.
///
/// # Safety
/// See [`ukplat::set_thread_pointer`].
pub unsafe fn set_thread_pointer(value: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(feature = "threads")]
        uksched::set_thread_pointer(value);
        #[cfg(not(feature = "threads"))]
        ukplat::set_thread_pointer(value);
    }
}

/// Whether the calling thread is in a system call, as [`set_in_call`] noted it. For handlers of
/// faults: this, and [`signal_stack`], take no lock.
pub fn in_call() -> bool {
    current().in_call.load(Relaxed)
}

/// Notes whether the calling thread is in a system call.
pub fn set_in_call(is: bool) {
    current().in_call.store(is, Relaxed);
}

/// The calling thread's alternate stack for handlers of signals; empty when there is none.
pub fn signal_stack() -> Range<usize> {
    let (start, end) = &current().signal_stack;
    start.load(Relaxed)..end.load(Relaxed)
}

/// Sets the calling thread's alternate stack.
pub fn set_signal_stack(stack: Range<usize>) {
    let (start, end) = &current().signal_stack;
    start.store(stack.start, Relaxed);
    end.store(stack.end, Relaxed);
}

/// Gives a thread a name, of which 15 bytes are kept; 0 is the calling one.
///
/// # Errors
/// `ESRCH`
pub fn set_name_of(thread: i32, name: &[u8]) -> Result<(), Errno> {
    table::with(thread, |task| task.set_name(name))
}

/// The name of a thread with zero bytes behind it, 0 being the calling one.
///
/// # Errors
/// `ESRCH`
pub fn name_of(thread: i32) -> Result<[u8; NAME_LEN + 1], Errno> {
    table::with(thread, |task| {
        let (bytes, len) = task.name();
        let mut text = [0; NAME_LEN + 1];
        text[..len].copy_from_slice(&bytes[..len]);
        text
    })
}
