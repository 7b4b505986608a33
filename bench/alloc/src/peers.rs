//! Other people's allocators.

use core::alloc::Layout;
use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};

use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;

use crate::subject::{Memory, Peer, Subject};

const ALIGN: usize = ukalloc::MIN_ALIGN;

#[inline]
fn layout(size: usize, align: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), align).ok()
}

#[inline]
fn pointer(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(null_mut(), NonNull::as_ptr)
}

/// `rlsf`: TLSF with as many lists as ours.
#[derive(Debug)]
pub struct Rlsf(rlsf::Tlsf<'static, u32, u32, 32, 32>);

// SAFETY: blocks are the crate's.
unsafe impl Peer for Rlsf {
    fn new() -> Self {
        Self(rlsf::Tlsf::new())
    }
    unsafe fn add(&mut self, base: *mut u8, len: usize) -> bool {
        let Some(base) = NonNull::new(base) else { return false };
        // SAFETY: the caller's promise.
        unsafe { self.0.insert_free_block_ptr(NonNull::slice_from_raw_parts(base, len)) }.is_some()
    }
    #[inline]
    fn allocate(&mut self, size: usize, align: usize) -> *mut u8 {
        layout(size, align).map_or(null_mut(), |layout| pointer(self.0.allocate(layout)))
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8, _: usize, align: usize) {
        // SAFETY: the caller's promise: a live block, hence not null.
        unsafe { self.0.deallocate(NonNull::new_unchecked(block), align) }
    }
    #[inline]
    unsafe fn resize(&mut self, block: *mut u8, _: usize, new: usize) -> *mut u8 {
        let Some(layout) = layout(new, ALIGN) else { return null_mut() };
        // SAFETY: the caller's promise: a live block, hence not null.
        unsafe { pointer(self.0.reallocate(NonNull::new_unchecked(block), layout)) }
    }
}

/// `talc`, with its default bins.
#[derive(Debug)]
pub struct TalcPeer(Talc<Manual, DefaultBinning>);

// SAFETY: blocks are the crate's.
unsafe impl Peer for TalcPeer {
    fn new() -> Self {
        Self(Talc::new(Manual))
    }
    unsafe fn add(&mut self, base: *mut u8, len: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.0.claim(base, len) }.is_some()
    }
    #[inline]
    fn allocate(&mut self, size: usize, align: usize) -> *mut u8 {
        // SAFETY: the layout's size is not zero.
        layout(size, align).map_or(null_mut(), |layout| unsafe { pointer(self.0.allocate(layout)) })
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8, size: usize, align: usize) {
        // SAFETY: the caller's promise: the layout that the block was made with.
        unsafe {
            self.0.deallocate(block, Layout::from_size_align_unchecked(size.max(1), align));
        }
    }
    #[inline]
    unsafe fn resize(&mut self, block: *mut u8, old: usize, new: usize) -> *mut u8 {
        let Some(layout) = layout(old, ALIGN) else { return null_mut() };
        // SAFETY: the caller's promise: the layout that the block was made with.
        let done = unsafe { self.0.try_realloc_in_place(block, layout, new.max(1)) };
        if done { block } else { null_mut() }
    }
}

/// `buddy_system_allocator`.
#[derive(Debug)]
pub struct Buddy(buddy_system_allocator::Heap<40>);

// SAFETY: blocks are the crate's.
unsafe impl Peer for Buddy {
    fn new() -> Self {
        Self(buddy_system_allocator::Heap::new())
    }
    unsafe fn add(&mut self, base: *mut u8, len: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.0.init(base as usize, len) };
        true
    }
    #[inline]
    fn allocate(&mut self, size: usize, align: usize) -> *mut u8 {
        layout(size, align).map_or(null_mut(), |layout| pointer(self.0.alloc(layout).ok()))
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8, size: usize, align: usize) {
        // SAFETY: the caller's promise: a live block, hence not null, with the layout it was made
        // with.
        unsafe {
            let layout = Layout::from_size_align_unchecked(size.max(1), align);
            self.0.dealloc(NonNull::new_unchecked(block), layout);
        }
    }
    #[inline]
    unsafe fn resize(&mut self, block: *mut u8, old: usize, new: usize) -> *mut u8 {
        // The crate has no other way than to copy.
        if old == new { block } else { null_mut() }
    }
}

