//! The system calls.

use alloc::sync::Arc;
use core::ops::Range;

use syscall_shim::{
    Address, Errno, LockFlags, LockRangeFlags, MapFlags, MemoryAdvice, Protection, RemapFlags,
    SyncFlags, UserSliceMut, syscall,
};
use uklock::Mutex;

use crate::file::{self, File, SHARING, Segment, segments};
use crate::memory::{self, READ_WRITE};
use crate::space::Space;
use crate::{PAGE, memory::open};

// Flags of `mmap` (`asm-generic/mman-common.h`, `linux/mman.h`).
const MAP_SHARED: i32 = 1;
const MAP_PRIVATE: i32 = 2;
const MAP_SHARED_VALIDATE: i32 = 3;
const MAP_TYPE: i32 = 0xf;
const MAP_FIXED: i32 = 0x10;
const MAP_ANONYMOUS: i32 = 0x20;
const MAP_32BIT: i32 = 0x40;
const MAP_HUGETLB: i32 = 0x4_0000;
const MAP_FIXED_NOREPLACE: i32 = 0x10_0000;
/// Flags that a file need not know of (`LEGACY_MAP_MASK` of Linux); a caller who validates learns of
/// all others that they are not there, `MAP_SYNC` among them.
const MAP_KNOWN: i32 = 0x7_f9ff | MAP_HUGE_SIZES;
const MAP_HUGE_SIZES: i32 = 0x3f << 26;
/// Where what `MAP_32BIT` asks for ends.
const LOW_END: usize = 1 << 31;

const PROT_BITS: u32 = 7;
pub const WRITE: u32 = 2;
const MREMAP_MAYMOVE: i32 = 1;
const MREMAP_FIXED: i32 = 2;
const MADV_DONTNEED: i32 = 4;
const MADV_FREE: i32 = 8;
/// Other advice that Linux knows and that may be ignored.
const ADVICE: [i32; 14] = [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21];
const MS_ASYNC: i32 = 1;
const MS_SYNC: i32 = 4;
const MS_BITS: i32 = 7;
const MCL_BITS: i32 = 7;

pub static SPACE: Mutex<Space> = Mutex::new(Space::new());

/// The end of a range in whole pages.
fn end_of(start: usize, len: usize) -> Result<usize, Errno> {
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let len = len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
    start.checked_add(len).ok_or(Errno::ENOMEM)
}

/// See mmap(2), and the crate's documentation for what differs.
#[syscall]
pub fn mmap(
    #[trace(Address)] address: usize,
    len: usize,
    protection: Protection,
    flags: MapFlags,
    fd: i32,
    offset: u64,
) -> Result<usize, Errno> {
    let (Protection(protection), MapFlags(flags)) = (protection, flags);
    if len == 0 || protection & !PROT_BITS != 0 || !offset.is_multiple_of(PAGE as u64) {
        return Err(Errno::EINVAL);
    }
    if !(MAP_SHARED..=MAP_SHARED_VALIDATE).contains(&(flags & MAP_TYPE)) {
        return Err(Errno::EINVAL);
    }
    // Huge pages are not set aside here.
    if flags & MAP_HUGETLB != 0 {
        return Err(Errno::ENOMEM);
    }
    let file = if flags & MAP_ANONYMOUS == 0 { file::open(fd)? } else { None };
    let shares = flags & MAP_TYPE != MAP_PRIVATE;
    if flags & MAP_TYPE == MAP_SHARED_VALIDATE {
        if flags & MAP_ANONYMOUS != 0 {
            return Err(Errno::EINVAL);
        }
        if flags & !MAP_KNOWN != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
    }
    if let Some(file) = file.as_ref().filter(|_| shares && protection & WRITE != 0) {
        file.may_write()?;
    }
    let place = if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0 {
        Some(place(address, len, flags)?)
    } else {
        None
    };
    let start = match file {
        Some(file) if shares => file::map_shared(file, place, len, protection, offset),
        file => map_private(file, place, len, protection, offset),
    }?;
    // Where memory is, the heap says: low if there is some.
    if flags & MAP_32BIT != 0 && place.is_none() && start.saturating_add(len) > LOW_END {
        unmap_range(start, len)?;
        return Err(Errno::ENOMEM);
    }
    Ok(start)
}

