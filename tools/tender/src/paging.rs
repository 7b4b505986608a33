//! The guest's page tables (Intel SDM volume 3, chapter 4.5), which only the tender writes.
//!
//! While the guest runs, each change is also noted down. The guest's CPU repeats it in kernel mode,
//! in the stub (see `stub`): a KVM that shadows page tables learns of changes by the writes of the
//! guest alone, and no CPU's translations can be invalidated from outside.
//!
//! Entries say from the start that they were accessed and written to, so that no CPU ever writes to
//! a table.

use hvt_abi::PAGE;

use crate::layout::{Access, LARGE_PAGE};

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// Accessed, dirty.
const TOUCHED: u64 = 1 << 5 | 1 << 6;
const LEAF: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Leads to a table; rights are decided by the last level alone.
const TABLE: u64 = PRESENT | WRITABLE | USER | TOUCHED;
/// Addresses of user mode.
pub const USER_LIMIT: u64 = 1 << 47;

/// Bits of a page's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits(u64);

impl Bits {
    /// Kernel mode reads and writes.
    pub const KERNEL_DATA: Self = Self(PRESENT | WRITABLE | TOUCHED | NO_EXECUTE);
    /// Kernel mode runs it.
    pub const KERNEL_CODE: Self = Self(PRESENT | TOUCHED);
    /// User mode reads.
    pub const READ: Self = Self(PRESENT | USER | TOUCHED | NO_EXECUTE);
    /// User mode reads and writes.
    pub const WRITE: Self = Self(PRESENT | WRITABLE | USER | TOUCHED | NO_EXECUTE);
    /// User mode runs it.
    pub const EXECUTE: Self = Self(PRESENT | USER | TOUCHED);
}

impl From<Access> for Bits {
    fn from(access: Access) -> Self {
        match access {
            Access::Read => Self::READ,
            Access::Execute => Self::EXECUTE,
            Access::Write | Access::Fixed => Self::WRITE,
        }
    }
}

/// Where tables are.
pub trait TableMemory {
    /// Reads an entry at a physical address.
    fn load(&self, address: u64) -> u64;
    /// Writes an entry.
    fn store(&mut self, address: u64, value: u64);
    /// A page that is all zero; `None` when memory is used up.
    fn allocate(&mut self) -> Option<NewTable>;
    /// Takes back a page that is all zero again.
    fn free(&mut self, address: u64);
}

/// A page for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTable {
    /// Its physical address.
    pub address: u64,
    /// Whether it was never a table before: then nobody can remember what it held, and it can be
    /// filled in silence.
    pub fresh: bool,
}

/// There is no memory for another table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTable;

/// A change of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Physical address of the entry.
    pub entry: u64,
    /// Its new value.
    pub value: u64,
}

/// What the guest's CPU is to repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Entries, in order.
    pub entries: Vec<Change>,
    /// Addresses whose translation a CPU may remember.
    pub forget: Vec<u64>,
}

/// An address space.
#[derive(Debug)]
pub struct AddressSpace<M> {
    memory: M,
    root: u64,
    changes: Option<Changes>,
}

impl<M: TableMemory> AddressSpace<M> {
    /// An empty one.
    ///
    /// # Errors
    /// [`NoTable`].
    pub fn new(mut memory: M) -> Result<Self, NoTable> {
        let root = memory.allocate().ok_or(NoTable)?.address;
        Ok(Self { memory, root, changes: None })
    }

    /// Physical address of the top-level table, for CR3.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// From now on changes are noted down.
    pub fn go_live(&mut self) {
        self.changes = Some(Changes::default());
    }

