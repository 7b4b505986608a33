//! Parts of files that programs see as memory, and change there without a call (shared mappings).
//!
//! The memory is filled from the file when it is made. From then on, as long as it is there, reading
//! the file gives what is in the memory, and what is written to the file comes to the memory too.
//! What programs change there comes to the file system when it is *written back*. So that a range of
//! the file that only somebody outside of the image has changed stays as it is, nothing is written
//! but bytes that differ from what memory and file last had in common.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use ukerrno::Errno;
use ukfile::{Description, Kind, SyncKind, fallible};
use uklock::Mutex;

use crate::mount::Location;
use crate::node::{Allocate, NodeRef, WriteAt, same};
use crate::open_node::OpenNode;

/// Bytes that are looked at together.
const PIECE: usize = 1024;

/// Memory that stands for a part of a file. Programs change it at any time.
pub trait Memory: Send + Sync {
    /// Its length in bytes.
    fn length(&self) -> usize;
    /// Copies from it; the range is inside.
    fn load(&self, at: usize, to: &mut [u8]);
    /// Copies to it; the range is inside.
    fn store(&self, at: usize, from: &[u8]);
}

struct Entry {
    number: u64,
    location: Location,
    /// Where in the file the memory begins.
    start: u64,
    memory: Box<dyn Memory>,
    /// What memory and file last had in common; none where the memory is never changed.
    common: Option<Box<[u8]>>,
}

struct Entries {
    list: Vec<Entry>,
    last: u64,
}

/// Held as long as a file that is in it is read or written, so that memory and file agree.
static ENTRIES: Mutex<Entries> = Mutex::new(Entries { list: Vec::new(), last: 0 });
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Whether there is any such memory. Where not, files cost one load more.
#[inline]
pub(crate) fn any() -> bool {
    COUNT.load(Ordering::Acquire) > 0
}

impl Entries {
    fn has(&self, node: &NodeRef) -> bool {
        self.list.iter().any(|entry| same(&entry.location.node, node))
    }

    fn of(&mut self, node: &NodeRef) -> impl Iterator<Item = &mut Entry> {
        self.list.iter_mut().filter(|entry| same(&entry.location.node, node))
    }

    fn numbered(&mut self, number: u64) -> Option<&mut Entry> {
        self.list.iter_mut().find(|entry| entry.number == number)
    }
}

impl Entry {
    /// The part of `[from, to)` in the file that is in the memory, as range of the memory.
    fn inside(&self, from: u64, to: u64) -> Range<usize> {
        let end = self.start.saturating_add(self.memory.length() as u64);
        let clip = |at: u64| (at.clamp(self.start, end) - self.start) as usize;
        clip(from)..clip(to)
    }

    /// Puts what is in the memory over what was read from the file system.
    fn cover(&self, offset: u64, buffers: &mut [&mut [u8]], read: usize) {
        let (mut at, end) = (offset, offset + read as u64);
        for buffer in buffers {
            let next = end.min(at.saturating_add(buffer.len() as u64));
            let range = self.inside(at, next);
            if !range.is_empty() {
                let from = (self.start + range.start as u64 - at) as usize;
                self.memory.load(range.start, &mut buffer[from..from + range.len()]);
            }
            at = next;
        }
    }

