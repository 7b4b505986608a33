//! `stdio.h`, with the three standard streams.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

use super::string::bytes;
use super::variadic::{VaList, variadic};
use super::{Global, errno, missing as system, start};
use crate::errno::{EINVAL, EOVERFLOW, text};
use crate::format::{FormatError, Output, format};
use crate::stream::{Buffering, Device, Stream};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

const EOF: c_int = -1;

static STDIN: Global<Stream> = Global::new(Stream::new(0, Buffering::Line));
static STDOUT: Global<Stream> = Global::new(Stream::new(1, Buffering::Line));
static STDERR: Global<Stream> = Global::new(Stream::new(2, Buffering::None));

/// A `FILE *`.
type File = *mut Stream;

/// A stream that programs know by name.
#[repr(transparent)]
struct Named(File);

// SAFETY: a program with this library has one thread.
unsafe impl Sync for Named {}

#[unsafe(no_mangle)]
static stdin: Named = Named(STDIN.0.get());
#[unsafe(no_mangle)]
static stdout: Named = Named(STDOUT.0.get());
#[unsafe(no_mangle)]
static stderr: Named = Named(STDERR.0.get());

/// The system's descriptors.
struct Descriptors;

/// The result of a call as `Result`.
fn checked(raw: isize) -> Result<usize, i32> {
    usize::try_from(raw).map_err(|_| -raw as i32)
}

impl Device for Descriptors {
    fn read(&mut self, fd: i32, bytes: &mut [u8]) -> Result<usize, i32> {
        // Who is asked something sees the question first.
        let _ = STDOUT.with(|out| out.flush(&mut Descriptors));
        // SAFETY: the bytes are there.
        checked(unsafe { system::uk_sys_read(fd, bytes.as_mut_ptr(), bytes.len()) })
    }

    fn write(&mut self, fd: i32, bytes: &[u8]) -> Result<usize, i32> {
        // SAFETY: the bytes are there.
        checked(unsafe { system::uk_sys_write(fd, bytes.as_ptr(), bytes.len()) })
    }
}

/// The stream behind a `FILE *`.
///
/// # Safety
/// It is one of the three.
unsafe fn stream<'a>(file: File) -> &'a mut Stream {
    // SAFETY: the caller's promise; there is one thread, and nothing keeps the reference.
    unsafe { &mut *file }
}

/// Whether it went well, with `errno` set otherwise.
fn well<T>(result: Result<T, i32>) -> bool {
    result.map_err(errno::set).is_ok()
}

/// Writes bytes to a stream, now or later.
///
/// # Safety
/// As for [`stream`].
unsafe fn put(file: File, bytes: &[u8]) -> bool {
    start::set_flush(flush);
    // SAFETY: the caller's promise.
    well(unsafe { stream(file) }.write(&mut Descriptors, bytes))
}

