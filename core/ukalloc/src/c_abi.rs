//! The interface for C, declared in `include/uk/alloc.h`. A handle is a [`HeapEntry`].

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;

use crate::{AddMemoryError, Alloc, AllocError, HeapEntry, default_heap, heap};

const ENOMEM: c_int = 12;
const EINVAL: c_int = 22;
const ENOTSUP: c_int = 95;

/// # Safety
/// `heap` must be null or a handle from this module.
unsafe fn alloc<'a>(heap: *const HeapEntry) -> Option<&'a dyn Alloc> {
    // SAFETY: handles are `&'static HeapEntry`.
    unsafe { heap.as_ref() }.map(|entry| entry.alloc)
}

/// The heap that got the rest of memory; null before the heaps are set up.
#[unsafe(no_mangle)]
pub extern "C" fn uk_alloc_get_default() -> *const HeapEntry {
    default_heap().map_or(core::ptr::null(), core::ptr::from_ref)
}

/// The heap of that name, or null.
///
/// # Safety
/// `name` must be null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_alloc_get(name: *const c_char) -> *const HeapEntry {
    if name.is_null() {
        return core::ptr::null();
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap_or("");
    heap(name).map_or(core::ptr::null(), core::ptr::from_ref)
}

/// `malloc` from a heap; null when `a` is.
///
/// # Safety
/// `a` must be null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_malloc(a: *const HeapEntry, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { alloc(a) }.map_or(null_mut(), |a| a.malloc(size).cast())
}

/// `calloc` from a heap.
///
/// # Safety
/// `a` must be null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_calloc(a: *const HeapEntry, count: usize, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { alloc(a) }.map_or(null_mut(), |a| a.calloc(count, size).cast())
}

/// `realloc` from a heap.
///
/// # Safety
/// `a` must be null or a handle, `block` null or a live block of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_realloc(
    a: *const HeapEntry,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { alloc(a) }.map_or(null_mut(), |a| unsafe { a.realloc(block.cast(), size).cast() })
}

/// `memalign` from a heap.
///
/// # Safety
/// `a` must be null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_memalign(
    a: *const HeapEntry,
    align: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { alloc(a) }.map_or(null_mut(), |a| a.memalign(align, size).cast())
}

/// `posix_memalign` from a heap: 0, or `EINVAL` or `ENOMEM`; `*out` is only set on success.
///
/// # Safety
/// `a` must be null or a handle, `out` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_posix_memalign(
    a: *const HeapEntry,
    out: *mut *mut c_void,
    align: usize,
    size: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { alloc(a) }.map(|a| a.posix_memalign(align, size)) {
        Some(Ok(block)) => {
            // SAFETY: the caller's promise.
            unsafe { out.write(block.as_ptr().cast()) };
            0
        }
        Some(Err(AllocError::InvalidAlignment)) => EINVAL,
        Some(Err(AllocError::OutOfMemory)) | None => ENOMEM,
    }
}

/// `free` to a heap.
///
/// # Safety
/// `a` must be null or a handle, `block` null or a live block of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_free(a: *const HeapEntry, block: *mut c_void) {
    // SAFETY: the caller's promise.
    if let Some(a) = unsafe { alloc(a) } {
        // SAFETY: the caller's promise.
        unsafe { a.free(block.cast()) };
    }
}

/// Bytes that may be used at a block.
///
/// # Safety
/// `a` must be null or a handle, `block` null or a live block of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_malloc_usable_size(a: *const HeapEntry, block: *mut c_void) -> usize {
    // SAFETY: the caller's promise.
    unsafe { alloc(a) }.map_or(0, |a| unsafe { a.usable_size(block.cast()) })
}

/// Whole pages from a heap.
///
/// # Safety
/// `a` must be null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_palloc(a: *const HeapEntry, pages: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { alloc(a) }.map_or(null_mut(), |a| a.palloc(pages).cast())
}

/// Pages back to a heap.
///
/// # Safety
/// `a` must be null or a handle, `block` null or from [`uk_palloc`] with the same number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_pfree(a: *const HeapEntry, block: *mut c_void, pages: usize) {
    // SAFETY: the caller's promise.
    if let Some(a) = unsafe { alloc(a) } {
        // SAFETY: the caller's promise.
        unsafe { a.pfree(block.cast(), pages) };
    }
}

/// More memory for a heap: 0, or `-EINVAL`, `-ENOTSUP`.
///
/// # Safety
/// `a` must be null or a handle; the memory must be nobody else's for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_alloc_addmem(
    a: *const HeapEntry,
    base: *mut c_void,
    len: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { alloc(a) }.map(|a| unsafe { a.add_memory(base.cast(), len) }) {
        Some(Ok(())) => 0,
        Some(Err(AddMemoryError::TooMany)) => -ENOTSUP,
        Some(Err(_)) | None => -EINVAL,
    }
}

/// Bytes in free blocks of a heap.
///
/// # Safety
/// `a` must be null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uk_alloc_availmem(a: *const HeapEntry) -> usize {
    // SAFETY: the caller's promise.
    unsafe { alloc(a) }.map_or(0, |a| a.stats().available)
}
