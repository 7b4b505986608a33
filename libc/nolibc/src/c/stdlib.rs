//! `stdlib.h` and `assert.h`. The heap is the system's.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

use super::string::bytes;
use super::unistd::{_exit, say};
use super::{Global, errno};
use crate::errno::{EINVAL, ERANGE};
use crate::number;
use crate::sort::{Items, search, sort};

unsafe extern "C" {
    fn realloc(block: *mut c_void, size: usize) -> *mut c_void;
}

/// Exit code of a program that a signal ended: 128 and the number of SIGABRT.
const ABORTED: c_int = 128 + 6;

#[unsafe(no_mangle)]
pub(super) extern "C" fn abort() -> ! {
    say(b"Aborted\n");
    _exit(ABORTED)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __assert_fail(
    expression: *const c_char,
    file: *const c_char,
    line: c_int,
    function: *const c_char,
) -> ! {
    let mut digits = [0; 10];
    let (mut at, mut rest) = (digits.len(), line.unsigned_abs());
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    say(b"Assertion failed: ");
    // SAFETY: the macro passes strings.
    for (text, end) in unsafe {
        [
            (bytes(expression), &b" ("[..]),
            (bytes(file), b": "),
            (bytes(function), b": "),
            (&digits[at..], b")\n"),
        ]
    } {
        say(text);
        say(end);
    }
    abort()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getenv(name: *const c_char) -> *mut c_char {
    // SAFETY: the caller's promise; the environment is an array of strings with a null behind it.
    unsafe {
        let name = bytes(name);
        let mut place = super::start::environment();
        while !(*place).is_null() {
            let rest = bytes(*place).strip_prefix(name);
            if rest.is_some_and(|rest| rest.starts_with(b"=")) {
                return (*place).add(name.len() + 1);
            }
            place = place.add(1);
        }
    }
    null_mut()
}

/// Parses a number, and says where it ended.
///
/// # Safety
/// A string, and null or a place for a pointer.
unsafe fn parse(
    text: *const c_char,
    end: *mut *mut c_char,
    base: c_int,
) -> Option<number::Integer> {
    // SAFETY: the caller's promise.
    let parsed = number::integer(unsafe { bytes(text) }, base);
    let used = parsed.map_or(0, |parsed| parsed.used);
    if !end.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *end = text.add(used).cast_mut() };
    }
    if parsed.is_none() {
        errno::set(EINVAL);
    }
    parsed
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strtol(text: *const c_char, end: *mut *mut c_char, base: c_int) -> i64 {
    // SAFETY: the caller's promise.
    let Some(parsed) = (unsafe { parse(text, end, base) }) else { return 0 };
    parsed.signed().unwrap_or_else(|limit| {
        errno::set(ERANGE);
        limit
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strtoul(text: *const c_char, end: *mut *mut c_char, base: c_int) -> u64 {
    // SAFETY: the caller's promise.
    let Some(parsed) = (unsafe { parse(text, end, base) }) else { return 0 };
    parsed.unsigned().unwrap_or_else(|limit| {
        errno::set(ERANGE);
        limit
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strtoll(text: *const c_char, end: *mut *mut c_char, base: c_int) -> i64 {
    // SAFETY: the caller's promise. `long` has the same size.
    unsafe { strtol(text, end, base) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strtoull(text: *const c_char, end: *mut *mut c_char, base: c_int) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { strtoul(text, end, base) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn atoi(text: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { strtol(text, null_mut(), 10) as c_int }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn atol(text: *const c_char) -> i64 {
    // SAFETY: the caller's promise.
    unsafe { strtol(text, null_mut(), 10) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn atoll(text: *const c_char) -> i64 {
    // SAFETY: the caller's promise.
    unsafe { strtol(text, null_mut(), 10) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strtod(text: *const c_char, end: *mut *mut c_char) -> f64 {
    // SAFETY: the caller's promise.
    let parsed = number::float(unsafe { bytes(text) });
    if !end.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *end = text.add(parsed.used).cast_mut() };
    }
    if parsed.out_of_range {
        errno::set(ERANGE);
    }
    parsed.value
}

#[unsafe(no_mangle)]
unsafe extern "C" fn atof(text: *const c_char) -> f64 {
    // SAFETY: the caller's promise.
    unsafe { strtod(text, null_mut()) }
}

#[unsafe(no_mangle)]
extern "C" fn abs(value: c_int) -> c_int {
    value.wrapping_abs()
}

#[unsafe(no_mangle)]
extern "C" fn labs(value: i64) -> i64 {
    value.wrapping_abs()
}

#[unsafe(no_mangle)]
extern "C" fn llabs(value: i64) -> i64 {
    value.wrapping_abs()
}

#[repr(C)]
struct Division<T> {
    quotient: T,
    remainder: T,
}

#[unsafe(no_mangle)]
extern "C" fn div(value: c_int, divisor: c_int) -> Division<c_int> {
    Division { quotient: value.wrapping_div(divisor), remainder: value.wrapping_rem(divisor) }
}

#[unsafe(no_mangle)]
extern "C" fn ldiv(value: i64, divisor: i64) -> Division<i64> {
    Division { quotient: value.wrapping_div(divisor), remainder: value.wrapping_rem(divisor) }
}

#[unsafe(no_mangle)]
extern "C" fn lldiv(value: i64, divisor: i64) -> Division<i64> {
    ldiv(value, divisor)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    // More than there can be is refused by the heap, with its error.
    // SAFETY: the caller's promise.
    unsafe { realloc(block, count.saturating_mul(size)) }
}

type Compare = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;

struct Array {
    start: *mut u8,
    size: usize,
    compare: Compare,
}

impl Array {
    fn place(&self, index: usize) -> *mut u8 {
        self.start.wrapping_add(index * self.size)
    }
}

impl Items for Array {
    fn is_less(&mut self, first: usize, second: usize) -> bool {
        // SAFETY: `qsort`'s caller says that there is an array, and what compares its elements.
        unsafe { (self.compare)(self.place(first).cast(), self.place(second).cast()) < 0 }
    }

    fn swap(&mut self, first: usize, second: usize) {
        if first != second {
            let (first, second) = (self.place(first), self.place(second));
            // SAFETY: both are elements of the array, and not the same.
            unsafe { core::ptr::swap_nonoverlapping(first, second, self.size) };
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn qsort(array: *mut c_void, count: usize, size: usize, compare: Compare) {
    sort(&mut Array { start: array.cast(), size, compare }, count);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bsearch(
    key: *const c_void,
    array: *const c_void,
    count: usize,
    size: usize,
    compare: Compare,
) -> *mut c_void {
    let place = |index: usize| array.wrapping_byte_add(index * size);
    // SAFETY: the caller's promise.
    let found = search(count, &mut |index| unsafe { compare(key, place(index)) }.cmp(&0));
    found.map_or(null_mut(), |index| place(index).cast_mut())
}

static SEED: Global<u64> = Global::new(0);

#[unsafe(no_mangle)]
extern "C" fn srand(seed: u32) {
    SEED.with(|state| *state = u64::from(seed).wrapping_sub(1));
}

/// D. E. Knuth's generator of MMIX (The Art of Computer Programming, volume 2, section 3.3.4).
#[unsafe(no_mangle)]
extern "C" fn rand() -> c_int {
    SEED.with(|state| {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as c_int
    })
}
