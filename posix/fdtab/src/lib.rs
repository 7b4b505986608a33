//! The table of file descriptors.
//!
//! ```
//! use fdtab::FdTable;
//! use ukerrno::Errno;
//! use ukfile::{Description, File, OpenFlags};
//!
//! struct Nothing;
//! impl File for Nothing {}
//!
//! let table = FdTable::new();
//! let file = Description::new(Nothing, OpenFlags::READ_WRITE)?;
//! assert_eq!(table.insert(file, false)?, 0, "the lowest number that is free");
//! assert_eq!(table.duplicate(0, 5, false)?, 5);
//! table.close(0)?;
//! assert_eq!(table.get(0).err(), Some(Errno::EBADF));
//! assert!(table.get(5).is_ok());
//! // A number that is had before the file is opened: opening may change something.
//! let number = table.reserve(false)?;
//! let file = Description::new(Nothing, OpenFlags::READ_WRITE)?;
//! assert_eq!(number.fill(file), 0);
//! # Ok::<(), Errno>(())
//! ```
//!
//! There is one process, and so one table that system calls use: [`TABLE`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ukerrno::Errno;
use ukfile::Description;
use uklock::RwLock;

/// Descriptors that a table has room for unless [`FdTable::set_limit`] says otherwise: the soft
/// limit that Linux gives.
pub const DEFAULT_LIMIT: usize = 1024;
/// The largest number of descriptors that can be allowed, `/proc/sys/fs/nr_open`.
pub const MAX_LIMIT: usize = 1 << 20;

/// The descriptors of the process.
pub static TABLE: FdTable = FdTable::new();

struct Entry {
    file: Arc<Description>,
    close_on_exec: bool,
}

enum Slot {
    Free,
    /// Somebody opens a file for it: taken, and not a descriptor yet.
    Reserved,
    Used(Entry),
}

impl Slot {
    fn used(&self) -> Option<&Entry> {
        match self {
            Self::Used(entry) => Some(entry),
            _ => None,
        }
    }

    fn is_free(&self) -> bool {
        matches!(self, Self::Free)
    }
}

struct Slots {
    entries: Vec<Slot>,
    /// Below, all are in use.
    lowest: usize,
    limit: usize,
}

/// Open file descriptions by number.
pub struct FdTable {
    slots: RwLock<Slots>,
}

fn index(fd: i32) -> Result<usize, Errno> {
    usize::try_from(fd).map_err(|_| Errno::EBADF)
}

impl Slots {
    fn entry(&self, fd: i32) -> Result<&Entry, Errno> {
        self.entries.get(index(fd)?).and_then(Slot::used).ok_or(Errno::EBADF)
    }

    /// Makes the table reach up to `at`.
    fn reach(&mut self, at: usize) -> Result<(), Errno> {
        if at >= self.entries.len() {
            let more = at + 1 - self.entries.len();
            self.entries.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
            self.entries.resize_with(at + 1, || Slot::Free);
        }
        Ok(())
    }

    /// The place of the lowest number that is free from `least` on, where the caller puts something.
    fn place(&mut self, least: usize) -> Result<usize, Errno> {
        let start = least.max(self.lowest);
        let free = self.entries.iter().skip(start).position(Slot::is_free);
        let at = free.map_or(self.entries.len().max(start), |offset| start + offset);
        if at >= self.limit {
            return Err(Errno::EMFILE);
        }
        self.reach(at)?;
        if start == self.lowest {
            self.lowest = at + 1;
        }
        Ok(at)
    }

    fn put(&mut self, at: usize, file: Arc<Description>, close_on_exec: bool) -> i32 {
        self.entries[at] = Slot::Used(Entry { file, close_on_exec });
        at as i32
    }

    fn free(&mut self, at: usize) -> Slot {
        self.lowest = self.lowest.min(at);
        core::mem::replace(&mut self.entries[at], Slot::Free)
    }

    fn remove(&mut self, at: usize) -> Option<Entry> {
        self.entries.get(at)?.used()?;
        match self.free(at) {
            Slot::Used(entry) => Some(entry),
            _ => None,
        }
    }
}

impl FdTable {
    /// An empty table.
    pub const fn new() -> Self {
        let slots = Slots { entries: Vec::new(), lowest: 0, limit: DEFAULT_LIMIT };
        Self { slots: RwLock::new(slots) }
    }

    /// The file of a descriptor.
    ///
    /// # Errors
    /// `EBADF`
    #[inline]
    pub fn get(&self, fd: i32) -> Result<Arc<Description>, Errno> {
        Ok(self.slots.read().entry(fd)?.file.clone())
    }

    /// Gives a file the lowest number that is free.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`
    #[inline]
    pub fn insert(&self, file: Arc<Description>, close_on_exec: bool) -> Result<i32, Errno> {
        // Without a place the file goes when the table is free again: its end may do anything.
        let mut slots = self.slots.write();
        let at = slots.place(0)?;
        Ok(slots.put(at, file, close_on_exec))
    }