    /// Both have these bytes from now on.
    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let range = self.inside(offset, offset.saturating_add(bytes.len() as u64));
        if range.is_empty() {
            return;
        }
        let from = (self.start + range.start as u64 - offset) as usize;
        let bytes = &bytes[from..from + range.len()];
        self.memory.store(range.start, bytes);
        if let Some(common) = &mut self.common {
            common[range].copy_from_slice(bytes);
        }
    }

    fn put_zeros(&mut self, from: u64, to: u64) {
        const ZEROS: [u8; 256] = [0; 256];
        let range = self.inside(from, to);
        for at in range.clone().step_by(ZEROS.len()) {
            let len = ZEROS.len().min(range.end - at);
            self.put(self.start + at as u64, &ZEROS[..len]);
        }
    }

    /// Fills the memory from the file system; behind the end of the file are zeros.
    fn fill(&mut self) -> Result<(), Errno> {
        let mut piece = fallible::zeroed(PIECE.max(self.memory.length().min(1 << 16)))?;
        let mut at = 0;
        while at < self.memory.length() {
            let wanted = piece.len().min(self.memory.length() - at);
            let offset = self.start + at as u64;
            let read = self.location.node.read(offset, &mut [&mut piece[..wanted]], true)?;
            if read == 0 {
                break;
            }
            self.put(offset, &piece[..read]);
            at += read;
        }
        self.put_zeros(self.start + at as u64, u64::MAX);
        Ok(())
    }

    /// Writes to the file system what of a range of the memory was changed. What is behind the end
    /// of the file is not of the file.
    fn write_back(&mut self, range: Range<usize>) -> Result<(), Errno> {
        let Some(common) = &mut self.common else { return Ok(()) };
        let size = self.location.node.metadata()?.size.saturating_sub(self.start);
        let end = range.end.min(common.len()).min(usize::try_from(size).unwrap_or(usize::MAX));
        let mut piece = [0; PIECE];
        let mut changed = 0..0;
        for at in (range.start.min(end)..end).step_by(PIECE) {
            let now = &mut piece[..PIECE.min(end - at)];
            self.memory.load(at, now);
            let before = &common[at..at + now.len()];
            let differs = |(now, before): (&u8, &u8)| now != before;
            let Some(first) = now.iter().zip(before).position(differs) else { continue };
            let last = now.iter().zip(before).rposition(differs).unwrap_or(first);
            if changed.end != at + first {
                write(&self.location.node, self.start, common, changed)?;
                changed = at + first..at + first;
            }
            common[at + first..=at + last].copy_from_slice(&now[first..=last]);
            changed.end = at + last + 1;
        }
        write(&self.location.node, self.start, common, changed)
    }
}

/// Writes a range of what begins at `start` of the file.
fn write(
    node: &NodeRef,
    start: u64,
    common: &mut [u8],
    mut range: Range<usize>,
) -> Result<(), Errno> {
    while !range.is_empty() {
        let to = start + range.start as u64;
        match node.write_changed_as_memory(to, &common[range.clone()]) {
            Ok(written @ 1..) => range.start += written,
            failed => {
                // What the file did not get counts as changed.
                common[range].iter_mut().for_each(|byte| *byte = !*byte);
                return Err(failed.err().unwrap_or(Errno::EIO));
            }
        }
    }
    Ok(())
}

/// Memory that stands for a part of a file, as long as this is there. Who lets it go has it written
/// back before.
#[derive(Debug)]
pub struct Mapping {
    number: u64,
}

impl Mapping {
    /// Fills `memory` from the byte `start` of a file on. Changes of it are only noticed after
    /// [`Mapping::allow_changes`].
    ///
    /// # Errors
    /// `ENODEV` when it is no regular file; `EIO`, `ENOMEM`
    pub fn new(file: &Description, start: u64, memory: Box<dyn Memory>) -> Result<Self, Errno> {
        let location = file.downcast::<OpenNode>().ok_or(Errno::ENODEV)?.location().clone();
        if location.node.kind() != Kind::Regular {
            return Err(Errno::ENODEV);
        }
        let mut entries = ENTRIES.lock();
        let number = entries.last + 1;
        let mut entry = Entry { number, location, start, memory, common: None };
        entry.fill()?;
        fallible::push(&mut entries.list, entry)?;
        entries.last = number;
        COUNT.store(entries.list.len(), Ordering::Release);
        Ok(Self { number })
    }

    fn with<R>(&self, action: impl FnOnce(&mut Entry) -> Result<R, Errno>) -> Result<R, Errno> {
        ENTRIES.lock().numbered(self.number).map_or(Err(Errno::EIO), action)
    }

    /// From now on the memory may be changed.
    ///
    /// # Errors
    /// `EPERM` when the file is never changed so; `ENOMEM`
    pub fn allow_changes(&self) -> Result<(), Errno> {
        self.with(|entry| {
            if entry.common.is_none() {
                entry.location.node.allow_changes_as_memory()?;
                let mut common = fallible::zeroed(entry.memory.length())?;
                entry.memory.load(0, &mut common);
                entry.common = Some(common);
            }
            Ok(())
        })
    }

    /// Writes to the file system what of a range of the memory was changed.
    ///
    /// # Errors
    /// As `write(2)`; what was not written is tried again the next time.
    pub fn write_back(&self, range: Range<usize>) -> Result<(), Errno> {
        self.with(|entry| entry.write_back(range))
    }