// The compiler knows what `malloc` and `free` mean, and leaves pairs of them out. These are the
// same functions under the names by which the library itself knows them.
unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
}

/// The C library's `malloc`.
#[derive(Debug)]
pub struct Glibc;

// SAFETY: blocks are the C library's.
unsafe impl Subject for Glibc {
    const MEMORY: Memory = Memory::Process;

    fn empty() -> Box<Self> {
        Box::new(Self)
    }
    unsafe fn add(&self, _: *mut u8, _: usize) -> bool {
        true
    }
    #[inline]
    fn malloc(&self, size: usize) -> *mut u8 {
        // SAFETY: no conditions.
        unsafe { __libc_malloc(size).cast() }
    }
    #[inline]
    fn memalign(&self, align: usize, size: usize) -> *mut u8 {
        // SAFETY: no conditions.
        unsafe { __libc_memalign(align, size).cast() }
    }
    #[inline]
    fn calloc(&self, size: usize) -> *mut u8 {
        // SAFETY: no conditions.
        unsafe { __libc_calloc(1, size).cast() }
    }
    #[inline]
    unsafe fn realloc(&self, block: *mut u8, _: usize, new: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { __libc_realloc(block.cast(), new).cast() }
    }
    #[inline]
    unsafe fn free(&self, block: *mut u8, _: usize, _: usize) {
        // SAFETY: the caller's promise.
        unsafe { __libc_free(block.cast()) }
    }
}

/// The C mimalloc.
#[derive(Debug)]
pub struct Mimalloc;

// SAFETY: blocks are the library's.
unsafe impl Subject for Mimalloc {
    const MEMORY: Memory = Memory::Process;

    fn empty() -> Box<Self> {
        Box::new(Self)
    }
    unsafe fn add(&self, _: *mut u8, _: usize) -> bool {
        true
    }
    #[inline]
    fn malloc(&self, size: usize) -> *mut u8 {
        // SAFETY: no conditions.
        unsafe { libmimalloc_sys::mi_malloc(size).cast() }
    }
    #[inline]
    fn memalign(&self, align: usize, size: usize) -> *mut u8 {
        // SAFETY: no conditions.
        unsafe { libmimalloc_sys::mi_malloc_aligned(size, align).cast() }
    }
    #[inline]
    fn calloc(&self, size: usize) -> *mut u8 {
        // SAFETY: no conditions.
        unsafe { libmimalloc_sys::mi_zalloc(size).cast() }
    }
    #[inline]
    unsafe fn realloc(&self, block: *mut u8, _: usize, new: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { libmimalloc_sys::mi_realloc(block.cast(), new).cast() }
    }
    #[inline]
    unsafe fn free(&self, block: *mut u8, _: usize, _: usize) {
        // SAFETY: the caller's promise.
        unsafe { libmimalloc_sys::mi_free(block.cast()) }
    }
}

/// Not an allocator: what the harness itself costs. Gives the same memory to everybody.
#[derive(Debug)]
pub struct Nothing(core::cell::Cell<*mut u8>);

// SAFETY: not true, and not used where blocks are read; the harness only writes.
unsafe impl Sync for Nothing {}

// SAFETY: blocks overlap, which the harness does not notice: it only writes to them, and the
// memory is large enough for each. Used for counting instructions only.
unsafe impl Subject for Nothing {
    const MEMORY: Memory = Memory::Arena;

    fn empty() -> Box<Self> {
        Box::new(Self(core::cell::Cell::new(null_mut())))
    }
    unsafe fn add(&self, base: *mut u8, _: usize) -> bool {
        self.0.set(base);
        true
    }
    #[inline]
    fn malloc(&self, _: usize) -> *mut u8 {
        self.0.get()
    }
    #[inline]
    fn memalign(&self, _: usize, _: usize) -> *mut u8 {
        self.0.get()
    }
    #[inline]
    unsafe fn realloc(&self, block: *mut u8, _: usize, _: usize) -> *mut u8 {
        block
    }
    #[inline]
    unsafe fn free(&self, _: *mut u8, _: usize, _: usize) {}
}
