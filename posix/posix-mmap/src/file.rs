//! Files behind mappings.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use syscall_shim::Errno;
use uklock::Mutex;
use ukplat::StaticRef;

use crate::calls::{SPACE, take, unmap_pages};
use crate::{PAGE, memory};

/// An open file, as mappings need it.
pub trait File: Send + Sync {
    /// What tells the file from others, as long as it is open or shared.
    fn identity(&self) -> usize;

    /// Whether it may be changed as memory.
    ///
    /// # Errors
    /// `EACCES` when it is not open for writing, `EPERM` when it is sealed against that
    fn may_write(&self) -> Result<(), Errno>;

    /// Fills the buffer from the offset in bytes; returns how much there was.
    ///
    /// # Errors
    /// As `pread(2)`.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Fills memory from the offset in bytes on, and makes it the place where the file is read and
    /// written, until what this returns is dropped.
    ///
    /// # Errors
    /// `ENODEV` when the file cannot be shared so; `EIO`, `ENOMEM`
    fn share(&self, offset: u64, memory: Memory) -> Result<Box<dyn Shared>, Errno>;
}

/// A file that is memory in part.
pub trait Shared: Send + Sync {
    /// The memory may be changed from now on.
    ///
    /// # Errors
    /// `ENOMEM`
    fn allow_changes(&self) -> Result<(), Errno>;

    /// Writes back what of a range of the memory was changed, and waits until it cannot be lost if
    /// that is wanted.
    ///
    /// # Errors
    /// As `fsync(2)`.
    fn write_back(&self, range: Range<usize>, wait: bool) -> Result<(), Errno>;
}

/// What opens files for mappings: the file of a descriptor; none when it is one that reads as
/// zeros, whose mappings are anonymous. `EACCES` when it is not open for reading.
pub type OpenFile = fn(fd: i32) -> Result<Option<Arc<dyn File>>, Errno>;

static OPEN: StaticRef<OpenFile> = StaticRef::new();

/// Sets what opens files for mappings; without it there are none of files.
pub fn on_file_mapping(open: &'static OpenFile) {
    OPEN.set(open);
}

pub fn open(fd: i32) -> Result<Option<Arc<dyn File>>, Errno> {
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    OPEN.get().ok_or(Errno::ENODEV)?(fd)
}

/// Mapped memory that a file is read and written in. The system reaches it whatever its protection
/// is.
#[derive(Debug)]
pub struct Memory {
    start: usize,
    len: usize,
}

impl Memory {
    /// Its length in bytes.
    pub fn length(&self) -> usize {
        self.len
    }

    /// Copies from it.
    ///
    /// # Panics
    /// Where it ends before.
    pub fn load(&self, at: usize, to: &mut [u8]) {
        assert!(at <= self.len && to.len() <= self.len - at, "behind the end of the memory");
        // SAFETY: the range was checked. The memory stays until the file has let it go: the segment
        // ends before its block is given back.
        with_access(self.start + at, to.len(), || unsafe {
            memory::load(self.start + at, to);
        });
    }

    /// Copies to it.
    ///
    /// # Panics
    /// Where it ends before.
    pub fn store(&self, at: usize, from: &[u8]) {
        assert!(at <= self.len && from.len() <= self.len - at, "behind the end of the memory");
        // SAFETY: as above. The program knows that others write to the file.
        with_access(self.start + at, from.len(), || unsafe {
            memory::store(self.start + at, from);
        });
    }
}

/// Does something with mapped memory that the program may have made inaccessible.
fn with_access(start: usize, len: usize, action: impl FnOnce()) {
    let space = SPACE.lock();
    let (first, end) = (start - start % PAGE, (start + len).next_multiple_of(PAGE));
    for (range, protection) in space.protections(first, end) {
        memory::open(range, protection);
    }
    action();
    for (range, protection) in space.protections(first, end) {
        // What was so before can be so again.
        let _ = memory::protect(range, memory::READ_WRITE, protection);
    }
}

/// A part of a file that is mapped.
pub struct Segment {
    start: usize,
    len: usize,
    /// Where in the file it begins.
    offset: u64,
    file: Arc<dyn File>,
    shared: Box<dyn Shared>,
    /// Whether the file may be changed for one of the mappings.
    writes: AtomicBool,
}

impl Segment {
    /// Its addresses.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// Whether its file may be changed.
    pub fn writes(&self) -> bool {
        self.writes.load(Relaxed)
    }

    /// Its file was opened for writing, too.
    fn allow_changes(&self) -> Result<(), Errno> {
        self.shared.allow_changes()?;
        self.writes.store(true, Relaxed);
        Ok(())
    }

