//! A pool as the back end of a heap.

use core::ptr::NonNull;

use ukalloc::{AddMemoryError, Backend};

use crate::objects::{Objects, Unfit};

/// Options of the library, for [`FixedPool`].
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Size in bytes of the blocks, from 16.
    pub object_size: u64,
    /// Alignment in bytes of the blocks, a power of two from 16.
    pub alignment: u64,
}

impl Config {
    /// What the options are when the manifest says nothing.
    pub const DEFAULT: Self = Self { object_size: 2048, alignment: 64 };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A heap of blocks of one size; larger ones, and larger alignments, are refused.
///
/// ```
/// use ukalloc::{Alloc, Heap, SpinLock};
/// use ukallocpool::{Config, FixedPool};
///
/// let mut memory = [0u64; 512];
/// let pool = FixedPool::new(Config { object_size: 1000, alignment: 16 });
/// let heap = Heap::new(pool, SpinLock::new());
/// unsafe { heap.add_memory(memory.as_mut_ptr().cast(), 4096)? };
/// assert!(!heap.malloc(1000).is_null());
/// assert!(heap.malloc(2000).is_null());
/// # Ok::<(), ukalloc::AddMemoryError>(())
/// ```
#[derive(Debug)]
pub struct FixedPool {
    /// Their size is set with the first memory: until then all is zero, and nothing of a heap lies
    /// in the image file.
    objects: Objects,
    /// Differences from the default, for the same reason.
    object_size: u64,
    alignment: u64,
    total: usize,
}

impl FixedPool {
    /// Without memory.
    ///
    /// # Panics
    /// When the alignment is no power of two from 16, or the size below 16.
    pub const fn new(config: Config) -> Self {
        let Config { object_size, alignment } = config;
        assert!(object_size >= 16 && object_size < 1 << 32, "object-size is at least 16");
        assert!(
            alignment >= 16 && alignment < 1 << 32 && alignment.is_power_of_two(),
            "alignment is a power of two, and at least 16"
        );
        Self {
            objects: Objects::EMPTY,
            object_size: object_size ^ Config::DEFAULT.object_size,
            alignment: alignment ^ Config::DEFAULT.alignment,
            total: 0,
        }
    }
}

impl Default for FixedPool {
    fn default() -> Self {
        Self::new(Config::DEFAULT)
    }
}

// SAFETY: objects are apart, and handed out once until they are given back.
unsafe impl Backend for FixedPool {
    unsafe fn add_memory(&mut self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        if self.objects.size() == 0 {
            let size = self.object_size ^ Config::DEFAULT.object_size;
            let align = self.alignment ^ Config::DEFAULT.alignment;
            self.objects = Objects::new(size as usize, align as usize);
        }
        // SAFETY: the caller's promise.
        unsafe { self.objects.add(base, len) }.map_err(|unfit| match unfit {
            Unfit::TooSmall => AddMemoryError::TooSmall,
            Unfit::TooMany => AddMemoryError::TooMany,
        })?;
        self.total += len;
        Ok(())
    }

    #[inline]
    fn allocate(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        if size > self.objects.size() || align > self.objects.align() {
            return None;
        }
        self.objects.take()
    }

    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>) {
        // SAFETY: the caller's promise.
        unsafe { self.objects.give(block) }
    }

    #[inline]
    unsafe fn usable_size(&self, _block: NonNull<u8>) -> usize {
        self.objects.size()
    }

    fn owns(&self, address: *const u8) -> bool {
        self.objects.owns(address as usize)
    }

    fn total_memory(&self) -> usize {
        self.total
    }

    fn available(&self) -> usize {
        self.objects.free_count() * self.objects.size()
    }

    fn largest_free(&self) -> usize {
        if self.objects.free_count() > 0 { self.objects.size() } else { 0 }
    }
}
