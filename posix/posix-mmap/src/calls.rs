//! The system calls.

use alloc::vec::Vec;
use core::ops::Range;

use syscall_shim::{Errno, UserSliceMut, syscall};
use uklock::Mutex;
use ukplat::StaticRef;

use crate::space::Space;
use crate::{PAGE, memory};

// Flags of `mmap` (`asm-generic/mman-common.h`, `linux/mman.h`).
const MAP_SHARED: i32 = 1;
const MAP_PRIVATE: i32 = 2;
const MAP_SHARED_VALIDATE: i32 = 3;
const MAP_TYPE: i32 = 0xf;
const MAP_FIXED: i32 = 0x10;
const MAP_ANONYMOUS: i32 = 0x20;
const MAP_HUGETLB: i32 = 0x4_0000;
const MAP_FIXED_NOREPLACE: i32 = 0x10_0000;

const PROT_BITS: u32 = 7;
const MREMAP_MAYMOVE: i32 = 1;
const MADV_DONTNEED: i32 = 4;
const MADV_FREE: i32 = 8;
/// Other advice that Linux knows and that may be ignored.
const ADVICE: [i32; 14] = [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21];
const MS_ASYNC: i32 = 1;
const MS_SYNC: i32 = 4;
const MS_BITS: i32 = 7;
const MCL_BITS: i32 = 7;

static SPACE: Mutex<Space> = Mutex::new(Space::new());

/// What reads files for private mappings: fills the buffer from the offset in bytes and returns
/// how much there was.
pub type FileReader = fn(fd: i32, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno>;

static READER: StaticRef<FileReader> = StaticRef::new();

/// Sets what reads files for private mappings.
pub fn on_file_mapping(reader: &'static FileReader) {
    READER.set(reader);
}

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
    address: usize,
    len: usize,
    protection: u32,
    flags: i32,
    fd: i32,
    offset: u64,
) -> Result<usize, Errno> {
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
    let reader = match flags & MAP_ANONYMOUS {
        0 if fd < 0 => return Err(Errno::EBADF),
        0 if flags & MAP_TYPE != MAP_PRIVATE => return Err(Errno::ENODEV),
        0 => Some(READER.get().ok_or(Errno::ENODEV)?),
        _ => None,
    };
    let start = if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0 {
        place(address, len, protection, flags)?
    } else {
        let pages = len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)? / PAGE;
        let block = memory::take(pages).ok_or(Errno::ENOMEM)?;
        SPACE.lock().insert(block, pages, protection);
        block
    };
    if let Some(read) = reader {
        // SAFETY: the range is mapped, and the program does not know it yet, or said that what was
        // there is to be replaced.
        let bytes = unsafe { memory::bytes(start, len) };
        if let Err(error) = fill(*read, fd, offset, bytes) {
            unmap_range(start, len)?;
            return Err(error);
        }
    }
    Ok(start)
}

/// A place that the program chose: inside of what it has mapped.
fn place(address: usize, len: usize, protection: u32, flags: i32) -> Result<usize, Errno> {
    let end = end_of(address, len)?;
    let mut space = SPACE.lock();
    if flags & MAP_FIXED_NOREPLACE != 0 && space.touches(address, end) {
        return Err(Errno::EEXIST);
    }
    if !space.covers(address, end) {
        return Err(Errno::ENOMEM);
    }
    space.protect(address, end, protection);
    // SAFETY: the range is mapped, and the program says that what is there goes.
    unsafe { memory::clear(address, end) };
    Ok(address)
}

/// Reads a file from `offset` until the buffer is full or the file ends.
fn fill(read: FileReader, fd: i32, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
    let mut done = 0;
    while done < buffer.len() {
        match read(fd, offset + done as u64, &mut buffer[done..])? {
            0 => break,
            more => done += more,
        }
    }
    Ok(())
}

fn unmap_range(start: usize, len: usize) -> Result<(), Errno> {
    let end = end_of(start, len)?;
    let free = SPACE.lock().remove(start, end);
    for (block, pages) in free {
        // SAFETY: the block was mapped whole, and nothing of it is any more.
        unsafe { memory::give_back(block, pages) };
    }
    Ok(())
}

