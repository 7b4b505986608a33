//! The sequence lock: readers never wait and write nothing, and read again when they were
//! disturbed.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::{MaybeUninit, size_of};
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering, fence};

use crate::guarded::Guarded;
use crate::sys;

/// Types whose values are nothing but bytes: all of them initialised (no padding), no pointers.
///
/// # Safety
/// Every byte of every value is initialised, and copying the bytes as integers copies the value.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain_types {
    ($($plain:ty)*) => {
        $(
            // SAFETY: no padding, no pointer.
            unsafe impl Plain for $plain {}
        )*
    };
}
plain_types!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char);

// SAFETY: the elements of an array have nothing between them.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Makes structures [`Plain`], checked by the compiler: all fields plain, nothing between them.
///
/// ```
/// uklock::plain! {
///     /// Ticks to nanoseconds.
///     #[derive(Clone, Copy)]
///     pub struct Scale {
///         pub base: u64,
///         pub mult: u32,
///         pub shift: u32,
///     }
/// }
/// ```
///
/// ```compile_fail,E0080
/// uklock::plain! {
///     #[derive(Clone, Copy)]
///     struct Padded { byte: u8, word: u32 }
/// }
/// ```
#[macro_export]
macro_rules! plain {
    ($(#[$attribute:meta])* $public:vis struct $name:ident {
        $($(#[$field_attribute:meta])* $field_public:vis $field:ident: $type:ty),+ $(,)?
    }) => {
        $(#[$attribute])*
        $public struct $name {
            $($(#[$field_attribute])* $field_public $field: $type),+
        }

        // SAFETY: all fields are plain, and as the structure is not larger than they are
        // together, there is nothing between them (both checked below).
        unsafe impl $crate::Plain for $name {}

        const _: () = {
            const fn plain<T: $crate::Plain>() -> usize {
                ::core::mem::size_of::<T>()
            }
            assert!(
                ::core::mem::size_of::<$name>() == 0 $(+ plain::<$type>())+,
                "there is padding between the fields"
            );
        };
    };
}

/// Word-aligned, so that the value can be copied by words.
#[repr(C)]
struct Slot<T> {
    _align: [usize; 0],
    value: UnsafeCell<T>,
}

/// A small value that is read often and written rarely: clocks, routes, statistics.
///
/// The value is copied by relaxed atomic loads and stores, word by word and the rest by bytes,
/// between two reads of a sequence number, with fences as in H.-J. Boehm, "Can seqlocks get along
/// with programming language memory models?" (2012). So a read that overlaps a write is a race of
/// atomics, whose torn result is thrown away, and not undefined behaviour, as with plain or
/// volatile copies. On common machines these are ordinary moves. The price is [`Plain`]: no
/// padding, no pointers.
///
/// Readers may be interrupt handlers. Writers exclude each other and disable interrupts (also on
/// one CPU without threads: a handler that reads in the middle of a write would read for ever).
/// A read costs two loads of the sequence number beside the copy, in every configuration, because
/// interrupt handlers may write in all of them.
///
/// ```
/// static BASE: uklock::SeqLock<[u64; 2]> = uklock::SeqLock::new([1, 2]);
/// BASE.update(|base| base[1] = 3);
/// assert_eq!(BASE.read(), [1, 3]);
/// ```
///
/// ```compile_fail,E0277
/// static SHARED: uklock::SeqLock<&'static str> = uklock::SeqLock::new("pointers cannot");
/// ```
pub struct SeqLock<T> {
    /// Odd while a write is under way.
    sequence: AtomicUsize,
    writers: Guarded<(), true>,
    slot: Slot<T>,
}

// SAFETY: the value is read and written by atomics only, and a torn one is not looked at.
unsafe impl<T: Plain + Send> Sync for SeqLock<T> {}

impl<T: Plain> SeqLock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            sequence: AtomicUsize::new(0),
            writers: Guarded::new(()),
            slot: Slot { _align: [], value: UnsafeCell::new(value) },
        }
    }

    /// A value that was written as a whole.
    #[inline]
    pub fn read(&self) -> T {
        loop {
            if let Some(value) = self.try_read() {
                return value;
            }
            sys::relax();
        }
    }

    /// The value, unless it is being written.
    #[inline]
    pub fn try_read(&self) -> Option<T> {
        let before = self.sequence.load(Ordering::Acquire);
        sys::interleave();
        if before % 2 == 1 {
            return None;
        }
        let mut copy = MaybeUninit::<T>::uninit();
        self.load(copy.as_mut_ptr());
        // The copy is complete before the number is read again.
        fence(Ordering::Acquire);
        sys::interleave();
        let after = self.sequence.load(Ordering::Relaxed);
        // SAFETY: all bytes were loaded, and the same sequence number before and after says that
        // they are those of one `T`, which is nothing but its bytes.
        (before == after).then(|| unsafe { copy.assume_init() })
    }

    /// Replaces the value.
    pub fn write(&self, value: T) {
        self.update(|old| *old = value);
    }

    /// Changes the value. `f` must be short: interrupts are disabled, and readers read again and
    /// again. It must not use this lock.
    pub fn update(&self, f: impl FnOnce(&mut T)) {
        self.writers.with(|()| {
            let mut value = MaybeUninit::<T>::uninit();
            self.load(value.as_mut_ptr());
            // SAFETY: loaded by the only writer: nobody stores meanwhile.
            let mut value = unsafe { value.assume_init() };
            f(&mut value);
            let sequence = self.sequence.load(Ordering::Relaxed);
            self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
            // Who sees a word of the new value sees the odd number.
            fence(Ordering::Release);
            self.store(&value);
            self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
        });
    }

    const WORDS: usize = size_of::<T>() / size_of::<usize>();
    const WHOLE: usize = Self::WORDS * size_of::<usize>();

    #[inline]
    fn load(&self, to: *mut T) {
        let from: *mut T = self.slot.value.get();
        for index in 0..Self::WORDS {
            // SAFETY: within the value, and aligned as `Slot` is; only accessed by atomics.
            let word = unsafe { AtomicUsize::from_ptr(from.cast::<usize>().add(index)) };
            let word = word.load(Ordering::Relaxed);
            // SAFETY: `to` has room for a `T`.
            unsafe { to.cast::<usize>().add(index).write_unaligned(word) };
            sys::interleave();
        }
        for offset in Self::WHOLE..size_of::<T>() {
            // SAFETY: within the value; only accessed by atomics.
            let byte = unsafe { AtomicU8::from_ptr(from.cast::<u8>().add(offset)) };
            // SAFETY: `to` has room for a `T`.
            unsafe { to.cast::<u8>().add(offset).write(byte.load(Ordering::Relaxed)) };
        }
    }

    fn store(&self, value: &T) {
        let (from, to) = (core::ptr::from_ref(value), self.slot.value.get());
        for index in 0..Self::WORDS {
            // SAFETY: within the value, whose bytes are all initialised (`Plain`).
            let new = unsafe { from.cast::<usize>().add(index).read_unaligned() };
            // SAFETY: within the value, and aligned as `Slot` is; only accessed by atomics.
            let word = unsafe { AtomicUsize::from_ptr(to.cast::<usize>().add(index)) };
            word.store(new, Ordering::Relaxed);
            sys::interleave();
        }
        for offset in Self::WHOLE..size_of::<T>() {
            // SAFETY: within the value, whose bytes are all initialised (`Plain`).
            let new = unsafe { from.cast::<u8>().add(offset).read() };
            // SAFETY: within the value; only accessed by atomics.
            let byte = unsafe { AtomicU8::from_ptr(to.cast::<u8>().add(offset)) };
            byte.store(new, Ordering::Relaxed);
        }
    }
}

impl<T: Plain + Default> Default for SeqLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for SeqLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SeqLock").field(&self.read()).finish()
    }
}