/// Maps zeros: memory of the heap or, when there is none, what is left of blocks that are mapped in
/// part.
pub fn take(pages: usize) -> Result<usize, Errno> {
    if let Some(block) = memory::take(pages) {
        return match SPACE.lock().insert(block, pages, READ_WRITE) {
            Ok(()) => Ok(block),
            Err(error) => {
                // SAFETY: it was just taken, and nobody knows it.
                unsafe { memory::give_back(block, pages) };
                Err(error)
            }
        };
    }
    let len = pages.checked_mul(PAGE).ok_or(Errno::ENOMEM)?;
    let mut space = SPACE.lock();
    let start = space.hole(len).ok_or(Errno::ENOMEM)?;
    space.insert_again(start, start + len, READ_WRITE)?;
    // SAFETY: nobody uses what was not mapped.
    unsafe { memory::clear(start, start + len) };
    Ok(start)
}

/// Maps memory, and fills it from a file if there is one.
fn map_private(
    file: Option<Arc<dyn File>>,
    place: Option<usize>,
    len: usize,
    protection: u32,
    offset: u64,
) -> Result<usize, Errno> {
    let start = match place {
        Some(start) => start,
        None => take(len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)? / PAGE)?,
    };
    let finish = || {
        if let Some(file) = &file {
            // SAFETY: the range is mapped, and the program does not know it yet, or said that what
            // was there is to be replaced.
            fill(&**file, offset, unsafe { memory::bytes(start, len) })?;
            SPACE.lock().set_source(start, end_of(start, len)?, Some((file, offset)))?;
        }
        set_protection(start, end_of(start, len)?, protection)
    };
    match finish() {
        Ok(()) => Ok(start),
        Err(error) => {
            unmap_range(start, len)?;
            Err(error)
        }
    }
}

/// A place that the program chose: inside of what it has mapped. It is anonymous memory then, full of
/// zeros, that can be written.
fn place(address: usize, len: usize, flags: i32) -> Result<usize, Errno> {
    let end = end_of(address, len)?;
    {
        let space = SPACE.lock();
        if flags & MAP_FIXED_NOREPLACE != 0 && space.touches(address, end) {
            return Err(Errno::EEXIST);
        }
        // What several mappings have cannot be taken from one of them.
        if !space.covers(address, end) || space.is_shared(address, end) {
            return Err(Errno::ENOMEM);
        }
    }
    let replaced = segments(address, end)?;
    if !replaced.is_empty() {
        let inside = |s: &Arc<Segment>| address <= s.range().start && s.range().end <= end;
        if !replaced.iter().all(inside) {
            return Err(Errno::ENOMEM);
        }
        let _sharing = SHARING.lock();
        write_back(&replaced, address, end);
        let end_one = || SPACE.lock().end_segment(address, end);
        while let Some(gone) = end_one() {
            drop(gone);
        }
    }
    set_protection(address, end, READ_WRITE)?;
    SPACE.lock().set_source(address, end, None)?;
    end_sources();
    // SAFETY: the range is mapped, and the program says that what is there goes.
    unsafe { memory::clear(address, end) };
    Ok(address)
}

/// Reads a file from `offset` until the buffer is full or the file ends.
fn fill(file: &dyn File, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read(offset + done as u64, &mut buffer[done..])? {
            0 => break,
            more => done += more,
        }
    }
    Ok(())
}

fn set_protection(start: usize, end: usize, protection: u32) -> Result<(), Errno> {
    SPACE
        .lock()
        .protect(start, end, protection, |range, old| memory::protect(range, old, protection))
}

fn write_back(segments: &[Arc<Segment>], start: usize, end: usize) {
    for segment in segments {
        // As on Linux: whoever wants to know of errors uses msync or fsync before.
        let _ = segment.write_back(start, end, false);
    }
}

fn unmap_range(start: usize, len: usize) -> Result<(), Errno> {
    let end = end_of(start, len)?;
    if segments(start, end)?.is_empty() {
        return unmap_pages(start, end);
    }
    let _sharing = SHARING.lock();
    write_back(&segments(start, end)?, start, end);
    unmap_pages(start, end)
}

/// Lets files go that were mapped as copies. Without the lock: this may close them.
fn end_sources() {
    let end_source = || SPACE.lock().end_source();
    while let Some(gone) = end_source() {
        drop(gone);
    }
}

/// Unmaps whole pages.
pub fn unmap_pages(start: usize, end: usize) -> Result<(), Errno> {
    let removal = SPACE.lock().remove(start, end, |region| {
        open(region.start..region.end, region.protection);
    })?;
    // Files let go of the memory before somebody else gets it.
    let end_file = || SPACE.lock().end_unmapped(start, end);
    while let Some(gone) = end_file() {
        drop(gone);
    }
    end_sources();
    let end_block = || SPACE.lock().end_block(start, end, removal);
    while let Some((block, pages)) = end_block() {
        // SAFETY: the block was mapped whole, and nothing of it is any more.
        unsafe { memory::give_back(block, pages) };
    }
    Ok(())
}

