//! Names in a directory that have the same position, and the numbers that are told instead of it.

use alloc::boxed::Box;

use ukerrno::Errno;
use ukfile::fallible;
use uklock::Mutex;
use ukmap::SortedMap;

use crate::Ext4Error;
use crate::order::{END, Listing};

/// Bits that no position has, as they are those of no hash: the others are a number.
pub const NUMBER: u64 = 0x7fff_ffff << 32;

/// Names with the position that they share with others, and their numbers. Other names than those
/// are not here, so it takes no memory unless somebody has made such names.
#[derive(Default)]
pub struct Alike {
    names: SortedMap<(u64, Box<[u8]>), u32>,
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
        let found = alike.names.iter().find(|(_, number)| NUMBER | u64::from(**number) == from);
        // A number that nobody was told.
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
        let number = u32::try_from(self.names.len()).map_err(|_| Ext4Error::OutOfMemory)?;
        self.names.try_insert(key, number).map_err(|_| Ext4Error::OutOfMemory)?;
        Ok(number)
    }
}

impl Listing<'_> {
    /// The number of a name that has the same position as the next one.
    pub fn number(&self, position: u64, name: &[u8]) -> Result<u64, Ext4Error> {
        let key = (position, fallible::copy(name).map_err(|_| Ext4Error::OutOfMemory)?);
        let mut alike = self.alike.lock();
        let number = match alike.names.get(&key) {
            Some(number) => *number,
            None => alike.add(key)?,
        };
        Ok(NUMBER | u64::from(number))
    }
}
