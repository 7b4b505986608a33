//! Free and fresh objects of one size.
//!
//! A free object holds in its first word the next free one, and in its second word the complement
//! of its own address: by that mark a double free is noticed at once, and a write to a free object
//! when it is next handed out. Objects that were never handed out are not touched.

use core::ptr::NonNull;

use ukalloc::corrupt;

/// Pieces of memory at most.
pub const MAX_PIECES: usize = 8;
/// Least size and alignment: two words.
const LEAST: usize = 2 * size_of::<usize>();

/// Memory that is cut into objects.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: usize,
    /// Objects that were handed out at some time, from the start.
    begun: usize,
    /// All objects.
    count: usize,
}

/// Why memory cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    TooSmall,
    TooMany,
}

/// The objects, used by one caller at a time. All zeros: none, of no size.
#[derive(Debug)]
pub struct Objects {
    /// Address of the first free object, or 0.
    free: usize,
    /// Objects in use.
    used: usize,
    /// All objects.
    count: usize,
    /// Bytes from one object to the next: an odd number shifted to the left.
    stride: usize,
    /// Inverse of the odd number modulo 2^64.
    inverse: usize,
    shift: u32,
    align: usize,
    pieces: [Piece; MAX_PIECES],
}

impl Objects {
    /// Without size.
    pub const EMPTY: Self = Self {
        free: 0,
        used: 0,
        count: 0,
        stride: 0,
        inverse: 0,
        shift: 0,
        align: 0,
        pieces: [Piece { start: 0, begun: 0, count: 0 }; MAX_PIECES],
    };

    /// Without memory. `align` must be a power of two, and `size` rounded up to it fit an address.
    pub const fn new(size: usize, align: usize) -> Self {
        let align = if align < LEAST { LEAST } else { align };
        let size = if size < LEAST { LEAST } else { size };
        let stride = size.next_multiple_of(align);
        let shift = stride.trailing_zeros();
        // Newton's method doubles the number of right bits, three at the start, each time.
        let odd = stride >> shift;
        let mut inverse = odd;
        let mut bits = 3;
        while bits < usize::BITS {
            inverse = inverse.wrapping_mul(2usize.wrapping_sub(odd.wrapping_mul(inverse)));
            bits *= 2;
        }
        Self { stride, inverse, shift, align, ..Self::EMPTY }
    }

    /// Takes memory into use without touching it; returns how many objects it is.
    ///
    /// # Safety
    /// It must be readable and writable, used by nobody else, and stay so for ever.
    pub unsafe fn add(&mut self, base: *mut u8, len: usize) -> Result<usize, Unfit> {
        let start = (base as usize).checked_next_multiple_of(self.align).ok_or(Unfit::TooSmall)?;
        let end = (base as usize).saturating_add(len);
        let count = end.saturating_sub(start) / self.stride;
        if count == 0 {
            return Err(Unfit::TooSmall);
        }
        let slot = self.pieces.iter_mut().find(|p| p.count == 0).ok_or(Unfit::TooMany)?;
        *slot = Piece { start, begun: 0, count };
        self.count += count;
        Ok(count)
    }

    /// An object.
    #[inline]
    pub fn take(&mut self) -> Option<NonNull<u8>> {
        let Some(object) = NonNull::new(self.free as *mut usize) else { return self.begin() };
        // SAFETY: free objects have room for two words, and belong to the pool.
        unsafe {
            if object.add(1).read() != !self.free {
                corrupt("a free object was written to");
            }
            self.free = object.read();
            object.add(1).write(0);
        }
        self.used += 1;
        Some(object.cast())
    }

    /// An object that was never handed out.
    #[cold]
    #[inline(never)]
    fn begin(&mut self) -> Option<NonNull<u8>> {
        let piece = self.pieces.iter_mut().find(|p| p.begun < p.count)?;
        let object = NonNull::new((piece.start + piece.begun * self.stride) as *mut u8)?;
        piece.begun += 1;
        self.used += 1;
        // SAFETY: the object belongs to the pool, and has room for two words. A mark in what was
        // there before would look like a double free.
        unsafe { object.cast::<usize>().add(1).write(0) };
        Some(object)
    }

    /// Takes an object back.
    ///
    /// # Safety
    /// It must be from [`Objects::take`], and unused from now on. What is no object is noticed.
    #[inline]
    pub unsafe fn give(&mut self, object: NonNull<u8>) {
        let address = object.as_ptr() as usize;
        // SAFETY: an object of this pool, so it has room for two words, and is unused.
        unsafe {
            if self.is_begun(&self.pieces[0], address)
                && object.cast::<usize>().add(1).read() != !address
            {
                self.push(object);
            } else {
                self.give_slowly(object);
            }
        }
    }

    /// The same for objects of other pieces of memory, and for what looks wrong.
    ///
    /// # Safety
    /// As [`Objects::give`].
    #[cold]
    #[inline(never)]
    unsafe fn give_slowly(&mut self, object: NonNull<u8>) {
        let address = object.as_ptr() as usize;
        if !self.pieces.iter().any(|piece| self.is_begun(piece, address)) {
            corrupt("what was returned is no object of this pool");
        }
        // SAFETY: an object of this pool, so it has room for two words, and is unused.
        unsafe {
            if object.cast::<usize>().add(1).read() == !address {
                self.check_in_use(address);
            }
            self.push(object);
        }
    }

    /// # Safety
    /// It must be an object of this pool that is not free, and unused.
    #[inline]
    unsafe fn push(&mut self, object: NonNull<u8>) {
        let address = object.as_ptr() as usize;
        // SAFETY: objects have room for two words.
        unsafe {
            object.cast::<usize>().write(self.free);
            object.cast::<usize>().add(1).write(!address);
        }
        self.free = address;
        self.used -= 1;
    }

    /// Whether an address is that of an object which was handed out at some time.
    #[inline]
    fn is_begun(&self, piece: &Piece, address: usize) -> bool {
        // An exact multiple of the stride becomes the quotient; anything else more than any count
        // (Granlund and Montgomery: "Division by invariant integers using multiplication", 1994).
        let offset = address.wrapping_sub(piece.start);
        offset.wrapping_mul(self.inverse).rotate_right(self.shift) < piece.begun
    }

    /// Ends the image when an object that looks free is free.
    fn check_in_use(&self, object: usize) {
        let mut next = self.free;
        // A damaged list could be a circle.
        for _ in self.used..self.count {
            if next == object {
                corrupt("an object was returned twice");
            }
            if !self.owns(next) || !next.is_multiple_of(LEAST) {
                return;
            }
            // SAFETY: an aligned address in memory of the pool.
            next = unsafe { (next as *const usize).read() };
        }
    }

    /// Whether an address lies in memory of the objects.
    pub fn owns(&self, address: usize) -> bool {
        self.pieces.iter().any(|p| address.wrapping_sub(p.start) < p.count * self.stride)
    }

    /// Bytes of an object that may be used.
    #[inline]
    pub const fn size(&self) -> usize {
        self.stride
    }

    /// Alignment of objects in bytes.
    #[inline]
    pub const fn align(&self) -> usize {
        self.align
    }

    /// Objects that are not in use.
    #[inline]
    pub const fn free_count(&self) -> usize {
        self.count - self.used
    }

    /// All objects.
    pub const fn count(&self) -> usize {
        self.count
    }
}