/// See munmap(2).
#[syscall]
fn munmap(#[trace(Address)] start: usize, len: usize) -> Result<(), Errno> {
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    unmap_range(start, len)
}

/// Unmaps a range, as munmap(2): for stacks of threads that have ended.
pub fn unmap(start: usize, len: usize) {
    // A range that is none is not mapped.
    let _ = munmap(start, len);
}

/// Start of the mapping that an address is in, as far as it has one protection: of a stack without
/// its guard.
pub fn start_of(address: usize) -> Option<usize> {
    SPACE.lock().start_of(address)
}

/// The first mapping that ends behind an address, with its protection (`PROT_READ` …).
pub fn mapping_behind(address: usize) -> Option<(Range<usize>, u32)> {
    SPACE.lock().region_behind(address)
}

/// Sets what may be done with mapped memory (mprotect(2)), where the platform has control of that.
/// Memory that is not from `mmap`, such as the program's own, is accepted with what it has; what was
/// unmapped between mappings is not (`ENOMEM`).
#[syscall]
fn mprotect(
    #[trace(Address)] start: usize,
    len: usize,
    protection: Protection,
) -> Result<(), Errno> {
    let Protection(protection) = protection;
    if protection & !PROT_BITS != 0 {
        return Err(Errno::EINVAL);
    }
    let end = end_of(start, len)?;
    if SPACE.lock().has_hole(start, end) {
        return Err(Errno::ENOMEM);
    }
    if protection & WRITE != 0 && segments(start, end)?.iter().any(|segment| !segment.writes()) {
        return Err(Errno::EACCES);
    }
    set_protection(start, end, protection)
}

/// See mremap(2). Mappings grow by moving; with `MREMAP_FIXED` to a place inside of what the program
/// has mapped, as with `MAP_FIXED`.
#[syscall]
fn mremap(
    #[trace(Address)] old: usize,
    old_len: usize,
    new_len: usize,
    #[trace(RemapFlags)] flags: i32,
    #[trace(Address)] address: usize,
) -> Result<usize, Errno> {
    let fixed = flags & MREMAP_FIXED != 0;
    if flags & !(MREMAP_MAYMOVE | MREMAP_FIXED) != 0
        || fixed && flags & MREMAP_MAYMOVE == 0
        || new_len == 0
        || old_len == 0
    {
        return Err(Errno::EINVAL);
    }
    let old_end = end_of(old, old_len)?;
    if fixed && old < end_of(address, new_len)? && address < old_end {
        return Err(Errno::EINVAL);
    }
    if !SPACE.lock().covers(old, old_end) {
        return Err(Errno::EFAULT);
    }
    let old_pages = (old_end - old) / PAGE;
    let new_pages = new_len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)? / PAGE;
    if new_pages <= old_pages && !fixed {
        if new_pages < old_pages {
            unmap_range(old + new_pages * PAGE, (old_pages - new_pages) * PAGE)?;
        }
        return Ok(old);
    }
    if flags & MREMAP_MAYMOVE == 0 {
        return Err(Errno::ENOMEM);
    }
    let place = if fixed { Some(place(address, new_len, MAP_FIXED)?) } else { None };
    if let Some(segment) = segments(old, old_end)?.first() {
        return file::change_place(segment, old..old_end, place, new_pages * PAGE);
    }
    let new = match place {
        Some(place) => place,
        None => take(new_pages)?,
    };
    let (protection, content) = {
        let space = SPACE.lock();
        let protection = space.protections(old, old_end).next().map_or(0, |(_, p)| p);
        (protection, space.content(old, old_end).and_then(|(_, content)| content))
    };
    let (kept, new_end) = (old_pages.min(new_pages) * PAGE, new + new_pages * PAGE);
    if let Some((file, offset)) = &content {
        let more = || {
            // SAFETY: the range is mapped, and its content goes.
            fill(&**file, offset + kept as u64, unsafe {
                memory::bytes(new + kept, new_end - new - kept)
            })?;
            SPACE.lock().set_source(new, new_end, Some((file, *offset)))
        };
        more().inspect_err(|_| {
            let _ = unmap_range(new, new_end - new);
        })?;
    }
    // It is about to go.
    set_protection(old, old_end, READ_WRITE)?;
    // SAFETY: both ranges are mapped and that long; the new one is another, whose content goes.
    unsafe { memory::copy(old, new, kept) };
    unmap_range(old, old_len)?;
    set_protection(new, new_end, protection)?;
    Ok(new)
}

