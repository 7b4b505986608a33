//! Pools for use without a heap.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use ukalloc::{Alloc, RawLock};

use crate::objects::{Objects, Unfit};

/// Why a pool cannot be given memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// The memory is too small for one object.
    TooSmall,
    /// The pool has no room to remember another piece of memory.
    TooManyPieces,
    /// The heap has no memory for the objects.
    OutOfMemory,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PoolError::TooSmall => "the memory is too small for one object",
            PoolError::TooManyPieces => "the pool cannot take another piece of memory",
            PoolError::OutOfMemory => "no memory for the objects of the pool",
        })
    }
}

impl core::error::Error for PoolError {}

impl From<Unfit> for PoolError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::TooSmall => PoolError::TooSmall,
            Unfit::TooMany => PoolError::TooManyPieces,
        }
    }
}

/// Objects of one size, without a type. Memory given to a pool stays with it.
#[derive(Debug)]
pub struct Pool<L> {
    lock: L,
    objects: UnsafeCell<Objects>,
}

// SAFETY: the objects are only reached through `with`, which holds the lock.
unsafe impl<L: RawLock> Sync for Pool<L> {}

impl<L: RawLock> Pool<L> {
    /// Without memory. Objects have at least 16 bytes, and are aligned to 16 bytes at least.
    pub const fn new(layout: Layout, lock: L) -> Self {
        Self { lock, objects: UnsafeCell::new(Objects::new(layout.size(), layout.align())) }
    }

    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut Objects) -> R) -> R {
        self.lock.acquire();
        // SAFETY: the lock is held, so this is the only reference; `work` knows nothing of pools.
        let result = work(unsafe { &mut *self.objects.get() });
        self.lock.release();
        result
    }

    /// Cuts memory into objects, without touching it yet; returns how many. A pool takes 8 pieces.
    ///
    /// # Errors
    /// See [`PoolError`]; the memory is not used then.
    ///
    /// # Safety
    /// The memory must be readable and writable, used by nobody else, and stay so for ever.
    pub unsafe fn add_range(&self, base: *mut u8, len: usize) -> Result<usize, PoolError> {
        // SAFETY: the caller's promise.
        Ok(self.with(|objects| unsafe { objects.add(base, len) })?)
    }

    /// Adds `count` objects with memory from a heap.
    ///
    /// # Errors
    /// See [`PoolError`]; the pool is then as before.
    pub fn grow(&self, heap: &dyn Alloc, count: usize) -> Result<(), PoolError> {
        let (size, align) = self.with(|objects| (objects.size(), objects.align()));
        let len = count.checked_mul(size).ok_or(PoolError::OutOfMemory)?;
        let Some(memory) = NonNull::new(heap.memalign(align, len)) else {
            return Err(PoolError::OutOfMemory);
        };
        // SAFETY: a block of that size, which is not given back to the heap unless it was refused.
        unsafe {
            self.add_range(memory.as_ptr(), len).inspect_err(|_| heap.free(memory.as_ptr()))?;
        }
        Ok(())
    }

    /// An object; `None` when all are in use. What it contains is left from earlier uses.
    #[inline]
    pub fn take(&self) -> Option<NonNull<u8>> {
        self.with(Objects::take)
    }

    /// Takes an object back.
    ///
    /// # Panics
    /// When it is no object of this pool, or free already.
    ///
    /// # Safety
    /// It must be from this pool, and unused from now on.
    #[inline]
    pub unsafe fn return_one(&self, object: NonNull<u8>) {
        // SAFETY: the caller's promise.
        self.with(|objects| unsafe { objects.give(object) });
    }

    /// Fills places with objects from the first one on; returns how many. The others are not changed.
    #[inline]
    pub fn take_batch(&self, places: &mut [*mut u8]) -> usize {
        self.with(|objects| {
            let mut taken = 0;
            for place in places {
                let Some(object) = objects.take() else { break };
                *place = object.as_ptr();
                taken += 1;
            }
            taken
        })
    }

    /// Takes objects back.
    ///
    /// # Panics
    /// As [`Pool::return_one`], for null as well.
    ///
    /// # Safety
    /// As [`Pool::return_one`], for each.
    #[inline]
    pub unsafe fn return_batch(&self, batch: &[*mut u8]) {
        self.with(|objects| {
            for object in batch {
                let Some(object) = NonNull::new(*object) else {
                    ukalloc::corrupt("null was returned to a pool");
                };
                // SAFETY: the caller's promise.
                unsafe { objects.give(object) };
            }
        });
    }

    /// Objects that are not in use.
    pub fn free_count(&self) -> usize {
        self.with(|objects| objects.free_count())
    }

    /// All objects.
    pub fn count(&self) -> usize {
        self.with(|objects| objects.count())
    }

    /// Bytes of an object that may be used.
    pub fn object_size(&self) -> usize {
        self.with(|objects| objects.size())
    }

    /// Alignment of objects in bytes.
    pub fn alignment(&self) -> usize {
        self.with(|objects| objects.align())
    }

    /// Whether an address lies in an object of this pool.
    pub fn owns(&self, address: *const u8) -> bool {
        self.with(|objects| objects.owns(address as usize))
    }
}

