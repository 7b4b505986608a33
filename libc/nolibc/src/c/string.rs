//! `string.h` and `strings.h`. `memcpy`, `memmove`, `memset`, `memcmp` and `strlen` are the system's.

use core::cmp::Ordering;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::{copy_nonoverlapping, null_mut};

use super::Global;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

/// The bytes of a string, without its end.
///
/// # Safety
/// A C string is there.
pub(super) unsafe fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// Up to `limit` bytes of a string, without its end.
///
/// # Safety
/// A C string is there, or that many bytes.
pub(super) unsafe fn bytes_within<'a>(text: *const c_char, limit: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(text.cast(), strnlen(text, limit)) }
}

/// As C's functions order by.
fn order(ordering: Ordering) -> c_int {
    ordering as c_int
}

/// The place in a string at an index, where there is one.
fn place(text: *const c_char, index: Option<usize>) -> *mut c_char {
    index.map_or(null_mut(), |index| text.wrapping_add(index).cast_mut())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strnlen(text: *const c_char, limit: usize) -> usize {
    let mut len = 0;
    // SAFETY: the caller's promise: all places up to the limit or the end can be read.
    while len < limit && unsafe { *text.add(len) } != 0 {
        len += 1;
    }
    len
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memchr(memory: *const u8, c: c_int, len: usize) -> *mut u8 {
    for index in 0..len {
        // SAFETY: the caller's promise. What is behind the byte may not be there.
        if unsafe { *memory.add(index) } == c as u8 {
            return memory.wrapping_add(index).cast_mut();
        }
    }
    null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memrchr(memory: *const u8, c: c_int, len: usize) -> *mut u8 {
    if len == 0 {
        return null_mut();
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { core::slice::from_raw_parts(memory, len) };
    let found = bytes.iter().rposition(|&byte| byte == c as u8);
    found.map_or(null_mut(), |index| memory.wrapping_add(index).cast_mut())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mempcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { copy_nonoverlapping(from, to, len) };
    to.wrapping_add(len)
}

/// By looking at each place; good for short ones.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    (0..(text.len() + 1).saturating_sub(wanted.len())).find(|&at| text[at..].starts_with(wanted))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmem(
    memory: *const u8,
    len: usize,
    wanted: *const u8,
    wanted_len: usize,
) -> *mut u8 {
    if wanted_len == 0 || wanted_len > len {
        return if wanted_len == 0 { memory.cast_mut() } else { null_mut() };
    }
    // SAFETY: the caller's promise; both have bytes.
    let (bytes, wanted) = unsafe {
        (core::slice::from_raw_parts(memory, len), core::slice::from_raw_parts(wanted, wanted_len))
    };
    find(bytes, wanted).map_or(null_mut(), |index| memory.wrapping_add(index).cast_mut())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strstr(text: *const c_char, wanted: *const c_char) -> *mut c_char {
    // SAFETY: the caller's promise.
    place(text, unsafe { find(bytes(text), bytes(wanted)) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strchr(text: *const c_char, c: c_int) -> *mut c_char {
    // SAFETY: the caller's promise. The end can be looked for, too.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes_with_nul();
    place(text, bytes.iter().position(|&byte| byte == c as u8))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strchrnul(text: *const c_char, c: c_int) -> *mut c_char {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(text) };
    place(text, Some(bytes.iter().position(|&byte| byte == c as u8).unwrap_or(bytes.len())))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strrchr(text: *const c_char, c: c_int) -> *mut c_char {
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes_with_nul();
    place(text, bytes.iter().rposition(|&byte| byte == c as u8))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strspn(text: *const c_char, set: *const c_char) -> usize {
    // SAFETY: the caller's promise.
    let (text, set) = unsafe { (bytes(text), bytes(set)) };
    text.iter().take_while(|byte| set.contains(byte)).count()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strcspn(text: *const c_char, set: *const c_char) -> usize {
    // SAFETY: the caller's promise.
    let (text, set) = unsafe { (bytes(text), bytes(set)) };
    text.iter().take_while(|byte| !set.contains(byte)).count()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strpbrk(text: *const c_char, set: *const c_char) -> *mut c_char {
    // SAFETY: the caller's promise.
    let (all, set) = unsafe { (bytes(text), bytes(set)) };
    place(text, all.iter().position(|byte| set.contains(byte)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strcmp(first: *const c_char, second: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    order(unsafe { bytes(first).cmp(bytes(second)) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strncmp(first: *const c_char, second: *const c_char, limit: usize) -> c_int {
    // SAFETY: the caller's promise.
    order(unsafe { bytes_within(first, limit).cmp(bytes_within(second, limit)) })
}

fn compare_without_case(first: &[u8], second: &[u8]) -> c_int {
    let lower = |bytes: &[u8], index: usize| bytes.get(index).map(u8::to_ascii_lowercase);
    let len = first.len().max(second.len());
    let orders = (0..len).map(|index| lower(first, index).cmp(&lower(second, index)));
    order(orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strcasecmp(first: *const c_char, second: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    compare_without_case(unsafe { bytes(first) }, unsafe { bytes(second) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strncasecmp(
    first: *const c_char,
    second: *const c_char,
    limit: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { compare_without_case(bytes_within(first, limit), bytes_within(second, limit)) }
}

/// Copies bytes and an end behind them; the place of that end.
///
/// # Safety
/// There is room for them.
unsafe fn put(to: *mut c_char, text: &[u8]) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        copy_nonoverlapping(text.as_ptr().cast(), to, text.len());
        let end = to.add(text.len());
        *end = 0;
        end
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strcpy(to: *mut c_char, from: *const c_char) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { put(to, bytes(from)) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn stpcpy(to: *mut c_char, from: *const c_char) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { put(to, bytes(from)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strncpy(to: *mut c_char, from: *const c_char, len: usize) -> *mut c_char {
    // SAFETY: the caller's promise: `len` bytes have room, and the rest of them is filled up.
    unsafe {
        let text = bytes_within(from, len);
        copy_nonoverlapping(text.as_ptr().cast(), to, text.len());
        to.add(text.len()).write_bytes(0, len - text.len());
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strcat(to: *mut c_char, from: *const c_char) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { put(to.add(bytes(to).len()), bytes(from)) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strncat(to: *mut c_char, from: *const c_char, limit: usize) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { put(to.add(bytes(to).len()), bytes_within(from, limit)) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlcpy(to: *mut c_char, from: *const c_char, room: usize) -> usize {
    // SAFETY: the caller's promise: of the room is one for the end.
    let text = unsafe { bytes(from) };
    if let Some(limit) = room.checked_sub(1) {
        // SAFETY: as above.
        unsafe { put(to, &text[..text.len().min(limit)]) };
    }
    text.len()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlcat(to: *mut c_char, from: *const c_char, room: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        let len = strnlen(to, room);
        len + strlcpy(to.add(len), from, room - len)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strndup(text: *const c_char, limit: usize) -> *mut c_char {
    // SAFETY: the caller's promise.
    let text = unsafe { bytes_within(text, limit) };
    // SAFETY: any size can be asked for.
    let copy = unsafe { malloc(text.len() + 1) }.cast::<c_char>();
    if !copy.is_null() {
        // SAFETY: there is room for the text and its end.
        unsafe { put(copy, text) };
    }
    copy
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strdup(text: *const c_char) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { strndup(text, usize::MAX) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strtok_r(
    text: *mut c_char,
    set: *const c_char,
    rest: *mut *mut c_char,
) -> *mut c_char {
    // SAFETY: the caller's promise: text is null in all calls but the first, and `rest` is what the
    // call before left.
    unsafe {
        let text = if text.is_null() { *rest } else { text };
        if text.is_null() {
            return null_mut();
        }
        let word = text.add(strspn(text, set));
        if *word == 0 {
            *rest = null_mut();
            return null_mut();
        }
        let end = word.add(strcspn(word, set));
        *rest = if *end == 0 { null_mut() } else { end.add(1) };
        *end = 0;
        word
    }
}

static REST: Global<*mut c_char> = Global::new(null_mut());

#[unsafe(no_mangle)]
unsafe extern "C" fn strtok(text: *mut c_char, set: *const c_char) -> *mut c_char {
    // SAFETY: the caller's promise.
    REST.with(|rest| unsafe { strtok_r(text, set, rest) })
}