/// See munmap(2).
#[syscall]
fn munmap(start: usize, len: usize) -> Result<(), Errno> {
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

/// What is mapped, with its protection (`PROT_READ` …).
pub fn mappings() -> Vec<(Range<usize>, u32)> {
    SPACE.lock().regions()
}

/// Remembers the protection of mapped memory (mprotect(2)). Memory that is not from `mmap`, such
/// as the program's own, is accepted with what it has.
#[syscall]
fn mprotect(start: usize, len: usize, protection: u32) -> Result<(), Errno> {
    if protection & !PROT_BITS != 0 {
        return Err(Errno::EINVAL);
    }
    let end = end_of(start, len)?;
    SPACE.lock().protect(start, end, protection);
    Ok(())
}

/// See mremap(2). Mappings grow by moving.
#[syscall]
fn mremap(
    old: usize,
    old_len: usize,
    new_len: usize,
    flags: i32,
    _address: usize,
) -> Result<usize, Errno> {
    if flags & !MREMAP_MAYMOVE != 0 || new_len == 0 || old_len == 0 {
        return Err(Errno::EINVAL);
    }
    let old_end = end_of(old, old_len)?;
    if !SPACE.lock().covers(old, old_end) {
        return Err(Errno::EFAULT);
    }
    let old_pages = (old_end - old) / PAGE;
    let new_pages = new_len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)? / PAGE;
    if new_pages <= old_pages {
        if new_pages < old_pages {
            unmap_range(old + new_pages * PAGE, (old_pages - new_pages) * PAGE)?;
        }
        return Ok(old);
    }
    if flags & MREMAP_MAYMOVE == 0 {
        return Err(Errno::ENOMEM);
    }
    let new = memory::take(new_pages).ok_or(Errno::ENOMEM)?;
    // SAFETY: the old range is mapped, the new block is longer and its own.
    unsafe { memory::copy(old, new, old_pages * PAGE) };
    SPACE.lock().insert(new, new_pages, PROT_BITS);
    unmap_range(old, old_len)?;
    Ok(new)
}

/// Like a call on mapped memory alone: `ENOMEM` where something is not.
fn mapped(start: usize, len: usize) -> Result<usize, Errno> {
    let end = end_of(start, len)?;
    if SPACE.lock().covers(start, end) { Ok(end) } else { Err(Errno::ENOMEM) }
}

/// See madvise(2): memory that is not needed reads as zeros then; other advice is heard.
#[syscall]
fn madvise(start: usize, len: usize, advice: i32) -> Result<(), Errno> {
    if !ADVICE.contains(&advice) && ![MADV_DONTNEED, MADV_FREE].contains(&advice) {
        return Err(Errno::EINVAL);
    }
    let end = mapped(start, len)?;
    if advice == MADV_DONTNEED {
        // SAFETY: the range is mapped, and the program says that it needs nothing of it.
        unsafe { memory::clear(start, end) };
    }
    Ok(())
}

/// There is no file behind a mapping that would have to be written (msync(2)).
#[syscall]
fn msync(start: usize, len: usize, flags: i32) -> Result<(), Errno> {
    if flags & !MS_BITS != 0 || flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC {
        return Err(Errno::EINVAL);
    }
    mapped(start, len).map(drop)
}

/// All mapped memory is there (mincore(2)).
#[syscall]
fn mincore(start: usize, len: usize, place: syscall_shim::UserWord) -> Result<(), Errno> {
    let end = mapped(start, len)?;
    let mut pages: UserSliceMut<'_, u8> = place.slice_mut((end - start) / PAGE)?;
    pages.as_mut_slice().fill(1);
    Ok(())
}

/// Memory is never moved out (mlock(2)).
#[syscall]
fn mlock(start: usize, len: usize) -> Result<(), Errno> {
    let first = start - start % PAGE;
    mapped(first, len.saturating_add(start - first)).map(drop)
}

/// See [`mlock`].
#[syscall]
fn munlock(start: usize, len: usize) -> Result<(), Errno> {
    mlock(start, len)
}

/// See [`mlock`].
#[syscall]
fn mlock2(start: usize, len: usize, flags: u32) -> Result<(), Errno> {
    if flags > 1 { Err(Errno::EINVAL) } else { mlock(start, len) }
}

/// See [`mlock`].
#[syscall]
fn mlockall(flags: i32) -> Result<(), Errno> {
    if flags == 0 || flags & !MCL_BITS != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

/// See [`mlock`].
#[syscall]
fn munlockall() {}
