//! Names in a directory that have the same position, and the numbers that are told instead of it.

use alloc::boxed::Box;
use core::cell::Cell;

use ukerrno::Errno;
use ukfile::fallible;
use uklock::Mutex;
use ukmap::SortedMap;

use crate::Ext4Error;
use crate::directory::DirectoryEntry;
use crate::index::Search;
use crate::order::{END, Listing};

/// Bits that no position has, as they are those of no hash: the others are a number.
pub const NUMBER: u64 = 0x7fff_ffff << 32;
/// The numbers told last stay known when their names go: who lists may be at any of them.
const LAST: usize = 256;

/// Names with the position that they share with others, and their numbers. Other names than those
/// are not here, so it takes no memory unless somebody has made such names. No number is told twice:
/// who has one that was forgotten is not taken elsewhere.
#[derive(Default)]
pub struct Alike {
    names: SortedMap<(u64, Box<[u8]>), Number>,
    /// Numbers that were told.
    told: u32,
    /// Names that there may be before those that are gone are forgotten.
    most: usize,
}

struct Number {
    number: u32,
    /// Whether the directory has the name; of use while it is looked for.
    is_there: Cell<bool>,
}

/// A place in the order: what has this position, and a larger name.
pub struct Start {
    pub position: u64,
    pub name: Box<[u8]>,
}

impl Start {
    pub fn new(from: u64, alike: &Mutex<Alike>) -> Result<Self, Ext4Error> {
        if from & NUMBER != NUMBER || from == END {
            return Ok(Self { position: from, name: Box::default() });
        }
        let alike = alike.lock();
        let found = alike.names.iter().find(|(_, name)| NUMBER | u64::from(name.number) == from);
        // A number that nobody was told, or that is forgotten.
        let ((position, name), _) = found.ok_or(Ext4Error::Call(Errno::EINVAL))?;
        let name = fallible::copy(name).map_err(|_| Ext4Error::OutOfMemory)?;
        Ok(Self { position: *position, name })
    }

    /// As keys are compared.
    pub fn key(&self) -> (u64, &[u8]) {
        (self.position, &self.name)
    }
}

impl Alike {
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Tells a number for a name.
    pub fn add(&mut self, key: (u64, Box<[u8]>)) -> Result<u32, Ext4Error> {
        let number = self.told;
        if NUMBER | u64::from(number) == END {
            return Err(Ext4Error::OutOfMemory);
        }
        let value = Number { number, is_there: Cell::new(true) };
        self.names.try_insert(key, value).map_err(|_| Ext4Error::OutOfMemory)?;
        self.told += 1;
        Ok(number)
    }

    /// Notes that the directory has a name.
    fn note(&self, position: u64, name: &[u8]) -> Result<(), Ext4Error> {
        let next = self.names.range_from(&(position, Box::default())).next();
        if next.is_some_and(|((next, _), _)| *next == position) {
            let name = fallible::copy(name).map_err(|_| Ext4Error::OutOfMemory)?;
            if let Some(number) = self.names.get(&(position, name)) {
                number.is_there.set(true);
            }
        }
        Ok(())
    }
}