/// A pool of values of one type.
///
/// ```
/// use ukalloc::SpinLock;
/// use ukallocpool::TypedPool;
///
/// static SESSIONS: TypedPool<[u32; 8], SpinLock> = TypedPool::new(SpinLock::new());
///
/// let mut memory = [0u64; 64];
/// let count = unsafe { SESSIONS.untyped().add_range(memory.as_mut_ptr().cast(), 512)? };
/// let session = SESSIONS.put([7; 8]).expect("there are objects");
/// assert_eq!(session[3], 7);
/// drop(session);
/// assert_eq!(SESSIONS.untyped().free_count(), count);
/// # Ok::<(), ukallocpool::PoolError>(())
/// ```
#[derive(Debug)]
pub struct TypedPool<T, L> {
    pool: Pool<L>,
    // Values go in and come out again: what counts for them is whether they are `Send`.
    values: PhantomData<fn(T) -> T>,
}

impl<T, L: RawLock> TypedPool<T, L> {
    /// Without memory.
    pub const fn new(lock: L) -> Self {
        Self { pool: Pool::new(Layout::new::<T>(), lock), values: PhantomData }
    }

    /// The pool without its type, to give it memory and to ask it.
    pub const fn untyped(&self) -> &Pool<L> {
        &self.pool
    }

    /// Puts a value into an object of the pool.
    ///
    /// # Errors
    /// The value again, when all objects are in use.
    #[inline]
    pub fn put(&self, value: T) -> Result<Object<'_, T, L>, T> {
        match self.pool.take() {
            Some(place) => {
                let value_place = place.cast::<T>();
                // SAFETY: the object has the size and the alignment of `T`, and is ours.
                unsafe { value_place.write(value) };
                Ok(Object { value: value_place, pool: self })
            }
            None => Err(value),
        }
    }
}

/// A value in an object of a pool, which gets it back in the end.
#[derive(Debug)]
pub struct Object<'p, T, L: RawLock> {
    value: NonNull<T>,
    pool: &'p TypedPool<T, L>,
}

// SAFETY: an object owns its value, as a box does; the pool may be used from everywhere.
unsafe impl<T: Send, L: RawLock> Send for Object<'_, T, L> {}
// SAFETY: as above; a shared object gives shared access to its value.
unsafe impl<T: Sync, L: RawLock> Sync for Object<'_, T, L> {}

impl<'p, T, L: RawLock> Object<'p, T, L> {
    /// The value's address, for code that does not know of objects, such as a device.
    #[inline]
    pub fn into_raw(self) -> NonNull<T> {
        core::mem::ManuallyDrop::new(self).value
    }

    /// Undoes [`Object::into_raw`].
    ///
    /// # Safety
    /// `value` must be from there and not be used elsewhere; `pool` must be the same.
    #[inline]
    pub const unsafe fn from_raw(pool: &'p TypedPool<T, L>, value: NonNull<T>) -> Self {
        Self { value, pool }
    }
}

impl<T, L: RawLock> Deref for Object<'_, T, L> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value lives as long as the object.
        unsafe { self.value.as_ref() }
    }
}

impl<T, L: RawLock> DerefMut for Object<'_, T, L> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above; nobody else has the object.
        unsafe { self.value.as_mut() }
    }
}

impl<T, L: RawLock> Drop for Object<'_, T, L> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the value is not used after this, and its place is an object of the pool.
        unsafe {
            self.value.drop_in_place();
            self.pool.pool.return_one(self.value.cast());
        }
    }
}
