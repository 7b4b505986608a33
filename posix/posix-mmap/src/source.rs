//! Of which files private mappings are copies: what is in them again after `MADV_DONTNEED`.

use alloc::sync::Arc;
use core::fmt;

use syscall_shim::Errno;
use ukmap::SortedMap;

use crate::file::File;

/// A file, and the byte from which on it is mapped.
pub type Content = (Arc<dyn File>, u64);

/// A file that is mapped as copy.
struct Source {
    file: Arc<dyn File>,
    /// Address of the byte `offset` of the file.
    start: usize,
    offset: u64,
    /// Regions that are of it.
    users: usize,
    /// Which one ended before, when this one has.
    ended_before: Option<u32>,
}

/// All of them, by numbers.
#[derive(Default)]
pub struct Sources {
    all: SortedMap<u32, Source>,
    next: u32,
    /// The last that nobody uses any more.
    ended: Option<u32>,
}

impl Sources {
    pub const fn new() -> Self {
        Self { all: SortedMap::new(), next: 0, ended: None }
    }

    /// Adds a file whose byte `offset` is at `start`; the caller has one use of it.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn add(&mut self, file: Arc<dyn File>, start: usize, offset: u64) -> Result<u32, Errno> {
        // Numbers come round; few are in use.
        while self.all.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let source = Source { file, start, offset, users: 1, ended_before: None };
        self.all.try_insert(self.next, source).map_err(|_| Errno::ENOMEM)?;
        Ok(self.next)
    }

    /// Somebody else uses it, too.
    pub fn hold(&mut self, source: Option<u32>) {
        if let Some(source) = source.and_then(|number| self.all.get_mut(&number)) {
            source.users += 1;
        }
    }

    /// Somebody uses it no more.
    pub fn release(&mut self, source: Option<u32>) {
        let Some(number) = source else { return };
        let Some(source) = self.all.get_mut(&number) else { return };
        source.users -= 1;
        if source.users == 0 {
            source.ended_before = self.ended.replace(number);
        }
    }

    /// Takes the file of one out that nobody uses.
    pub fn take_ended(&mut self) -> Option<Arc<dyn File>> {
        let source = self.all.remove(&self.ended?)?;
        self.ended = source.ended_before;
        Some(source.file)
    }

    /// What is at an address.
    pub fn content(&self, source: u32, address: usize) -> Option<Content> {
        let Source { file, start, offset, .. } = self.all.get(&source)?;
        Some((file.clone(), offset + (address - start) as u64))
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all.keys()).finish()
    }
}