    /// Writes back what is in a range of addresses.
    pub fn write_back(&self, start: usize, end: usize, wait: bool) -> Result<(), Errno> {
        let inside = |at: usize| at.clamp(self.start, self.start + self.len) - self.start;
        self.shared.write_back(inside(start)..inside(end), wait)
    }

    fn is_of(&self, file: &dyn File) -> bool {
        self.file.identity() == file.identity()
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x?} at {}", self.range(), self.offset)
    }
}

/// The segments that have something of a range.
///
/// # Errors
/// `ENOMEM`; never when there is none.
pub fn segments(start: usize, end: usize) -> Result<Vec<Arc<Segment>>, Errno> {
    let space = SPACE.lock();
    let inside = space.segments_of(start, end);
    let mut found = Vec::new();
    found.try_reserve_exact(inside.len()).map_err(|_| Errno::ENOMEM)?;
    found.extend(inside.iter().cloned());
    Ok(found)
}

/// Held while files become memory, and while they cease to be.
pub static SHARING: Mutex<()> = Mutex::new(());

/// Maps a part of a file so that all its users see changes. What is mapped already stays where it is,
/// so that both mappings are the same memory.
pub fn map_shared(
    file: Arc<dyn File>,
    place: Option<usize>,
    len: usize,
    protection: u32,
    offset: u64,
) -> Result<usize, Errno> {
    let len = len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
    let file_end = offset.checked_add(len as u64).ok_or(Errno::EOVERFLOW)?;
    let _sharing = SHARING.lock();
    let overlaps = |s: &&Arc<Segment>| {
        s.is_of(&*file) && s.offset < file_end && offset < s.offset + s.len as u64
    };
    let known = SPACE.lock().segments().iter().find(overlaps).cloned();
    match (known, place) {
        (None, _) => map_new(file, place, len, protection, offset),
        (Some(segment), None) => {
            let inside =
                segment.offset <= offset && file_end <= segment.offset + segment.len as u64;
            if !inside {
                return Err(Errno::ENOMEM);
            }
            if file.may_write().is_ok() && !segment.writes() {
                segment.allow_changes()?;
            }
            let start = segment.start + (offset - segment.offset) as usize;
            again(start, start + len, protection)?;
            Ok(start)
        }
        // Memory cannot be in two places.
        (Some(_), Some(_)) => Err(Errno::ENOMEM),
    }
}

/// Maps what is mapped of a file a second time, with the rights of both.
fn again(start: usize, end: usize, protection: u32) -> Result<(), Errno> {
    let mut space = SPACE.lock();
    let mut before = Vec::new();
    before.try_reserve(space.protections(start, end).count()).map_err(|_| Errno::ENOMEM)?;
    before.extend(space.protections(start, end));
    space.insert_again(start, end, protection)?;
    for (range, now) in space.protections(start, end) {
        let old = before.iter().find(|(other, _)| other.contains(&range.start));
        memory::protect(range, old.map_or(memory::READ_WRITE, |(_, old)| *old), now)?;
    }
    Ok(())
}

fn map_new(
    file: Arc<dyn File>,
    place: Option<usize>,
    len: usize,
    protection: u32,
    offset: u64,
) -> Result<usize, Errno> {
    let start = match place {
        // Mapped already, as anonymous memory that can be written.
        Some(start) => start,
        None => take(len / PAGE)?,
    };
    let share = || {
        let shared = file.share(offset, Memory { start, len })?;
        if file.may_write().is_ok() {
            shared.allow_changes()?;
        }
        let mut space = SPACE.lock();
        space.protect(start, start + len, protection, |range, old| {
            memory::protect(range, old, protection)
        })?;
        let writes = AtomicBool::new(file.may_write().is_ok());
        let segment = Segment { start, len, offset, file, shared, writes };
        space.add_segment(ukfile::fallible::arc(segment)?)?;
        Ok(start)
    };
    share().inspect_err(|_| {
        // The range was just mapped. Where it is a part of something, and there is no memory to
        // tell it from the rest, it stays: memory of the program's, as before.
        let _ = unmap_pages(start, start + len);
    })
}

/// Moves a mapping of a file, and makes it that long.
pub fn change_place(
    segment: &Segment,
    old: Range<usize>,
    place: Option<usize>,
    len: usize,
) -> Result<usize, Errno> {
    let Range { start, end } = old;
    let whole = segment.range() == (start..end);
    if !whole || SPACE.lock().is_shared(start, end) {
        return Err(Errno::ENOMEM);
    }
    let protection = SPACE.lock().protections(start, end).next().map_or(0, |(_, p)| p);
    let _sharing = SHARING.lock();
    segment.write_back(start, end, false)?;
    let new = map_new(segment.file.clone(), place, len, protection, segment.offset)?;
    unmap_pages(start, end)?;
    Ok(new)
}
