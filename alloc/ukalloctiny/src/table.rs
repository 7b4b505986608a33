//! What is known of blocks, in a table apart from them.

/// No block.
pub const NONE: u16 = u16::MAX;
/// In place of the previous block of a chain: this is the first.
const FIRST: u16 = u16::MAX - 1;
/// Blocks in a piece of memory at most.
pub const MAX_BLOCKS: usize = FIRST as usize;

/// A block: 16 bytes, whatever its size.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Block {
    /// Start, in units from the start of the piece's blocks.
    pub start: u32,
    /// Size in units, and [`Block::FREE`]; 0 when the descriptor stands for no block.
    size: u32,
    /// The block before it in memory.
    pub before: u16,
    /// The block after it in memory; of descriptors that stand for no block, the next one.
    pub after: u16,
    /// Free: next free block by address. In use: next block of the same chain.
    pub next: u16,
    /// Free: previous free block. In use: previous block of the chain, or [`FIRST`].
    pub previous: u16,
}

const _: () = assert!(size_of::<Block>() == 16);

impl Block {
    const FREE: u32 = 1 << 31;

    /// Size in units.
    #[inline]
    pub const fn units(&self) -> u32 {
        self.size & !Self::FREE
    }

    /// Whether the block is free.
    #[inline]
    pub const fn is_free(&self) -> bool {
        self.size & Self::FREE != 0
    }

    /// Whether the block is in use.
    #[inline]
    const fn is_used(&self) -> bool {
        self.size != 0 && !self.is_free()
    }

    /// Changes the size.
    #[inline]
    pub const fn set_units(&mut self, units: u32) {
        self.size = units | self.size & Self::FREE;
    }

    /// Marks it free or in use.
    #[inline]
    pub const fn set_free(&mut self, free: bool) {
        self.size = self.units() | if free { Self::FREE } else { 0 };
    }
}

/// The descriptors of a piece of memory, and a hash table of those in use by address.
///
/// Neither is prepared: descriptors come into being one after the other, and what a place of the
/// hash table holds is only believed when the descriptor it leads to agrees, which those that are
/// in use do for one place only (after Briggs and Torczon: "An efficient representation for sparse
/// sets", 1993).
#[derive(Clone, Copy, Debug)]
pub struct Table {
    blocks: *mut Block,
    buckets: *mut u16,
    /// Number of buckets as a power of two.
    bucket_bits: u32,
    capacity: u16,
    /// Descriptors that ever stood for a block.
    begun: u16,
    /// First of those that stand for none now.
    vacant: u16,
    /// How many those are.
    vacant_count: u16,
}

impl Table {
    /// Without descriptors.
    pub const EMPTY: Self = Self {
        blocks: core::ptr::null_mut(),
        buckets: core::ptr::null_mut(),
        bucket_bits: 0,
        capacity: 0,
        begun: 0,
        vacant: 0,
        vacant_count: 0,
    };

    /// Bytes for a number of descriptors.
    pub const fn bytes(capacity: usize) -> usize {
        capacity * size_of::<Block>() + (capacity.next_power_of_two() * size_of::<u16>())
    }

    /// A table in memory, which is not touched.
    ///
    /// # Safety
    /// There must be [`Table::bytes`] bytes, aligned to 16, for the table alone; `capacity` must be
    /// from 1 to [`MAX_BLOCKS`].
    pub unsafe fn at(memory: *mut u8, capacity: usize) -> Self {
        let blocks = memory.cast::<Block>();
        Self {
            blocks,
            // SAFETY: the buckets follow the descriptors.
            buckets: unsafe { blocks.add(capacity).cast() },
            bucket_bits: capacity.next_power_of_two().trailing_zeros(),
            capacity: capacity as u16,
            vacant: NONE,
            ..Self::EMPTY
        }
    }

    /// Descriptors that are left.
    #[inline]
    pub const fn left(&self) -> u16 {
        self.capacity - self.begun + self.vacant_count
    }

    /// The descriptor with an index that [`Table::create`] gave.
    #[inline]
    pub fn get(&mut self, index: u16) -> &mut Block {
        debug_assert!(index < self.begun);
        // SAFETY: such an index is inside, and its descriptor was written; `&mut self` makes the
        // reference the only one.
        unsafe { &mut *self.blocks.add(index as usize) }
    }

    /// A copy of the descriptor with an index that [`Table::create`] gave.
    #[inline]
    pub fn read(&self, index: u16) -> Block {
        debug_assert!(index < self.begun);
        // SAFETY: as in `get`.
        unsafe { self.blocks.add(index as usize).read() }
    }

    /// A descriptor for a block in use that is in no list and no chain.
    #[inline]
    pub fn create(&mut self, start: u32, units: u32) -> Option<u16> {
        let index = if self.vacant_count > 0 {
            let index = self.vacant;
            self.vacant = self.get(index).after;
            self.vacant_count -= 1;
            index
        } else if self.begun < self.capacity {
            self.begun += 1;
            self.begun - 1
        } else {
            return None;
        };
        let block =
            Block { start, size: units, before: NONE, after: NONE, next: NONE, previous: NONE };
        // SAFETY: the index is below the capacity.
        unsafe { self.blocks.add(index as usize).write(block) };
        Some(index)
    }

    /// Gives up a descriptor that is in no list and no chain.
    #[inline]
    pub fn destroy(&mut self, index: u16) {
        let vacant = self.vacant;
        let block = self.get(index);
        block.size = 0;
        block.after = vacant;
        self.vacant = index;
        self.vacant_count += 1;
    }

    #[inline]
    fn bucket(&self, start: u32) -> *mut u16 {
        // Fibonacci hashing (Knuth, volume 3, section 6.4).
        let hash = u64::from(start.wrapping_mul(0x9e37_79b9)) << self.bucket_bits >> 32;
        // SAFETY: the hash is below the number of buckets.
        unsafe { self.buckets.add(hash as usize) }
    }

    /// First block of the chain of a place.
    #[inline]
    fn chain(&self, bucket: *mut u16) -> u16 {
        // SAFETY: buckets lie in the table's memory; any value is one.
        let index = unsafe { bucket.read() };
        if index >= self.begun {
            return NONE;
        }
        let block = self.read(index);
        let first =
            block.is_used() && block.previous == FIRST && self.bucket(block.start) == bucket;
        if first { index } else { NONE }
    }

    /// The block in use that starts there.
    #[inline]
    pub fn find(&self, start: u32) -> Option<u16> {
        let mut index = self.chain(self.bucket(start));
        while index != NONE {
            let block = self.read(index);
            if block.start == start {
                return Some(index);
            }
            index = block.next;
        }
        None
    }

    /// Makes a block in use known to [`Table::find`].
    #[inline]
    pub fn enter(&mut self, index: u16) {
        let bucket = self.bucket(self.read(index).start);
        let old = self.chain(bucket);
        if old != NONE {
            self.get(old).previous = index;
        }
        let block = self.get(index);
        block.next = old;
        block.previous = FIRST;
        // SAFETY: buckets lie in the table's memory.
        unsafe { bucket.write(index) };
    }

    /// Undoes [`Table::enter`].
    #[inline]
    pub fn leave(&mut self, index: u16) {
        let block = self.read(index);
        if block.next != NONE {
            self.get(block.next).previous = block.previous;
        }
        if block.previous != FIRST {
            self.get(block.previous).next = block.next;
        } else {
            // SAFETY: buckets lie in the table's memory.
            unsafe { self.bucket(block.start).write(block.next) };
        }
    }
}
