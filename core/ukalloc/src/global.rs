//! The heap under Rust's `Box`, `Vec` and `String`.

use core::alloc::{GlobalAlloc, Layout};

use crate::{Alloc, MIN_ALIGN};

/// Makes an allocator usable as `#[global_allocator]`.
#[derive(Debug)]
pub struct Global<A: 'static>(pub &'static A);

// SAFETY: `Alloc` gives blocks of the size asked for; alignments up to `MIN_ALIGN` hold for every
// block, larger ones are asked for.
unsafe impl<A: Alloc> GlobalAlloc for Global<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MIN_ALIGN {
            self.0.malloc(layout.size())
        } else {
            self.0.memalign(layout.align(), layout.size())
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller passes a live block of this allocator.
        unsafe { self.0.free(block) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= MIN_ALIGN {
            // SAFETY: the caller passes a live block; `size` is not 0 (contract of `GlobalAlloc`).
            return unsafe { self.0.realloc(block, size) };
        }
        // `realloc` of a block that moves keeps only the least alignment.
        let new = self.0.memalign(layout.align(), size);
        if !new.is_null() {
            // SAFETY: two live blocks, at least that large; the old one is used no more.
            unsafe {
                new.copy_from_nonoverlapping(block, layout.size().min(size));
                self.0.free(block);
            }
        }
        new
    }
}
