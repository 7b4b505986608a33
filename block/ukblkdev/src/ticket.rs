//! Requests that were started, and how they are found again when they are done.

use alloc::vec::Vec;

use ukdma::Buffer;

use crate::{BlockError, Disk, Done};

/// A request that was started; see [`Disk::start`]. Dropped, its result is dropped too.
#[derive(Debug)]
#[must_use = "a request has a result"]
pub struct Ticket<'a> {
    pub(crate) disk: &'a Disk,
    pub(crate) queue: usize,
    pub(crate) tag: usize,
}

impl Ticket<'_> {
    /// Waits until the request is done; gives its buffer back.
    pub fn finish(self) -> (Buffer, Result<(), BlockError>) {
        let result = self.disk.wait(self.queue, self.tag);
        core::mem::forget(self);
        result
    }

    /// Whether [`finish`](Self::finish) would not wait.
    pub fn is_finished(&self) -> bool {
        self.disk.is_done(self.queue, self.tag)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.disk.abandon(self.queue, self.tag);
    }
}

/// Where a request is.
#[derive(Debug)]
enum Entry {
    Free,
    Started,
    /// Nobody wants the result.
    Abandoned,
    Done(Buffer, Result<(), BlockError>),
}

/// The requests of one queue, by tag.
#[derive(Debug)]
pub(crate) struct Tickets {
    entries: Vec<Entry>,
    free: Vec<usize>,
}

impl Tickets {
    pub fn new(depth: usize) -> Self {
        Self {
            entries: (0..depth).map(|_| Entry::Free).collect(),
            free: (0..depth).rev().collect(),
        }
    }

    /// A free tag.
    pub fn take(&mut self) -> Option<usize> {
        let tag = self.free.pop()?;
        self.entries[tag] = Entry::Started;
        Some(tag)
    }

    /// Gives a tag back.
    pub fn give(&mut self, tag: usize) {
        self.entries[tag] = Entry::Free;
        self.free.push(tag);
    }

    /// Notes a completion. A tag that was not started is none of ours.
    pub fn done(&mut self, done: Done) {
        match self.entries.get_mut(done.tag) {
            Some(entry @ Entry::Started) => *entry = Entry::Done(done.buffer, done.result),
            Some(Entry::Abandoned) => self.give(done.tag),
            _ => {}
        }
    }

    pub fn abandon(&mut self, tag: usize) {
        match self.entries[tag] {
            Entry::Started => self.entries[tag] = Entry::Abandoned,
            _ => self.give(tag),
        }
    }

    pub fn is_done(&self, tag: usize) -> bool {
        matches!(self.entries[tag], Entry::Done(..))
    }

    /// The result, once there; the tag is free then.
    pub fn finish(&mut self, tag: usize) -> Option<(Buffer, Result<(), BlockError>)> {
        if !self.is_done(tag) {
            return None;
        }
        let entry = core::mem::replace(&mut self.entries[tag], Entry::Free);
        self.free.push(tag);
        match entry {
            Entry::Done(buffer, result) => Some((buffer, result)),
            _ => None,
        }
    }
}