    /// The changes since the last call.
    pub fn take_changes(&mut self) -> Changes {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn store(&mut self, entry: u64, value: u64) {
        self.memory.store(entry, value);
        if let Some(changes) = &mut self.changes {
            changes.entries.push(Change { entry, value });
        }
    }

    /// Maps whole pages, in place of what was there; large ones where address and memory allow it.
    ///
    /// # Errors
    /// [`NoTable`]; a part may be mapped then.
    pub fn map(
        &mut self,
        address: u64,
        physical: u64,
        len: u64,
        bits: Bits,
    ) -> Result<(), NoTable> {
        self.set(address, len, Some((physical, bits)))
    }

    /// Makes accesses to whole pages fault.
    ///
    /// # Errors
    /// [`NoTable`], when a large page has to be split.
    pub fn unmap(&mut self, address: u64, len: u64) -> Result<(), NoTable> {
        self.set(address, len, None)
    }

    fn set(&mut self, start: u64, len: u64, target: Option<(u64, Bits)>) -> Result<(), NoTable> {
        let mut done = 0;
        while done < len {
            let address = start + done;
            let to = target.map(|(physical, bits)| (physical + done, bits));
            let both = address | to.map_or(0, |(physical, _)| physical);
            let aligned = both.is_multiple_of(LARGE_PAGE);
            let large = aligned && len - done >= LARGE_PAGE && !self.has_small_pages(address);
            let Some(entry) = self.entry(address, u32::from(large), to.is_some())? else {
                // Nothing is mapped up to the end of what the missing table covers.
                done = len.min((address | (LARGE_PAGE - 1)) + 1 - start);
                continue;
            };
            let old = self.memory.load(entry);
            let leaf = if large { LEAF } else { 0 };
            let new = to.map_or(0, |(physical, bits)| physical | bits.0 | leaf);
            if old != new {
                self.store(entry, new);
                if old & PRESENT != 0
                    && let Some(changes) = &mut self.changes
                {
                    changes.forget.push(address);
                }
            }
            done += if large { LARGE_PAGE } else { PAGE };
        }
        Ok(())
    }

    /// Whether there is a table of small pages for an address.
    fn has_small_pages(&mut self, address: u64) -> bool {
        let Ok(Some(entry)) = self.entry(address, 1, false) else { return false };
        self.memory.load(entry) & (PRESENT | LEAF) == PRESENT
    }

    /// Physical address of the entry for an address, of a page of 4 KiB (level 0) or 2 MiB (level
    /// 1). Tables on the way are made when `make` is set, and large pages split; else `None`.
    fn entry(&mut self, address: u64, level: u32, make: bool) -> Result<Option<u64>, NoTable> {
        let mut table = self.root;
        for at in (level + 1..4).rev() {
            let entry = table + 8 * index(address, at);
            let value = self.memory.load(entry);
            table = if value & PRESENT == 0 {
                if !make {
                    return Ok(None);
                }
                let new = self.memory.allocate().ok_or(NoTable)?.address;
                self.store(entry, new | TABLE);
                new
            } else if value & LEAF != 0 {
                let new = self.memory.allocate().ok_or(NoTable)?;
                for page in 0..512 {
                    let (entry, value) = (new.address + 8 * page, (value & !LEAF) + page * PAGE);
                    if new.fresh {
                        self.memory.store(entry, value);
                    } else {
                        self.store(entry, value);
                    }
                }
                self.store(entry, new.address | TABLE);
                new.address
            } else {
                value & ADDRESS
            };
        }
        Ok(Some(table + 8 * index(address, level)))
    }

    /// Takes back the last-level table of an address if nothing is mapped in it.
    pub fn tidy(&mut self, address: u64) {
        let Ok(Some(entry)) = self.entry(address, 1, false) else { return };
        let value = self.memory.load(entry);
        if value & (PRESENT | LEAF) != PRESENT {
            return;
        }
        let table = value & ADDRESS;
        if (table..table + PAGE).step_by(8).all(|entry| self.memory.load(entry) == 0) {
            self.store(entry, 0);
            if let Some(changes) = &mut self.changes {
                changes.forget.push(address);
            }
            self.memory.free(table);
        }
    }

    /// Where user mode reaches an address, for writing if `write`; and how many bytes from there on
    /// lie in the same page.
    pub fn translate(&self, address: u64, write: bool) -> Option<(u64, u64)> {
        if address >= USER_LIMIT {
            return None;
        }
        let wanted = PRESENT | USER | if write { WRITABLE } else { 0 };
        let mut table = self.root;
        for level in (0..4).rev() {
            let value = self.memory.load(table + 8 * index(address, level));
            if value & wanted != wanted {
                return None;
            }
            if level == 0 || value & LEAF != 0 {
                let size = PAGE << (9 * level);
                let offset = address & (size - 1);
                return Some(((value & ADDRESS & !(size - 1)) + offset, size - offset));
            }
            table = value & ADDRESS;
        }
        None
    }
}

/// Index into the table of a level, 0 for the last one.
const fn index(address: u64, level: u32) -> u64 {
    address >> (12 + 9 * level) & 511
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Tables {
        entries: BTreeMap<u64, u64>,
        used: std::collections::BTreeSet<u64>,
        once: std::collections::BTreeSet<u64>,
        limit: usize,
    }

    impl TableMemory for Tables {
        fn load(&self, address: u64) -> u64 {
            assert!(self.used.contains(&(address & !(PAGE - 1))), "a table in use");
            self.entries.get(&address).copied().unwrap_or(0)
        }
        fn store(&mut self, address: u64, value: u64) {
            assert!(self.used.contains(&(address & !(PAGE - 1))), "a table in use");
            self.entries.insert(address, value);
        }
        fn allocate(&mut self) -> Option<NewTable> {
            let address = (1..).map(|n| n * PAGE).find(|page| !self.used.contains(page))?;
            (self.used.len() < self.limit).then(|| {
                self.used.insert(address);
                NewTable { address, fresh: self.once.insert(address) }
            })
        }
        fn free(&mut self, address: u64) {
            assert!(self.used.remove(&address));
            let mut range = self.entries.range(address..address + PAGE);
            assert!(range.all(|(_, value)| *value == 0), "only empty tables are taken back");
        }
    }

    fn space() -> AddressSpace<Tables> {
        AddressSpace::new(Tables { limit: 1000, ..Tables::default() }).unwrap()
    }

    #[test]
    fn rights_are_those_of_user_mode() {
        let mut space = space();
        space.map(0x1000, 0x5000, PAGE, Bits::READ).unwrap();
        space.map(0x2000, 0x6000, PAGE, Bits::WRITE).unwrap();
        space.map(0x3000, 0x7000, PAGE, Bits::KERNEL_DATA).unwrap();
        assert_eq!(space.translate(0x1008, false), Some((0x5008, 0xff8)));
        assert_eq!(space.translate(0x1008, true), None);
        assert_eq!(space.translate(0x2fff, true), Some((0x6fff, 1)));
        assert_eq!(space.translate(0x3000, false), None);
        assert_eq!(space.translate(0xffff_8000_0000_0000, false), None);
    }

    #[test]
    fn running_out_of_tables_is_an_error() {
        let mut space = AddressSpace::new(Tables { limit: 3, ..Tables::default() }).unwrap();
        assert_eq!(space.map(0, 0, PAGE, Bits::READ), Err(NoTable));
    }

    fn step() -> impl Strategy<Value = (u64, u64, u64, Option<bool>)> {
        // Pages on both sides of the border of a large page, now and then whole large pages.
        let page = prop_oneof![Just(0u64), Just(512), 506u64..520, 1020u64..1030];
        let count = prop_oneof![1u64..8, Just(512), Just(1024)];
        (page.clone(), page, count, prop::option::weighted(0.6, any::<bool>()))
    }

    proptest! {
        /// The tables agree with a map of pages, and repeating the noted changes on the tables as
        /// they were when the guest started gives the same tables.
        #[test]
        fn agrees_with_a_map_of_pages(steps in prop::collection::vec(step(), 1..24), live_from in 0usize..8) {
            let mut space = space();
            let mut model = BTreeMap::new();
            let mut replica = Tables::default();
            let mut seen = std::collections::BTreeSet::new();
            for (number, (at, to, count, how)) in steps.into_iter().enumerate() {
                if number == live_from {
                    space.go_live();
                    replica = space.memory.clone();
                }
                match how {
                    Some(write) => {
                        let bits = if write { Bits::WRITE } else { Bits::READ };
                        space.map(at * PAGE, to * PAGE, count * PAGE, bits).unwrap();
                        model.extend((0..count).map(|i| (at + i, (to + i, write))));
                    }
                    None => {
                        space.unmap(at * PAGE, count * PAGE).unwrap();
                        model.retain(|page, _| !(at..at + count).contains(page));
                        space.tidy(at * PAGE);
                    }
                }
                // What was filled in silence is there from the start.
                let fresh: Vec<u64> = space.memory.once.difference(&seen).copied().collect();
                for page in fresh {
                    let content = space.memory.entries.range(page..page + PAGE);
                    replica.entries.extend(content.map(|(entry, value)| (*entry, *value)));
                }
                seen.clone_from(&space.memory.once);
                for Change { entry, value } in space.take_changes().entries {
                    replica.entries.insert(entry, value);
                }
            }
            for page in 0..2200u64 {
                let want = model.get(&page);
                let found = space.translate(page * PAGE + 8, false).map(|(physical, _)| physical);
                prop_assert_eq!(found, want.map(|(to, _)| to * PAGE + 8), "page {}", page);
                let writable = space.translate(page * PAGE, true).is_some();
                prop_assert_eq!(writable, want.is_some_and(|(_, write)| *write));
            }
            if space.changes.is_some() {
                let plain = |tables: &Tables| -> Vec<(u64, u64)> {
                    tables.entries.iter().filter(|(_, v)| **v != 0).map(|(a, v)| (*a, *v)).collect()
                };
                prop_assert_eq!(plain(&replica), plain(&space.memory));
            }
        }
    }
}