/// Like a call on mapped memory alone: `ENOMEM` where something is not.
fn mapped(start: usize, len: usize) -> Result<usize, Errno> {
    let end = end_of(start, len)?;
    if SPACE.lock().covers(start, end) { Ok(end) } else { Err(Errno::ENOMEM) }
}

/// Bytes of a file that are read at once, to be put into memory that may be unmapped meanwhile.
const PIECE: usize = 16 * PAGE;

/// Gives mapped memory its first content again: zeros, or what its file has.
fn renew(start: usize, end: usize) -> Result<(), Errno> {
    let mut at = start;
    let part = |at| if at < end { SPACE.lock().content(at, end) } else { None };
    while let Some((range, content)) = part(at) {
        at = range.end;
        match content {
            None => change(range, |range| {
                // SAFETY: `change` lets nobody unmap it, and the program needs nothing of it.
                unsafe { memory::clear(range.start, range.end) };
            })?,
            Some((file, offset)) => {
                let mut piece = ukfile::fallible::zeroed(range.len().min(PIECE))?;
                for from in range.clone().step_by(PIECE) {
                    let piece = &mut piece[..PIECE.min(range.end - from)];
                    piece.fill(0);
                    // Without the lock: the file may be memory as well.
                    fill(&*file, offset + (from - range.start) as u64, piece)?;
                    change(from..from + piece.len(), |part| {
                        let bytes = &piece[part.start - from..part.end - from];
                        // SAFETY: as above.
                        unsafe { memory::store(part.start, bytes) };
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// Changes what is mapped of a range, whatever its protection is.
fn change(range: Range<usize>, mut action: impl FnMut(Range<usize>)) -> Result<(), Errno> {
    let space = SPACE.lock();
    for (part, protection) in space.protections(range.start, range.end) {
        open(part.clone(), protection);
        action(part.clone());
        memory::protect(part, READ_WRITE, protection)?;
    }
    Ok(())
}

/// See madvise(2): memory that is not needed has its first content then, zeros or that of a file of which
/// it is a private mapping; other advice is heard.
#[syscall]
fn madvise(
    #[trace(Address)] start: usize,
    len: usize,
    #[trace(MemoryAdvice)] advice: i32,
) -> Result<(), Errno> {
    if !ADVICE.contains(&advice) && ![MADV_DONTNEED, MADV_FREE].contains(&advice) {
        return Err(Errno::EINVAL);
    }
    let end = mapped(start, len)?;
    // What is shared with a file stays in the file, which is this memory.
    if advice == MADV_DONTNEED && segments(start, end)?.is_empty() {
        renew(start, end)?;
    }
    Ok(())
}

/// Writes what was changed of shared mappings of files; with `MS_SYNC` waits until it cannot be lost
/// (msync(2)).
#[syscall]
fn msync(
    #[trace(Address)] start: usize,
    len: usize,
    #[trace(SyncFlags)] flags: i32,
) -> Result<(), Errno> {
    if flags & !MS_BITS != 0 || flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC {
        return Err(Errno::EINVAL);
    }
    let end = mapped(start, len)?;
    if flags & (MS_ASYNC | MS_SYNC) != 0 {
        for segment in segments(start, end)? {
            segment.write_back(start, end, flags & MS_SYNC != 0)?;
        }
    }
    Ok(())
}

/// All mapped memory is there (mincore(2)).
#[syscall]
fn mincore(
    #[trace(Address)] start: usize,
    len: usize,
    place: syscall_shim::UserWord,
) -> Result<(), Errno> {
    let end = mapped(start, len)?;
    let mut pages: UserSliceMut<'_, u8> = place.slice_mut((end - start) / PAGE)?;
    pages.as_mut_slice().fill(1);
    Ok(())
}

/// Memory is never moved out (mlock(2)).
#[syscall]
fn mlock(#[trace(Address)] start: usize, len: usize) -> Result<(), Errno> {
    let first = start - start % PAGE;
    mapped(first, len.saturating_add(start - first)).map(drop)
}

/// See [`mlock`].
#[syscall]
fn munlock(#[trace(Address)] start: usize, len: usize) -> Result<(), Errno> {
    mlock(start, len)
}

/// See [`mlock`].
#[syscall]
fn mlock2(
    #[trace(Address)] start: usize,
    len: usize,
    #[trace(LockRangeFlags)] flags: u32,
) -> Result<(), Errno> {
    if flags > 1 { Err(Errno::EINVAL) } else { mlock(start, len) }
}

/// See [`mlock`].
#[syscall]
fn mlockall(#[trace(LockFlags)] flags: i32) -> Result<(), Errno> {
    if flags == 0 || flags & !MCL_BITS != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

/// See [`mlock`].
#[syscall]
fn munlockall() {}