    /// [`Mapping::write_back`], and waits until the file cannot be lost.
    ///
    /// # Errors
    /// As `fsync(2)`.
    pub fn sync(&self, range: Range<usize>) -> Result<(), Errno> {
        let node = self.with(|entry| {
            entry.write_back(range)?;
            Ok(entry.location.node.clone())
        })?;
        node.sync(SyncKind::Data)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let mut entries = ENTRIES.lock();
        let at = entries.list.iter().position(|entry| entry.number == self.number);
        let gone = at.map(|at| entries.list.swap_remove(at));
        COUNT.store(entries.list.len(), Ordering::Release);
        drop(entries);
        // May be the last reference to the file.
        drop(gone);
    }
}

/// Does something with a file that no program may change as memory meanwhile.
///
/// # Errors
/// `EBUSY` when one may already; those of `action`
pub fn unless_changed_as_memory<R>(
    node: &NodeRef,
    action: impl FnOnce() -> Result<R, Errno>,
) -> Result<R, Errno> {
    let mut entries = ENTRIES.lock();
    if entries.of(node).any(|entry| entry.common.is_some()) {
        return Err(Errno::EBUSY);
    }
    action()
}

/// Writes back all such memory of the image; returns the first error.
///
/// # Errors
/// As `write(2)`.
pub fn write_back_all() -> Result<(), Errno> {
    if !any() {
        return Ok(());
    }
    let mut result = Ok(());
    for entry in &mut ENTRIES.lock().list {
        result = result.and(entry.write_back(0..usize::MAX));
    }
    result
}

/// Reads a node; see [`crate::Node::read`].
pub(crate) fn read(
    node: &NodeRef,
    offset: u64,
    buffers: &mut [&mut [u8]],
    touch: bool,
) -> Result<usize, Errno> {
    let mut entries = ENTRIES.lock();
    if !entries.has(node) {
        drop(entries);
        return node.read(offset, buffers, touch);
    }
    let read = node.read(offset, buffers, touch)?;
    entries.of(node).for_each(|entry| entry.cover(offset, buffers, read));
    Ok(read)
}

/// Writes to a node; see [`crate::Node::write`].
pub(crate) fn write_to(
    node: &NodeRef,
    at: WriteAt,
    buffers: &[&[u8]],
) -> Result<(u64, usize), Errno> {
    let mut entries = ENTRIES.lock();
    if !entries.has(node) {
        drop(entries);
        return node.write(at, buffers);
    }
    let end = node.metadata()?.size;
    let (start, written) = node.write(at, buffers)?;
    for entry in entries.of(node) {
        // What lay between is a hole now.
        if written > 0 && end < start {
            entry.put_zeros(end, start);
        }
        let (mut at, mut left) = (start, written);
        for buffer in buffers {
            let bytes = &buffer[..left.min(buffer.len())];
            entry.put(at, bytes);
            at += bytes.len() as u64;
            left -= bytes.len();
        }
    }
    Ok((start, written))
}

/// Writes back what there is of a node, to be called before others look at the node itself.
pub(crate) fn write_back(node: &NodeRef) -> Result<(), Errno> {
    if !any() {
        return Ok(());
    }
    let mut entries = ENTRIES.lock();
    entries.of(node).try_for_each(|entry| entry.write_back(0..usize::MAX))
}

/// Makes a file `size` bytes long; see [`crate::Node::resize`].
pub(crate) fn resize(node: &NodeRef, size: u64) -> Result<(), Errno> {
    if !any() {
        return node.resize(size);
    }
    let mut entries = ENTRIES.lock();
    if !entries.has(node) {
        drop(entries);
        return node.resize(size);
    }
    let before = node.metadata()?.size;
    node.resize(size)?;
    entries.of(node).for_each(|entry| entry.put_zeros(size.min(before), u64::MAX));
    Ok(())
}

/// `fallocate`; see [`crate::Node::allocate`].
pub(crate) fn allocate(
    node: &NodeRef,
    how: Allocate,
    offset: u64,
    length: u64,
) -> Result<(), Errno> {
    if !any() {
        return node.allocate(how, offset, length);
    }
    let mut entries = ENTRIES.lock();
    entries.of(node).try_for_each(|entry| entry.write_back(0..usize::MAX))?;
    node.allocate(how, offset, length)?;
    entries.of(node).try_for_each(Entry::fill)
}
