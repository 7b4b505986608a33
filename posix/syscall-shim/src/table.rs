//! What is registered, and calls by number.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::{missing, nr};

/// Words of arguments that a call has at most.
pub const WORDS: usize = 6;

/// A function that takes the words of a call in registers.
pub type Entry = unsafe extern "C" fn(usize, usize, usize, usize, usize, usize) -> isize;

/// A registered handler, as `#[syscall]` makes it.
pub struct Syscall {
    /// Its number.
    pub number: u16,
    /// Its name, as in its manual page.
    pub name: &'static str,
    /// The library that registered it.
    pub library: &'static str,
    /// Whether it ever returns.
    pub returns: bool,
    /// The symbol `uk_sys_NAME`. The words must be what the manual page says.
    pub entry: Entry,
    /// The handler without what happens between a call and the application.
    #[doc(hidden)]
    pub handler: Entry,
    /// Its parameters; empty without the option `strace`.
    pub parameters: &'static [Parameter],
}

/// A parameter of a call.
pub struct Parameter {
    /// Its name in the handler.
    pub name: &'static str,
    /// Prints it, given all words of the call, and after it the result.
    pub trace: fn(&[usize; WORDS], Option<isize>, &mut dyn fmt::Write) -> fmt::Result,
}

impl fmt::Debug for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Syscall")
            .field("number", &self.number)
            .field("name", &self.name)
            .field("library", &self.library)
            .finish_non_exhaustive()
    }
}

/// Makes the section exist where nothing is registered.
#[cfg_attr(any(test, feature = "host", debug_assertions), used)]
#[unsafe(no_mangle)]
#[unsafe(link_section = "uk_syscalls")]
static OXIKRAFT_SYSCALLS: [&Syscall; 0] = [];

unsafe extern "Rust" {
    #[link_name = "__start_uk_syscalls"]
    static START: [&'static Syscall; 0];
    #[link_name = "__stop_uk_syscalls"]
    static STOP: [&'static Syscall; 0];
}

/// All handlers of the image's libraries, in no particular order. Whoever calls this keeps them all there.
pub fn registered() -> &'static [&'static Syscall] {
    let (start, stop) = (&raw const START, &raw const STOP);
    let len = (stop as usize - start as usize) / size_of::<&Syscall>();
    // SAFETY: the linker sets both symbols around the section, in which only references
    // of this type are placed, by `#[syscall]`.
    unsafe { core::slice::from_raw_parts(start.cast(), len) }
}

/// The table by number, filled when it is first needed.
static TABLE: [AtomicPtr<Syscall>; nr::LIMIT] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; nr::LIMIT];
static FILLED: AtomicBool = AtomicBool::new(false);

/// The handler with this number.
#[inline]
pub fn by_number(number: usize) -> Option<&'static Syscall> {
    if !FILLED.load(Ordering::Acquire) {
        fill();
    }
    let call = TABLE.get(number)?.load(Ordering::Relaxed);
    // SAFETY: only references to registered, immutable statics are stored in the table.
    unsafe { call.as_ref() }
}

/// Several may fill it at once: all store the same.
#[cold]
fn fill() {
    for call in registered() {
        if let Some(entry) = TABLE.get(usize::from(call.number)) {
            entry.store(core::ptr::from_ref(*call).cast_mut(), Ordering::Relaxed);
        }
    }
    FILLED.store(true, Ordering::Release);
}

/// Calls the handler of a number: its result, or an error number negated. Numbers without
/// a handler give `ENOSYS` and are counted, see [`missing()`](crate::missing()).
///
/// # Safety
/// The words must be what the call's manual page says: pointers among them to memory of that
/// size, which nobody else changes meanwhile.
pub unsafe fn dispatch(number: usize, words: [usize; WORDS]) -> isize {
    let Some(call) = by_number(number) else { return missing::call(number) };
    let [a, b, c, d, e, f] = words;
    // SAFETY: the caller's promise.
    unsafe { (call.entry)(a, b, c, d, e, f) }
}

/// [`dispatch`] for libcs that have the number in a variable.
///
/// # Safety
/// See [`dispatch`].
#[unsafe(no_mangle)]
unsafe extern "C" fn uk_syscall(
    number: usize,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> isize {
    // SAFETY: the caller's promise.
    unsafe { dispatch(number, [a, b, c, d, e, f]) }
}