impl Listing<'_> {
    /// The number of a name that has the same position as the next one.
    pub fn number(&self, position: u64, name: &[u8]) -> Result<u64, Ext4Error> {
        let key = (position, fallible::copy(name).map_err(|_| Ext4Error::OutOfMemory)?);
        let mut alike = self.alike.lock();
        let number = match alike.names.get(&key) {
            Some(name) => name.number,
            None => {
                if alike.names.len() >= alike.most.max(2 * LAST) {
                    self.forget(&mut alike)?;
                }
                alike.add(key)?
            }
        };
        Ok(NUMBER | u64::from(number))
    }

    /// Forgets the numbers of names that are gone, but for those told last and that where this
    /// listing goes on, so that there are never many more than names.
    fn forget(&self, alike: &mut Alike) -> Result<(), Ext4Error> {
        alike.names.values().for_each(|number| number.is_there.set(false));
        self.look_for(alike)?;
        let first = alike.told.saturating_sub(LAST as u32);
        alike.names.retain(|(position, name), number| {
            number.is_there.get()
                || number.number >= first
                || (*position, &**name) == self.start.key()
        });
        alike.most = alike.names.len() * 2;
        Ok(())
    }

    /// Notes which of the names the directory has.
    fn look_for(&self, alike: &Alike) -> Result<(), Ext4Error> {
        let mut note = |entry: &DirectoryEntry<'_>| {
            alike.note(self.position(entry.name)?, entry.name)?;
            Ok(true)
        };
        let mut last = None;
        for (position, name) in alike.names.keys() {
            // One search goes through all blocks with a hash.
            if last.replace(position >> 32) == Some(position >> 32) {
                continue;
            }
            let found = self.volume.search_tree(self.directory, name, &mut |_, bytes| {
                self.volume.in_block(&bytes, 0, 0, &mut note).map(|_| None::<()>)
            })?;
            if found == Search::NoTree {
                return self.volume.entries(self.directory, 0, &mut note);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::disks::{self, alike};
    use crate::order::tests::Many;

    const UNKNOWN: Ext4Error = Ext4Error::Call(Errno::EINVAL);

    /// Some names with one position; groups have different ones.
    fn group(n: u64) -> Vec<String> {
        alike::names_from(1 << n).split_off(128)
    }

    fn change(many: &mut Many, names: &[String], how: fn(&mut Many, &str)) {
        names.iter().for_each(|name| how(many, name));
    }

    #[test]
    fn numbers_of_names_that_are_gone_are_forgotten() {
        if !disks::tools() {
            return;
        }
        let mut many = Many::new();
        let staying = group(0);
        change(&mut many, &staying, Many::add);
        let stays = many.list(0, usize::MAX);
        let mut cookies = Vec::new();
        for n in 1..14 {
            let names = group(n);
            change(&mut many, &names, Many::add);
            let all = many.list(0, usize::MAX);
            assert_eq!(all.len(), staying.len() + names.len());
            let of_these = all.iter().filter(|(name, _)| names.contains(name));
            cookies.extend(of_these.map(|(_, next)| *next).filter(|next| next & NUMBER == NUMBER));
            change(&mut many, &names, Many::remove);
            assert!(many.alike.lock().len() <= 2 * (128 + LAST), "{n}");
        }
        assert_eq!(cookies.len(), 13 * 127);
        // Positions of what is there are what they were.
        for (n, (_, next)) in stays.iter().enumerate() {
            let left = many.list(*next, usize::MAX);
            assert!(left == stays[n + 1..], "{n}");
        }
        // Others are right, or none; the last ones are known.
        let listed: Vec<_> = cookies.iter().map(|next| many.try_list(*next, usize::MAX)).collect();
        let is_known = |n: usize| listed[n].is_ok();
        assert!((0..cookies.len()).all(|n| is_known(n) || listed[n] == Err(UNKNOWN)));
        assert!(!is_known(0) && (cookies.len() - LAST..cookies.len()).all(is_known));
        let first = &stays[0].0;
        for rest in listed.iter().flatten() {
            // All that stays has one position, and comes behind a number of another one, or before.
            assert!(rest.is_empty() || rest.len() == stays.len() && rest[0].0 == *first);
        }
    }

    #[test]
    fn where_a_listing_goes_on_is_not_forgotten() {
        if !disks::tools() {
            return;
        }
        let mut many = Many::new();
        let names = group(0);
        change(&mut many, &names, Many::add);
        // The second one is not taken, but has a number too.
        let [(first, from)] = &many.list(0, 1)[..] else { panic!() };
        let second = many.list(*from, 1).remove(0).0;
        [first, &second].into_iter().for_each(|name| many.remove(name));
        let mut told = many.alike.lock();
        for n in told.len()..2 * LAST {
            told.add((0, format!("{n}").into_bytes().into())).unwrap();
        }
        drop(told);
        // The fourth one, which is not taken, gets a number.
        assert_eq!(many.list(*from, 1).len(), 1);
        assert!(many.alike.lock().len() < LAST + 10);
        assert_eq!(many.list(*from, usize::MAX).len(), names.len() - 2);
        assert_eq!(many.try_list(NUMBER | 1, 1), Err(UNKNOWN));
    }
}
