//! From the system to `main`, and the end.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

use super::Global;
use super::unistd::_exit;

type Main = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;
type Constructor = unsafe extern "C" fn();
/// A function of `__cxa_atexit` with its argument; those of `atexit` do without.
type AtExit = (unsafe extern "C" fn(*mut c_void), *mut c_void);

unsafe extern "C" {
    // The linker script makes the borders of both arrays.
    static __init_array_start: [Constructor; 0];
    static __init_array_end: [Constructor; 0];
    static __fini_array_start: [Constructor; 0];
    static __fini_array_end: [Constructor; 0];
}

/// How many functions `atexit` takes; the standard asks for 32.
const AT_EXIT: usize = 64;

struct Exit {
    functions: [Option<AtExit>; AT_EXIT],
    count: usize,
    /// Writes what streams keep; set when one keeps something.
    flush: Option<fn()>,
}

static EXIT: Global<Exit> = Global::new(Exit { functions: [None; AT_EXIT], count: 0, flush: None });

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

#[unsafe(no_mangle)]
extern "C" fn __cxa_atexit(
    function: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    _: *mut c_void,
) -> c_int {
    EXIT.with(|exit| {
        let Some(place) = exit.functions.get_mut(exit.count) else { return -1 };
        *place = Some((function, argument));
        exit.count += 1;
        0
    })
}

#[unsafe(no_mangle)]
extern "C" fn atexit(function: Constructor) -> c_int {
    unsafe extern "C" fn call(function: *mut c_void) {
        // SAFETY: `atexit` made the pointer of a function of this type.
        unsafe { core::mem::transmute::<*mut c_void, Constructor>(function)() };
    }
    __cxa_atexit(call, function as *mut c_void, null_mut())
}

#[unsafe(no_mangle)]
extern "C" fn exit(code: c_int) -> ! {
    // A function may register another one, which comes next.
    while let Some((function, argument)) = EXIT.with(|exit| {
        exit.count = exit.count.checked_sub(1)?;
        exit.functions[exit.count].take()
    }) {
        // SAFETY: the program registered the function with this argument.
        unsafe { function(argument) };
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
