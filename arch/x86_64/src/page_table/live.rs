//! Changes to tables in use, page by page. Tables that become empty are given back at once.

use super::{
    ADDRESS, CANONICAL_LIMIT, Flags, MapError, PAGE, PRESENT, TableMemory, USER, WRITABLE, index,
};

/// Bits 52 to 61 of an entry that leads to a table, which the CPU ignores (Intel SDM volume 3,
/// tables 4-16 to 4-18): how many entries of that table are in use.
const COUNT_SHIFT: u32 = 52;
const COUNT: u64 = 0x3ff << COUNT_SHIFT;

/// Where the tables of a running system are.
pub trait LiveMemory: TableMemory {
    /// Takes back a table that [`TableMemory::allocate`] gave.
    fn free(&mut self, address: u64);
    /// Makes the CPU forget how it translates an address, and the tables that led to it.
    fn forget(&mut self, virtual_address: u64);
}

/// Maps and unmaps pages of 4 KiB while the tables are in use. It counts the entries of each table
/// in the entry that leads to it; so its addresses must be whole entries of the top-level table
/// (512 GiB each) that nobody else changes. The top-level table itself stays.
#[derive(Debug)]
pub struct LiveMapper<M> {
    memory: M,
    root: u64,
}

/// An entry that leads to a table: the table it is in, and its index there.
type Step = (u64, usize);

impl<M: LiveMemory> LiveMapper<M> {
    /// Changes the tables below the top-level table at the physical address `root`.
    pub const fn new(memory: M, root: u64) -> Self {
        Self { memory, root }
    }

    /// Maps the page at `address` to the page at `physical`.
    ///
    /// # Errors
    /// See [`MapError`]; the tables are then as before.
    pub fn map(&mut self, address: u64, physical: u64, flags: Flags) -> Result<(), MapError> {
        if (address | physical) & (PAGE - 1) != 0 || physical & !ADDRESS != 0 {
            return Err(MapError::Unaligned);
        }
        if address >= CANONICAL_LIMIT {
            return Err(MapError::OutOfRange);
        }
        let mut path: [Step; 3] = [(0, 0); 3];
        let mut table = self.root;
        for depth in 0..path.len() {
            let slot = index(address, 3 - depth as u32);
            path[depth] = (table, slot);
            let entry = self.memory.table(table)[slot];
            table = if entry & PRESENT != 0 {
                entry & ADDRESS
            } else {
                let Some(new) = self.memory.allocate() else {
                    // Tables made for this page are still empty; older ones are not.
                    self.drop_empty(&path[..depth], address);
                    return Err(MapError::NoMemory);
                };
                // Rights are decided by the last level alone.
                self.memory.table(table)[slot] = new | PRESENT | WRITABLE | USER;
                self.count(&path[..depth], 1);
                new
            };
        }
        let page = &mut self.memory.table(table)[index(address, 0)];
        if *page != 0 {
            return Err(MapError::InUse);
        }
        *page = physical | flags.bits();
        self.count(&path, 1);
        Ok(())
    }

    /// Unmaps the page at `address`; returns where it led, `None` when it was not mapped.
    pub fn unmap(&mut self, address: u64) -> Option<u64> {
        if address & (PAGE - 1) != 0 || address >= CANONICAL_LIMIT {
            return None;
        }
        let mut path: [Step; 3] = [(0, 0); 3];
        let mut table = self.root;
        for (step, level) in path.iter_mut().zip([3, 2, 1]) {
            *step = (table, index(address, level));
            let entry = self.memory.table(table)[step.1];
            if entry & PRESENT == 0 {
                return None;
            }
            table = entry & ADDRESS;
        }
        let page = core::mem::take(&mut self.memory.table(table)[index(address, 0)]);
        if page & PRESENT == 0 {
            return None;
        }
        self.count(&path, -1);
        self.drop_empty(&path, address);
        Some(page & ADDRESS)
    }

    /// Adds to the count of the table that the last entry of `path` leads to. The top-level table
    /// has none.
    fn count(&mut self, path: &[Step], change: i64) {
        if let Some((table, slot)) = path.last() {
            let entry = &mut self.memory.table(*table)[*slot];
            *entry = entry.wrapping_add_signed(change << COUNT_SHIFT);
        }
    }

