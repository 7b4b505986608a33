//! Rows of bits in memory of the allocator.

/// Bits in a word.
pub const BITS: usize = u64::BITS as usize;

/// A row of bits; a copy leads to the same bits.
#[derive(Clone, Copy, Debug)]
pub struct Bits(*mut u64);

impl Bits {
    /// The bits from `address` on.
    ///
    /// # Safety
    /// The memory must be aligned, writable, used by nobody else, and have room for all bits that
    /// will be named, as for all functions.
    pub const unsafe fn at(address: usize) -> Self {
        Self(address as *mut u64)
    }

    /// Word `index`, for bits from `BITS * index` on.
    ///
    /// # Safety
    /// See [`Bits::at`].
    #[inline]
    pub unsafe fn word(self, index: usize) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(index).read() }
    }

    /// # Safety
    /// See [`Bits::at`].
    #[inline]
    pub unsafe fn set_word(self, index: usize, word: u64) {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(index).write(word) }
    }

    /// Sets a bit; returns whether it was set before.
    ///
    /// # Safety
    /// See [`Bits::at`].
    #[inline]
    pub unsafe fn set(self, bit: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let (word, mask) = (self.word(bit / BITS), 1 << (bit % BITS));
            self.set_word(bit / BITS, word | mask);
            word & mask != 0
        }
    }

    /// Sets a bit, or clears it.
    ///
    /// # Safety
    /// See [`Bits::at`].
    pub unsafe fn change(self, bit: usize, to: bool) {
        // SAFETY: the caller's promise.
        unsafe {
            let (word, mask) = (self.word(bit / BITS), 1 << (bit % BITS));
            self.set_word(bit / BITS, if to { word | mask } else { word & !mask });
        }
    }

    /// Whether a bit is set.
    ///
    /// # Safety
    /// See [`Bits::at`].
    #[inline]
    pub unsafe fn get(self, bit: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.word(bit / BITS) >> (bit % BITS) & 1 != 0 }
    }

    /// The last bit that is set, up to and with `bit`, within its word.
    ///
    /// # Safety
    /// See [`Bits::at`].
    #[inline]
    pub unsafe fn last_in_word(self, bit: usize) -> Option<usize> {
        // SAFETY: the caller's promise.
        let word = unsafe { self.word(bit / BITS) } & (u64::MAX >> (BITS - 1 - bit % BITS));
        Some(bit / BITS * BITS + word.checked_ilog2()? as usize)
    }

    /// The last bit that is set, up to and with `bit`.
    ///
    /// # Safety
    /// See [`Bits::at`].
    pub unsafe fn last(self, bit: usize) -> Option<usize> {
        // SAFETY: the words are those before the caller's.
        unsafe {
            self.last_in_word(bit).or_else(|| {
                (0..bit / BITS).rev().find_map(|word| self.last_in_word(word * BITS + BITS - 1))
            })
        }
    }
}

/// The numbers of the bits that are set in a word.
pub fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let bit = (word != 0).then_some(word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}
