//! From the system to `main`, and the end.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

use super::Global;
use super::stdlib::abort;
use super::unistd::{_exit, say};

type Main = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;
type Constructor = unsafe extern "C" fn();
/// A function of `__cxa_atexit` with its argument; those of `atexit` do without.
type AtExit = (unsafe extern "C" fn(*mut c_void), *mut c_void);

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
    // The linker script makes the borders of both arrays.
    static __init_array_start: [Constructor; 0];
    static __init_array_end: [Constructor; 0];
    static __fini_array_start: [Constructor; 0];
    static __fini_array_end: [Constructor; 0];
}

/// How many functions `atexit` takes without memory of the heap, as the standard asks for.
const AT_EXIT: usize = 32;

/// Functions on the heap, with those that were registered before.
struct Further {
    function: AtExit,
    before: *mut Further,
}

struct Exit {
    functions: [Option<AtExit>; AT_EXIT],
    count: usize,
    /// The last of those that came when `functions` was full; null when there is none.
    further: *mut Further,
    /// Writes what streams keep; set when one keeps something.
    flush: Option<fn()>,
}

static EXIT: Global<Exit> =
    Global::new(Exit { functions: [None; AT_EXIT], count: 0, further: null_mut(), flush: None });

impl Exit {
    /// Whether there was a place for the function without memory of the heap.
    fn keep(&mut self, function: AtExit) -> bool {
        match self.functions.get_mut(self.count) {
            // What comes after a function on the heap is called before it.
            Some(place) if self.further.is_null() => {
                *place = Some(function);
                self.count += 1;
                true
            }
            _ => false,
        }
    }

    /// The function that comes next, the last one that was registered, and its block of the heap: null if
    /// it has none.
    fn next(&mut self) -> Option<(AtExit, *mut Further)> {
        let block = self.further;
        if block.is_null() {
            self.count = self.count.checked_sub(1)?;
            return Some((self.functions[self.count].take()?, block));
        }
        // SAFETY: `register` made the block, and it is in the list no longer.
        let Further { function, before } = unsafe { block.read() };
        self.further = before;
        Some((function, block))
    }
}

/// Calls the functions of an array of the linker.
macro_rules! each {
    ($start:ident, $end:ident $(, $reverse:ident)?) => {
        let (start, end) = (&raw const $start, &raw const $end);
        let count = (end.addr() - start.addr()) / size_of::<Constructor>();
        for index in (0..count)$(.$reverse())? {
            // SAFETY: the linker puts functions of this type between the borders.
            unsafe { (*start.cast::<Constructor>().add(index))() };
        }
    };
}

/// The environment, as `getenv` looks into it.
#[unsafe(no_mangle)]
static mut environ: *mut *mut c_char = null_mut();

#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_start_main(
    main: Main,
    count: c_int,
    arguments: *mut *mut c_char,
    _: usize,
    _: usize,
    _: usize,
) -> c_int {
    let environment = arguments.wrapping_add(count as usize + 1);
    // SAFETY: nothing else runs yet.
    unsafe { environ = environment };
    each!(__init_array_start, __init_array_end);
    // SAFETY: `main` of a C program; arguments and environment are laid out as the ABI says.
    exit(unsafe { main(count, arguments, environment) })
}

/// The environment: strings, and a null behind them.
pub(super) fn environment() -> *mut *mut c_char {
    // SAFETY: there is one thread.
    unsafe { environ }
}

/// What is to be called to write what streams keep.
pub(super) fn set_flush(flush: fn()) {
    EXIT.with(|exit| exit.flush = Some(flush));
}

/// Whether there was memory to register the function.
fn register(function: AtExit) -> bool {
    if EXIT.with(|exit| exit.keep(function)) {
        return true;
    }
    // SAFETY: any size can be asked for.
    let block = unsafe { malloc(size_of::<Further>()) }.cast::<Further>();
    if block.is_null() {
        return false;
    }
    EXIT.with(|exit| {
        // SAFETY: a new block of this size; blocks of the heap are aligned for any type.
        unsafe { block.write(Further { function, before: exit.further }) };
        exit.further = block;
    });
    true
}

/// For the destructors of C++. Compilers ignore what is returned: without memory one would never be called,
/// without a word.
#[unsafe(no_mangle)]
extern "C" fn __cxa_atexit(
    function: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    _: *mut c_void,
) -> c_int {
    if !register((function, argument)) {
        say(b"a destructor cannot be registered: there is no memory\n");
        abort();
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn atexit(function: Constructor) -> c_int {
    unsafe extern "C" fn call(function: *mut c_void) {
        // SAFETY: `atexit` made the pointer of a function of this type.
        unsafe { core::mem::transmute::<*mut c_void, Constructor>(function)() };
    }
    if register((call, function as *mut c_void)) { 0 } else { -1 }
}

#[unsafe(no_mangle)]
extern "C" fn exit(code: c_int) -> ! {
    // A function may register another one, which comes next.
    while let Some(((function, argument), block)) = EXIT.with(Exit::next) {
        // SAFETY: the program registered the function with this argument; the block is null or of
        // `register`, and nobody has it any more.
        unsafe {
            free(block.cast());
            function(argument);
        }
    }
    each!(__fini_array_start, __fini_array_end, rev);
    if let Some(flush) = EXIT.with(|exit| exit.flush) {
        flush();
    }
    _exit(code)
}

#[unsafe(no_mangle)]
extern "C" fn _Exit(code: c_int) -> ! {
    _exit(code)
}