    /// Gives back the tables along `path` that have become empty, after the CPU has forgotten them.
    fn drop_empty(&mut self, path: &[Step], address: u64) {
        let mut empty = [0; 3];
        for (depth, (table, slot)) in path.iter().enumerate().rev() {
            let entry = &mut self.memory.table(*table)[*slot];
            if *entry & COUNT != 0 {
                break;
            }
            empty[depth] = *entry & ADDRESS;
            *entry = 0;
            self.count(&path[..depth], -1);
        }
        self.memory.forget(address);
        for table in empty.into_iter().filter(|table| *table != 0) {
            self.memory.free(table);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::btree_map::Entry;
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::Mapper;
    use super::*;

    /// Tables by address, at most `limit`; using one that was given back fails the test.
    struct Tables {
        tables: BTreeMap<u64, [u64; 512]>,
        limit: usize,
        forgotten: BTreeSet<u64>,
    }

    impl TableMemory for &mut Tables {
        fn allocate(&mut self) -> Option<u64> {
            let free = (1..).map(|n| n << 12).find(|a| !self.tables.contains_key(a))?;
            (self.tables.len() < self.limit).then(|| {
                self.tables.insert(free, [0; 512]);
                free
            })
        }
        fn table(&mut self, address: u64) -> &mut [u64; 512] {
            self.tables.get_mut(&address).expect("a table that was given back is not used")
        }
    }

    impl LiveMemory for &mut Tables {
        fn free(&mut self, address: u64) {
            let table = self.tables.remove(&address).expect("given back once");
            assert!(table.iter().all(|entry| *entry == 0), "a table in use was given back");
            assert!(!self.forgotten.is_empty(), "the CPU may still walk the table");
        }
        fn forget(&mut self, virtual_address: u64) {
            self.forgotten.insert(virtual_address);
        }
    }

    const ROOT: u64 = 1 << 12;

    fn tables(limit: usize) -> Tables {
        Tables { tables: BTreeMap::from([(ROOT, [0; 512])]), limit, forgotten: BTreeSet::new() }
    }

    /// Tables that this set of pages needs, the top-level one included.
    fn needed<'a>(pages: impl Iterator<Item = &'a u64> + Clone) -> usize {
        let at = |shift: u32| pages.clone().map(|p| p >> shift).collect::<BTreeSet<_>>().len();
        1 + at(9) + at(18) + at(27)
    }

    #[test]
    fn wrong_pages_are_refused() {
        let mut tables = tables(usize::MAX);
        let mut live = LiveMapper::new(&mut tables, ROOT);
        assert_eq!(live.map(1, 0, Flags::READ), Err(MapError::Unaligned));
        assert_eq!(live.map(0, 1, Flags::READ), Err(MapError::Unaligned));
        assert_eq!(live.map(CANONICAL_LIMIT, 0, Flags::READ), Err(MapError::OutOfRange));
        assert_eq!(live.unmap(CANONICAL_LIMIT), None);
        assert_eq!(live.unmap(PAGE), None);
        live.map(PAGE, PAGE, Flags::READ).unwrap();
        assert_eq!(live.map(PAGE, PAGE, Flags::WRITE), Err(MapError::InUse));
        assert_eq!(live.unmap(0), None);
    }

    #[test]
    fn a_full_table_is_counted_right() {
        let mut tables = tables(usize::MAX);
        let mut live = LiveMapper::new(&mut tables, ROOT);
        for page in 0..512 {
            live.map(page * PAGE, 0, Flags::WRITE).unwrap();
        }
        for page in (0..512).rev() {
            assert_eq!(live.unmap(page * PAGE), Some(0));
        }
        assert_eq!(tables.tables.len(), 1);
    }

    /// Page numbers on both sides of the borders of tables of each level.
    fn page() -> impl Strategy<Value = u64> {
        (prop::sample::select(vec![1u64 << 9, 1 << 18, 1 << 27, 1 << 34]), 0u64..6)
            .prop_map(|(border, i)| border + i - 3)
    }

    proptest! {
        #[test]
        fn agrees_with_a_map_of_pages(
            steps in prop::collection::vec((page(), prop::option::weighted(0.6, 0u64..1000)), 1..80),
            limit in 1usize..16,
        ) {
            let mut tables = tables(limit);
            let mut model: BTreeMap<u64, u64> = BTreeMap::new();
            for (page, to) in steps {
                let mut live = LiveMapper::new(&mut tables, ROOT);
                match to {
                    Some(to) => {
                        let with = model.keys().chain([&page]);
                        let want = if needed(with) > limit {
                            Err(MapError::NoMemory)
                        } else if let Entry::Vacant(place) = model.entry(page) {
                            place.insert(to);
                            Ok(())
                        } else {
                            Err(MapError::InUse)
                        };
                        prop_assert_eq!(live.map(page * PAGE, to * PAGE, Flags::WRITE), want);
                    }
                    None => {
                        let want = model.remove(&page).map(|to| to * PAGE);
                        prop_assert_eq!(live.unmap(page * PAGE), want);
                        prop_assert!(want.is_none() || tables.forgotten.contains(&(page * PAGE)));
                    }
                }
                prop_assert_eq!(tables.tables.len(), needed(model.keys()));
            }
            for (page, to) in model {
                let mut reader = Mapper { memory: &mut tables, root: ROOT };
                prop_assert_eq!(
                    reader.translate(page * PAGE + 9),
                    Some((to * PAGE + 9, Flags::WRITE))
                );
            }
        }
    }
}