fn flush() {
    STDOUT.with(|out| well(out.flush(&mut Descriptors)));
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fflush(file: File) -> c_int {
    if file == STDIN.0.get() {
        return 0;
    }
    // The others keep nothing.
    let file = if file.is_null() { STDOUT.0.get() } else { file };
    // SAFETY: the caller's promise.
    if well(unsafe { stream(file) }.flush(&mut Descriptors)) { 0 } else { EOF }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fputc(c: c_int, file: File) -> c_int {
    // SAFETY: the caller's promise.
    if unsafe { put(file, &[c as u8]) } { (c as u8).into() } else { EOF }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn putc(c: c_int, file: File) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { fputc(c, file) }
}

#[unsafe(no_mangle)]
extern "C" fn putchar(c: c_int) -> c_int {
    // SAFETY: a stream.
    unsafe { fputc(c, STDOUT.0.get()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fputs(text: *const c_char, file: File) -> c_int {
    // SAFETY: the caller's promise.
    if unsafe { put(file, bytes(text)) } { 0 } else { EOF }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn puts(text: *const c_char) -> c_int {
    // SAFETY: the caller's promise, and a stream.
    if unsafe { put(STDOUT.0.get(), bytes(text)) } && putchar(b'\n'.into()) != EOF {
        0
    } else {
        EOF
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fwrite(from: *const u8, size: usize, count: usize, file: File) -> usize {
    let len = size.saturating_mul(count);
    if len == 0 {
        return 0;
    }
    // SAFETY: the caller's promise.
    let well = unsafe { put(file, core::slice::from_raw_parts(from, len)) };
    if well { count } else { 0 }
}

/// The next bytes that a stream has; none at the end and for errors.
///
/// # Safety
/// As for [`stream`].
unsafe fn peek<'a>(file: File) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { stream(file) }.peek(&mut Descriptors).unwrap_or_else(|error| {
        errno::set(error);
        &[]
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fgetc(file: File) -> c_int {
    // SAFETY: the caller's promise.
    let Some(&byte) = (unsafe { peek(file) }).first() else { return EOF };
    // SAFETY: as above.
    unsafe { stream(file) }.take(1);
    byte.into()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getc(file: File) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { fgetc(file) }
}

#[unsafe(no_mangle)]
extern "C" fn getchar() -> c_int {
    // SAFETY: a stream.
    unsafe { fgetc(STDIN.0.get()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ungetc(c: c_int, file: File) -> c_int {
    // SAFETY: the caller's promise.
    let stream = unsafe { stream(file) };
    if u8::try_from(c).is_ok_and(|byte| stream.push_back(byte)) { c } else { EOF }
}

/// Takes up to `room` bytes, or fewer, up to one with which it ends; how many.
///
/// # Safety
/// As for [`stream`], and there is that room.
unsafe fn get(to: *mut u8, room: usize, file: File, end: Option<u8>) -> usize {
    let mut len = 0;
    while len < room {
        // SAFETY: the caller's promise.
        let shown = unsafe { peek(file) };
        let shown = &shown[..shown.len().min(room - len)];
        let found = end.and_then(|end| shown.iter().position(|&byte| byte == end));
        let shown = found.map_or(shown, |at| &shown[..=at]);
        if shown.is_empty() {
            break;
        }
        // SAFETY: there is room for them.
        unsafe { to.add(len).copy_from_nonoverlapping(shown.as_ptr(), shown.len()) };
        len += shown.len();
        // SAFETY: as above.
        unsafe { stream(file) }.take(shown.len());
        if found.is_some() {
            break;
        }
    }
    len
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fread(to: *mut u8, size: usize, count: usize, file: File) -> usize {
    // SAFETY: the caller's promise.
    unsafe { get(to, size.saturating_mul(count), file, None) }.checked_div(size).unwrap_or(0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fgets(to: *mut u8, room: c_int, file: File) -> *mut u8 {
    let Some(limit) = usize::try_from(room).ok().and_then(|room| room.checked_sub(1)) else {
        return null_mut();
    };
    // SAFETY: the caller's promise.
    let len = unsafe { get(to, limit, file, Some(b'\n')) };
    if len == 0 && limit > 0 {
        return null_mut();
    }
    // SAFETY: there is room for one more.
    unsafe { *to.add(len) = 0 };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn feof(file: File) -> c_int {
    // SAFETY: the caller's promise. The end is met when nothing is left before it.
    let stream = unsafe { stream(file) };
    (stream.ended && stream.is_empty()).into()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ferror(file: File) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { stream(file) }.failed.into()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clearerr(file: File) {
    // SAFETY: the caller's promise.
    let stream = unsafe { stream(file) };
    (stream.failed, stream.ended) = (false, false);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fileno(file: File) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { stream(file) }.fd
}

#[unsafe(no_mangle)]
unsafe extern "C" fn perror(what: *const c_char) {
    let mut to = Parts::new(STDERR.0.get());
    let error = text(errno::get());
    if !what.is_null() {
        // SAFETY: the caller's promise.
        to.write(unsafe { bytes(what) });
        to.write(b": ");
    }
    to.write(error.to_bytes());
    to.write(b"\n");
    to.end();
}

/// A stream that something is written to in parts.
struct Parts {
    file: File,
    result: Result<(), i32>,
}

impl Parts {
    fn new(file: File) -> Self {
        start::set_flush(flush);
        Self { file, result: Ok(()) }
    }

    fn end(self) -> bool {
        // SAFETY: whoever made it has a stream.
        let ended = unsafe { stream(self.file) }.end_parts(&mut Descriptors);
        well(self.result.and(ended))
    }
}

impl Output for Parts {
    fn write(&mut self, bytes: &[u8]) {
        if self.result.is_ok() {
            // SAFETY: whoever made it has a stream.
            self.result = unsafe { stream(self.file) }.write_part(&mut Descriptors, bytes);
        }
    }
}

/// Memory that something is written to, as much as has room.
struct Memory {
    to: *mut u8,
    room: usize,
    len: usize,
}

impl Output for Memory {
    fn write(&mut self, bytes: &[u8]) {
        let fit = bytes.len().min(self.room.saturating_sub(self.len));
        // SAFETY: whoever made it says that there is that room.
        unsafe { self.to.wrapping_add(self.len).copy_from_nonoverlapping(bytes.as_ptr(), fit) };
        self.len += fit;
    }
}

/// The count, or -1 with `errno` set.
fn counted(result: Result<i32, FormatError>) -> c_int {
    result.unwrap_or_else(|error| {
        errno::set(match error {
            FormatError::Conversion => EINVAL,
            FormatError::TooLong => EOVERFLOW,
        });
        -1
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vfprintf(file: File, template: *const c_char, list: *mut VaList) -> c_int {
    let mut to = Parts::new(file);
    // SAFETY: the caller's promise.
    let count = counted(unsafe { format(&mut to, bytes(template), &mut *list) });
    if to.end() { count } else { -1 }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vprintf(template: *const c_char, list: *mut VaList) -> c_int {
    // SAFETY: the caller's promise, and a stream.
    unsafe { vfprintf(STDOUT.0.get(), template, list) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vdprintf(fd: c_int, template: *const c_char, list: *mut VaList) -> c_int {
    let mut file = Stream::new(fd, Buffering::None);
    // SAFETY: the caller's promise, and a stream.
    unsafe { vfprintf(&mut file, template, list) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vsnprintf(
    to: *mut u8,
    room: usize,
    template: *const c_char,
    list: *mut VaList,
) -> c_int {
    let mut memory = Memory { to, room: room.saturating_sub(1), len: 0 };
    // SAFETY: the caller's promise.
    let count = counted(unsafe { format(&mut memory, bytes(template), &mut *list) });
    if room > 0 {
        // SAFETY: there is room for the end.
        unsafe { *to.add(memory.len) = 0 };
    }
    count
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vsprintf(to: *mut u8, template: *const c_char, list: *mut VaList) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { vsnprintf(to, usize::MAX, template, list) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vasprintf(
    place: *mut *mut u8,
    template: *const c_char,
    list: *mut VaList,
) -> c_int {
    // SAFETY: the caller's promise; the arguments are gone through twice.
    unsafe {
        let mut again = *list;
        let Ok(len) = usize::try_from(vsnprintf(null_mut(), 0, template, list)) else { return -1 };
        let to = malloc(len + 1).cast::<u8>();
        if to.is_null() {
            return -1;
        }
        *place = to;
        vsnprintf(to, len + 1, template, &mut again)
    }
}

variadic!(printf, 1, "rsi", vprintf);
variadic!(fprintf, 2, "rdx", vfprintf);
variadic!(dprintf, 2, "rdx", vdprintf);
variadic!(sprintf, 2, "rdx", vsprintf);
variadic!(snprintf, 3, "rcx", vsnprintf);
variadic!(asprintf, 2, "rdx", vasprintf);
