//! The pages of a file: a tree as high as the file is long, in which holes take nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ukerrno::Errno;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Children of a table: 64, so that a table of 16-byte slots is 1 KiB.
const FAN_BITS: u32 = 6;
const FAN: usize = 1 << FAN_BITS;

pub type Page = Box<[u8; PAGE]>;
type Table = Box<[Slot; FAN]>;

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Page(Page),
    Table(Table),
}

/// Pages by number.
#[derive(Default)]
pub struct Pages {
    root: Slot,
    /// Tables above a page: pages from 0 to `64.pow(height) - 1` have a place.
    height: u32,
    count: usize,
}

/// A page of zeros.
pub fn zero_page() -> Result<Page, Errno> {
    let page = ukfile::fallible::zeroed(PAGE)?;
    page.try_into().map_err(|_| Errno::ENOMEM)
}

fn new_table() -> Result<Table, Errno> {
    let mut table = Vec::new();
    table.try_reserve_exact(FAN).map_err(|_| Errno::ENOMEM)?;
    table.resize_with(FAN, Slot::default);
    table.into_boxed_slice().try_into().map_err(|_| Errno::ENOMEM)
}

/// Pages that a slot with `height` tables below it has a place for.
fn span(height: u32) -> u64 {
    1 << (FAN_BITS * height).min(63)
}

fn index_in(page: u64, height: u32) -> usize {
    (page >> (FAN_BITS * (height - 1))) as usize % FAN
}

impl Pages {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Page number `page`.
    pub fn get(&self, page: u64) -> Option<&[u8; PAGE]> {
        if page >= span(self.height) {
            return None;
        }
        let mut slot = &self.root;
        let mut height = self.height;
        loop {
            match slot {
                Slot::Empty => return None,
                Slot::Page(page) => return Some(page),
                Slot::Table(table) => slot = &table[index_in(page, height)],
            }
            height -= 1;
        }
    }

    /// Page number `page`, to be changed.
    pub fn get_mut(&mut self, page: u64) -> Option<&mut [u8; PAGE]> {
        if page >= span(self.height) {
            return None;
        }
        let mut slot = &mut self.root;
        let mut height = self.height;
        loop {
            match slot {
                Slot::Empty => return None,
                Slot::Page(page) => return Some(page),
                Slot::Table(table) => slot = &mut table[index_in(page, height)],
            }
            height -= 1;
        }
    }

    /// Puts a page where there is none.
    pub fn insert(&mut self, number: u64, page: Page) -> Result<(), Errno> {
        while number >= span(self.height) {
            if !matches!(self.root, Slot::Empty) {
                let mut table = new_table()?;
                table[0] = core::mem::take(&mut self.root);
                self.root = Slot::Table(table);
            }
            self.height += 1;
        }
        let mut slot = &mut self.root;
        for height in (1..=self.height).rev() {
            if matches!(slot, Slot::Empty) {
                *slot = Slot::Table(new_table()?);
            }
            let Slot::Table(table) = slot else { return Err(Errno::EIO) };
            slot = &mut table[index_in(number, height)];
        }
        *slot = Slot::Page(page);
        self.count += 1;
        Ok(())
    }

    /// Removes pages number `from` to `to - 1`; returns how many there were.
    pub fn remove(&mut self, from: u64, to: u64) -> usize {
        let removed = remove(&mut self.root, self.height, 0, from, to);
        self.count -= removed;
        if matches!(self.root, Slot::Empty) {
            self.height = 0;
        }
        removed
    }

    /// The first page from `from` on.
    pub fn next_page(&self, from: u64) -> Option<u64> {
        next_page(&self.root, self.height, 0, from)
    }

    /// The first number from `from` on that has no page.
    pub fn next_gap(&self, mut from: u64) -> u64 {
        while self.get(from).is_some() {
            from += 1;
        }
        from
    }
}

/// `base` is the number of the slot's first page.
fn remove(slot: &mut Slot, height: u32, base: u64, from: u64, to: u64) -> usize {
    let end = base.saturating_add(span(height));
    if end <= from || base >= to {
        return 0;
    }
    match slot {
        Slot::Empty => 0,
        Slot::Page(_) => {
            *slot = Slot::Empty;
            1
        }
        Slot::Table(table) => {
            let width = span(height - 1);
            let mut removed = 0;
            let mut left = false;
            for (index, child) in table.iter_mut().enumerate() {
                let first = base.saturating_add(index as u64 * width);
                removed += remove(child, height - 1, first, from, to);
                left |= !matches!(child, Slot::Empty);
            }
            if !left {
                *slot = Slot::Empty;
            }
            removed
        }
    }
}

fn next_page(slot: &Slot, height: u32, base: u64, from: u64) -> Option<u64> {
    if base.saturating_add(span(height)) <= from {
        return None;
    }
    match slot {
        Slot::Empty => None,
        Slot::Page(_) => Some(base),
        Slot::Table(table) => {
            let width = span(height - 1);
            let first = (from.saturating_sub(base) / width) as usize;
            (first..FAN).find_map(|index| {
                let first = base.saturating_add(index as u64 * width);
                next_page(&table[index], height - 1, first, from)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64, u8),
        Remove(u64, u64),
        Look(u64),
    }

    fn number() -> impl Strategy<Value = u64> {
        // Small ones meet each other; large ones make the tree high.
        prop_oneof![0u64..200, (0u32..52).prop_map(|bits| 1 << bits), Just((1 << 51) - 1)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (number(), any::<u8>()).prop_map(|(n, byte)| Step::Insert(n, byte)),
            (number(), number()).prop_map(|(from, to)| Step::Remove(from, to)),
            number().prop_map(Step::Look),
        ]
    }

    proptest! {
        #[test]
        fn as_a_map(steps in prop::collection::vec(step(), 0..60)) {
            let (mut pages, mut model) = (Pages::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(number, byte) => {
                        if pages.get(number).is_none() {
                            pages.insert(number, zero_page().unwrap()).unwrap();
                        }
                        pages.get_mut(number).unwrap()[7] = byte;
                        model.insert(number, byte);
                    }
                    Step::Remove(from, to) => {
                        let before = model.len();
                        model.retain(|&n, _| n < from || n >= to);
                        prop_assert_eq!(pages.remove(from, to), before - model.len());
                    }
                    Step::Look(number) => {
                        let next = model.range(number..).next().map(|(&n, _)| n);
                        prop_assert_eq!(pages.next_page(number), next);
                        prop_assert_eq!(pages.get(number).map(|p| p[7]), model.get(&number).copied());
                        let gap = (number..).find(|n| !model.contains_key(n)).unwrap();
                        prop_assert_eq!(pages.next_gap(number), gap);
                    }
                }
                prop_assert_eq!(pages.count(), model.len());
            }
        }
    }
}
