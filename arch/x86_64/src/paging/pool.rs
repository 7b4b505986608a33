//! The memory that tables live in.

use super::PAGE_SIZE;

/// Where a [`Mapper`](super::Mapper) keeps its tables.
///
/// An implementation over raw memory must itself refuse (by a panic) to hand out a table that
/// [`allocate`](Self::allocate) did not return: this is a safe trait. [`TablePool`] does so.
pub trait TableMemory {
    /// A table with all entries zero. Returns its physical address, a multiple of 4096, or `None`
    /// when there is no memory left.
    fn allocate(&mut self) -> Option<u64>;

    /// The table at the physical address `address`, which was returned by
    /// [`allocate`](Self::allocate) and not released since.
    fn table(&mut self, address: u64) -> &mut [u64; 512];

    /// Takes back a table that no entry points to any more. A CPU may use it until its TLB is
    /// flushed; an implementation for tables that are in use by other CPUs keeps it until then.
    fn release(&mut self, _address: u64) {}
}

/// One table, of any level.
#[derive(Clone)]
#[repr(C, align(4096))]
pub struct Table([u64; 512]);

impl Table {
    /// A table that maps nothing.
    pub const EMPTY: Table = Table([0; 512]);
}

/// A fixed number of tables in one physically contiguous piece of memory.
#[derive(Debug)]
pub struct TablePool<'a> {
    tables: &'a mut [Table],
    base: u64,
    used: usize,
    /// Address of the first released table, which holds that of the next, and so on; 0 at the end.
    released: u64,
}

impl core::fmt::Debug for Table {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let used = self.0.iter().filter(|entry| **entry != 0).count();
        write!(f, "Table({used} entries)")
    }
}

impl<'a> TablePool<'a> {
    /// A pool of `tables`, which lie at the physical address `base`.
    ///
    /// # Panics
    /// When `base` is 0 or not a multiple of 4096.
    pub fn new(tables: &'a mut [Table], base: u64) -> Self {
        assert!(base != 0 && base.is_multiple_of(PAGE_SIZE));
        Self {
            tables,
            base,
            used: 0,
            released: 0,
        }
    }

    /// Number of tables that were ever in use at the same time.
    pub fn used(&self) -> usize {
        self.used
    }
}

impl TableMemory for TablePool<'_> {
    fn allocate(&mut self) -> Option<u64> {
        let address = if self.released != 0 {
            self.released
        } else if self.used < self.tables.len() {
            self.used += 1;
            self.base + (self.used as u64 - 1) * PAGE_SIZE
        } else {
            return None;
        };
        let recycled = address == self.released;
        let table = self.table(address);
        let next = table[0];
        table.fill(0);
        if recycled {
            self.released = next;
        }
        Some(address)
    }

    fn table(&mut self, address: u64) -> &mut [u64; 512] {
        let index = (address.wrapping_sub(self.base) / PAGE_SIZE) as usize;
        // Only the address of a table in use is passed; another one ends here in a panic.
        &mut self.tables[..self.used][index].0
    }

    fn release(&mut self, address: u64) {
        let next = core::mem::replace(&mut self.released, address);
        // Bit 0 of an address is clear: for a CPU that still walks it, nothing is mapped here.
        self.table(address)[0] = next;
    }
}
