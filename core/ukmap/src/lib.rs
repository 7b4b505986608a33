//! Maps in one sorted piece of memory: small code, for few entries.
//!
//! ```
//! use ukmap::SortedMap;
//!
//! let mut names = SortedMap::new();
//! names.insert(7, "seven");
//! names.insert(3, "three");
//! assert_eq!(names.get(&3), Some(&"three"));
//! assert!(names.keys().eq(&[3, 7]));
//! ```
//!
//! Looking up takes a logarithmic number of comparisons, as in `alloc`'s `BTreeMap`; inserting and
//! removing move the entries behind. Each instantiation of `BTreeMap` takes 4 to 8 KiB of an image, one
//! of this a few hundred bytes: it is the better choice for tens of entries, and still fast for
//! thousands of small ones.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// A map in one sorted piece of memory.
#[derive(Clone, Debug)]
pub struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> SortedMap<K, V> {
    /// An empty map, without memory.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// All entries, in the order of their keys; values may be changed.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// Keeps the entries for which `keep` says so; it sees them in the order of their keys.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
    }

    /// All keys in their order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// All values, to be changed, in the order of their keys.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Where a key is, or would be.
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(other, _)| other.cmp(key))
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|at| &self.entries[at].1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(key).ok().map(|at| &mut self.entries[at].1)
    }

    /// Whether a key is there.
    pub fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// Gives a key a value; returns the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(at) => Some(core::mem::replace(&mut self.entries[at].1, value)),
            Err(at) => {
                self.entries.insert(at, (key, value));
                None
            }
        }
    }

    /// Makes room, so that inserting that many more takes no memory.
    ///
    /// # Errors
    /// There is no memory; the map is as it was.
    pub fn try_reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        self.entries.try_reserve(more)
    }

    /// Gives a key a value, as [`SortedMap::insert`], where memory may run out.
    ///
    /// # Errors
    /// There is no memory; the map is as it was, and the value is dropped.
    pub fn try_insert(&mut self, key: K, value: V) -> Result<Option<V>, TryReserveError> {
        if !self.contains_key(&key) {
            self.entries.try_reserve(1)?;
        }
        Ok(self.insert(key, value))
    }

    /// The value of a key, which is made when it is not there.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.place(&key) {
            Ok(at) => at,
            Err(at) => {
                self.entries.insert(at, (key, make()));
                at
            }
        };
        &mut self.entries[at].1
    }

    /// Takes a key out; returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.place(key).ok().map(|at| self.entries.remove(at).1)
    }

    /// The entries from a key on, in their order.
    pub fn range_from<'a>(
        &'a self,
        key: &K,
    ) -> impl DoubleEndedIterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        let at = self.place(key).unwrap_or_else(|at| at);
        self.entries[at..].iter().map(|(key, value)| (key, value))
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = alloc::vec::IntoIter<(K, V)>;

    /// All entries, in the order of their keys.
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_tree(steps in prop::collection::vec((0u8..5, 0u8..20, any::<u16>()), 0..100)) {
            let (mut map, mut model) = (SortedMap::new(), BTreeMap::new());
            for (what, key, value) in steps {
                match what {
                    0 if value % 2 == 0 => {
                        prop_assert_eq!(map.try_insert(key, value), Ok(model.insert(key, value)));
                    }
                    0 => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                    1 => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    2 => {
                        let other = model.entry(key).or_insert(value);
                        prop_assert_eq!(map.get_or_insert_with(key, || value), other);
                    }
                    3 => {
                        map.retain(|_, v| *v % 4 != value % 4);
                        model.retain(|_, v| *v % 4 != value % 4);
                    }
                    _ => map.values_mut().chain(model.values_mut()).for_each(|v| *v ^= value),
                }
                prop_assert!(map.iter().eq(model.iter()));
                prop_assert!(map.range_from(&key).eq(model.range(key..)));
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!(map.get_mut(&key), model.get_mut(&key));
                prop_assert_eq!((map.contains_key(&key), map.len()), (model.contains_key(&key), model.len()));
            }
            prop_assert!(map.into_iter().eq(model));
        }
    }
}