    /// Takes the lowest number that is free for a file that is still to be opened, so that what
    /// opening does is not done in vain. Until the file is there the number is no descriptor.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`
    pub fn reserve(&self, close_on_exec: bool) -> Result<Reserved<'_>, Errno> {
        let mut slots = self.slots.write();
        let at = slots.place(0)?;
        slots.entries[at] = Slot::Reserved;
        drop(slots);
        let number = at as i32;
        Ok(Reserved { table: self, number, close_on_exec })
    }

    /// Gives two files numbers, or none.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`
    pub fn insert_pair(
        &self,
        files: (Arc<Description>, Arc<Description>),
        close_on_exec: bool,
    ) -> Result<[i32; 2], Errno> {
        let mut slots = self.slots.write();
        let first = slots.place(0)?;
        let first = slots.put(first, files.0, close_on_exec);
        match slots.place(0) {
            Ok(second) => Ok([first, slots.put(second, files.1, close_on_exec)]),
            Err(error) => {
                let removed = slots.remove(first as usize);
                drop(slots);
                drop(removed);
                Err(error)
            }
        }
    }

    /// Gives the file of `fd` another number, the lowest from `least` on (`F_DUPFD`).
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` when `least` is no possible number; `EMFILE`, `ENOMEM`
    pub fn duplicate(&self, fd: i32, least: i32, close_on_exec: bool) -> Result<i32, Errno> {
        let mut slots = self.slots.write();
        let file = slots.entry(fd)?.file.clone();
        match usize::try_from(least) {
            Ok(least) if least < slots.limit => {
                let at = slots.place(least)?;
                Ok(slots.put(at, file, close_on_exec))
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// Gives the file of `fd` the number `to`; returns the file that had it.
    ///
    /// # Errors
    /// `EBADF`, `ENOMEM`; `EBUSY` when a file is just being opened for that number
    pub fn duplicate_to(
        &self,
        fd: i32,
        to: i32,
        close_on_exec: bool,
    ) -> Result<Option<Arc<Description>>, Errno> {
        let mut slots = self.slots.write();
        let file = slots.entry(fd)?.file.clone();
        let at = index(to)?;
        if at >= slots.limit {
            return Err(Errno::EBADF);
        }
        slots.reach(at)?;
        if matches!(slots.entries[at], Slot::Reserved) {
            return Err(Errno::EBUSY);
        }
        let new = Slot::Used(Entry { file, close_on_exec });
        match core::mem::replace(&mut slots.entries[at], new) {
            Slot::Used(old) => Ok(Some(old.file)),
            _ => Ok(None),
        }
    }

    /// Frees a number; returns the file, which is closed when it is dropped and no other number
    /// has it.
    ///
    /// # Errors
    /// `EBADF`
    pub fn close(&self, fd: i32) -> Result<Arc<Description>, Errno> {
        let at = index(fd)?;
        let removed = self.slots.write().remove(at);
        removed.map(|entry| entry.file).ok_or(Errno::EBADF)
    }

    /// The lowest number in use from `from` on.
    pub fn next(&self, from: i32) -> Option<i32> {
        let slots = self.slots.read();
        let from = usize::try_from(from).unwrap_or(0);
        let offset = slots.entries.iter().skip(from).position(|slot| slot.used().is_some())?;
        i32::try_from(from + offset).ok()
    }

    /// Whether `execve` closes it (`FD_CLOEXEC`).
    ///
    /// # Errors
    /// `EBADF`
    pub fn close_on_exec(&self, fd: i32) -> Result<bool, Errno> {
        Ok(self.slots.read().entry(fd)?.close_on_exec)
    }

    /// Sets whether `execve` closes it.
    ///
    /// # Errors
    /// `EBADF`
    pub fn set_close_on_exec(&self, fd: i32, close: bool) -> Result<(), Errno> {
        let mut slots = self.slots.write();
        match slots.entries.get_mut(index(fd)?) {
            Some(Slot::Used(entry)) => {
                entry.close_on_exec = close;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// How many numbers there are (`RLIMIT_NOFILE`).
    pub fn limit(&self) -> usize {
        self.slots.read().limit
    }

    /// Sets how many numbers there are, at most [`MAX_LIMIT`]; those in use stay.
    pub fn set_limit(&self, limit: usize) {
        self.slots.write().limit = limit.min(MAX_LIMIT);
    }
}

/// A number for a file that is being opened ([`FdTable::reserve`]); dropped, it is free again.
#[derive(Debug)]
pub struct Reserved<'a> {
    table: &'a FdTable,
    number: i32,
    close_on_exec: bool,
}

impl Reserved<'_> {
    /// Makes it the number of `file`; returns it.
    pub fn fill(self, file: Arc<Description>) -> i32 {
        let entry = Entry { file, close_on_exec: self.close_on_exec };
        self.table.slots.write().entries[self.number as usize] = Slot::Used(entry);
        let number = self.number;
        core::mem::forget(self);
        number
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.table.slots.write().free(self.number as usize);
    }
}

impl Default for FdTable {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FdTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.slots.read();
        let used =
            slots.entries.iter().enumerate().filter(|(_, s)| s.used().is_some()).map(|(n, _)| n);
        f.debug_list().entries(used).finish()
    }
}
