//! The book-keeping against a set of pages, and the calls by number.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

use proptest::prelude::*;
use syscall_shim::{Errno, call, nr};
use ukalloc::model::Fixed;
use ukalloc::{Alloc, Heap, SpinLock};

use uklock::Mutex;

use crate::space::Space;
use crate::{Memory, PAGE, Shared};

proptest! {
    /// Blocks of 8 pages, at most one in each of 8 places, and ranges that cross them.
    #[test]
    fn the_space_is_a_set_of_pages(steps in prop::collection::vec((0u8..6, 0usize..64, 1usize..20), 1..60)) {
        let mut space = Space::new();
        let mut pages: BTreeSet<usize> = BTreeSet::new();
        let mut blocks: BTreeMap<usize, usize> = BTreeMap::new();
        let mut protections: BTreeMap<usize, u32> = BTreeMap::new();
        // Files, which page of which each page is a copy of.
        let files = [(); 3].map(|()| Arc::new(Opened { writes: false }));
        let mut copies: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let range = |page: usize, len: usize| page..page + len;
        for (what, page, len) in steps {
            let (start, end) = (page * PAGE, (page + len) * PAGE);
            match what {
                0 => {
                    let place = page / 8;
                    if let Entry::Vacant(block) = blocks.entry(place) {
                        space.insert(place * 8 * PAGE, 8, 3).unwrap();
                        block.insert(8);
                        pages.extend(place * 8..place * 8 + 8);
                    }
                }
                1 => {
                    let mut unmapped = 0;
                    let removal = space.remove(start, end, |r| unmapped += (r.end - r.start) / PAGE).unwrap();
                    prop_assert_eq!(space.hole(8 * PAGE), None, "what ends is nobody's yet");
                    let free: Vec<(usize, usize)> = std::iter::from_fn(|| space.end_block(start, end, removal)).collect();
                    prop_assert_eq!(unmapped, range(page, len).filter(|p| pages.contains(p)).count());
                    for page in page..page + len {
                        protections.remove(&page);
                        copies.remove(&page);
                        if pages.remove(&page) {
                            *blocks.get_mut(&(page / 8)).unwrap() -= 1;
                        }
                    }
                    let gone: Vec<usize> = blocks.iter().filter(|(_, left)| **left == 0).map(|(b, _)| *b).collect();
                    let mut free = free;
                    free.sort_unstable();
                    let expected: Vec<(usize, usize)> = gone.iter().map(|b| (b * 8 * PAGE, 8)).collect();
                    blocks.retain(|_, left| *left > 0);
                    prop_assert_eq!(free, expected);
                }
                2 => {
                    let mut changed = Vec::new();
                    let done = space.protect(start, end, 1, |range, old| {
                        changed.extend(range.step_by(PAGE).map(|at| (at / PAGE, old)));
                        Ok(())
                    });
                    prop_assert_eq!(done, Ok(()));
                    for page in range(page, len).filter(|p| pages.contains(p)) {
                        let old = protections.insert(page, 1).unwrap_or(3);
                        prop_assert_eq!(changed.contains(&(page, old)), old != 1);
                    }
                }
                3 => {
                    let file: Arc<dyn crate::File> = files[page % 3].clone();
                    let source = (len > 3).then_some((&file, len as u64 * PAGE as u64));
                    space.set_source(start, end, source).unwrap();
                    for at in range(page, len).filter(|p| pages.contains(p)) {
                        copies.remove(&at);
                        if source.is_some() {
                            copies.insert(at, (page % 3, at - page + len));
                        }
                    }
                }
                // What is left of a block is mapped whole again.
                _ => {
                    let block = page / 8;
                    if blocks.contains_key(&block) {
                        let all = block * 8..block * 8 + 8;
                        space.insert_again(all.start * PAGE, all.end * PAGE, 1).unwrap();
                        for page in all.clone().filter(|p| pages.contains(p)) {
                            prop_assert!(space.is_shared(page * PAGE, (page + 1) * PAGE));
                        }
                        // Once less, and only what was mapped before is.
                        space.remove(all.start * PAGE, all.end * PAGE, |_| ()).unwrap();
                    }
                }
            }
            while space.end_source().is_some() {}
            for at in range(page, len) {
                let content = space.content(at * PAGE, (at + 1) * PAGE);
                prop_assert_eq!(content.is_some(), pages.contains(&at));
                let copy = content.and_then(|(_, content)| content).map(|(file, offset)| {
                    let same = |own: &Arc<Opened>| Arc::as_ptr(own).addr() == Arc::as_ptr(&file).addr();
                    (files.iter().position(same).unwrap(), offset as usize / PAGE)
                });
                prop_assert_eq!(copy, copies.get(&at).copied());
            }
            let range = page..page + len;
            let mapped: Vec<usize> = space.regions().iter().flat_map(|r| r.start / PAGE..r.end / PAGE).collect();
            prop_assert!(mapped.iter().eq(&pages), "{mapped:?} {pages:?}");
            prop_assert_eq!(space.covers(start, end), range.clone().all(|p| pages.contains(&p)));
            prop_assert_eq!(space.touches(start, end), range.clone().any(|p| pages.contains(&p)));
        }
        // Files are held by what is a copy of them, and by nothing else.
        space.remove(0, 100 * PAGE, |_| ()).unwrap();
        while space.end_source().is_some() {}
        prop_assert!(files.iter().all(|file| Arc::strong_count(file) == 1));
    }
}

/// A heap of 16 MiB for the calls.
pub fn heap() -> &'static dyn Alloc {
    static ONCE: Once = Once::new();
    static HEAP: Heap<Fixed, SpinLock> = Heap::new(Fixed::new(), SpinLock::new());
    ONCE.call_once(|| {
        let memory = Box::leak(vec![0u8; 16 << 20].into_boxed_slice());
        // SAFETY: the memory is the heap's for ever.
        unsafe { HEAP.add_memory(memory.as_mut_ptr(), memory.len()) }.unwrap();
    });
    &HEAP
}

const RW: u32 = 3;
const ANONYMOUS: i32 = 0x22;

fn map(len: usize) -> usize {
    usize::try_from(call!(nr::mmap, 0, len, RW, ANONYMOUS, -1, 0)).unwrap()
}

fn bytes<'a>(at: usize, len: usize) -> &'a mut [u8] {
    // SAFETY: the tests pass what they have mapped.
    unsafe { core::slice::from_raw_parts_mut(at as *mut u8, len) }
}

#[test]
fn anonymous_memory() {
    let at = map(3 * PAGE - 5);
    assert!(at.is_multiple_of(PAGE) && bytes(at, 3 * PAGE).iter().all(|b| *b == 0));
    bytes(at, 3 * PAGE).fill(7);
    assert_eq!(call!(nr::madvise, at, PAGE, 4), 0);
    assert_eq!((bytes(at, 1)[0], bytes(at + PAGE, 1)[0]), (0, 7));
    // In the middle, by the program's choice.
    let fixed = call!(nr::mmap, at + PAGE, PAGE, RW, ANONYMOUS | 0x10, -1, 0);
    assert_eq!((fixed as usize, bytes(at + PAGE, 1)[0]), (at + PAGE, 0));
    assert_eq!(call!(nr::mmap, at, PAGE, RW, ANONYMOUS | 0x10_0000, -1, 0), Errno::EEXIST.to_raw());
    assert_eq!(call!(nr::munmap, at + PAGE, PAGE), 0);
    assert_eq!(
        call!(nr::mmap, at + PAGE, PAGE, RW, ANONYMOUS | 0x10, -1, 0),
        Errno::ENOMEM.to_raw()
    );
    assert_eq!(call!(nr::msync, at, 2 * PAGE, 4), Errno::ENOMEM.to_raw());
    assert_eq!(call!(nr::mprotect, at, 2 * PAGE, 1), Errno::ENOMEM.to_raw());
    assert_eq!((call!(nr::msync, at, PAGE, 4), call!(nr::mprotect, at, PAGE, RW)), (0, 0));
    assert_eq!(call!(nr::munmap, at, 3 * PAGE), 0);
    assert_eq!(call!(nr::munmap, at, 3 * PAGE), 0);
}

#[test]
fn mappings_move_to_places() {
    const FIXED: i32 = 3;
    let (from, to) = (map(2 * PAGE), map(4 * PAGE));
    bytes(from, 2 * PAGE).fill(7);
    bytes(to, 4 * PAGE).fill(8);
    let einval = Errno::EINVAL.to_raw();
    let fixed = |flags: i32, to: usize| call!(nr::mremap, from, 2 * PAGE, 3 * PAGE, flags, to);
    assert_eq!((fixed(2, to), fixed(4, to), fixed(FIXED, to + 1)), (einval, einval, einval));
    assert_eq!((fixed(FIXED, from + PAGE), fixed(FIXED, from)), (einval, einval), "they overlap");
    assert_eq!(bytes(from, 1)[0], 7);
    assert_eq!(fixed(FIXED, to), to as isize);
    assert!(bytes(to, 2 * PAGE).iter().all(|byte| *byte == 7));
    assert_eq!((bytes(to + 2 * PAGE, 1)[0], bytes(to + 3 * PAGE, 1)[0]), (0, 8));
    assert_eq!(fixed(FIXED, to), Errno::EFAULT.to_raw(), "it has gone");
    assert_eq!(call!(nr::munmap, to, 4 * PAGE), 0);
}

/// What was unmapped inside of a block serves others as soon as the heap has nothing.
#[test]
fn holes_are_memory_too() {
    let mut space = Space::new();
    space.insert(16 * PAGE, 8, RW).unwrap();
    space.insert(32 * PAGE, 8, RW).unwrap();
    assert_eq!(space.hole(PAGE), None);
    space.remove(18 * PAGE, 20 * PAGE, |_| ()).unwrap();
    space.remove(37 * PAGE, 40 * PAGE, |_| ()).unwrap();
    assert_eq!((space.hole(3 * PAGE), space.hole(4 * PAGE)), (Some(37 * PAGE), None));
    space.insert_again(37 * PAGE, 40 * PAGE, 1).unwrap();
    assert_eq!((space.hole(2 * PAGE), space.hole(3 * PAGE)), (Some(18 * PAGE), None));
    space.insert_again(18 * PAGE, 19 * PAGE, 1).unwrap();
    assert_eq!((space.hole(PAGE), space.hole(2 * PAGE)), (Some(19 * PAGE), None));
    assert!(space.covers(16 * PAGE, 19 * PAGE) && !space.touches(19 * PAGE, 20 * PAGE));
}

/// What is done to one mapping does not depend on how many there are.
#[test]
fn many_mappings_are_not_looked_through() {
    const COUNT: usize = 10_000;
    let mut space = Space::new();
    let at = |index: usize| (index * 4 + 1) * PAGE;
    for index in 0..COUNT {
        space.insert(at(index), 2, RW).unwrap();
        // Each has a hole, as guards of stacks make them.
        space.remove(at(index), at(index) + PAGE, |_| ()).unwrap();
    }
    space.steps.set(0);
    for index in (0..COUNT).map(|index| index * 7919 % COUNT) {
        let (start, end) = (at(index), at(index) + 2 * PAGE);
        assert!(space.has_hole(start, end) && space.segments_of(start, end).is_empty());
        space.protect(start, end, 1, |_, _| Ok(())).unwrap();
        let removal = space.remove(start, end, |_| ()).unwrap();
        assert!(space.end_unmapped(start, end).is_none() && space.end_source().is_none());
        assert_eq!(space.end_block(start, end, removal), Some((start, 2)));
        assert_eq!(space.end_block(start, end, removal), None);
    }
    let steps = space.steps.get() / COUNT;
    assert!(steps < 40 * COUNT.ilog2() as usize, "{steps} for each");
    assert_eq!(space.hole(PAGE), None);
}

#[test]
fn memory_runs_out_and_comes_back() {
    assert_eq!(call!(nr::mmap, 0, 1usize << 40, RW, ANONYMOUS, -1, 0), Errno::ENOMEM.to_raw());
    for _ in 0..100 {
        let at = map(1 << 20);
        assert_eq!(call!(nr::munmap, at, 1usize << 20), 0);
    }
}

#[test]
fn mappings_grow_and_shrink() {
    let at = map(2 * PAGE);
    bytes(at, 2 * PAGE).fill(9);
    assert_eq!(call!(nr::mremap, at, 2 * PAGE, 4 * PAGE, 0, 0), Errno::ENOMEM.to_raw());
    let moved = call!(nr::mremap, at, 2 * PAGE, 4 * PAGE, 1, 0) as usize;
    assert_eq!((bytes(moved, 2 * PAGE)[2 * PAGE - 1], bytes(moved + 2 * PAGE, 1)[0]), (9, 0));
    assert_eq!(call!(nr::mremap, moved, 4 * PAGE, PAGE, 0, 0) as usize, moved);
    assert_eq!(call!(nr::mremap, moved, 4 * PAGE, PAGE, 0, 0), Errno::EFAULT.to_raw());
    assert_eq!(call!(nr::mremap, moved, PAGE, 0usize, 1, 0), Errno::EINVAL.to_raw());
    assert_eq!(call!(nr::mremap, moved, PAGE, PAGE, 8, 0), Errno::EINVAL.to_raw());
    assert_eq!(call!(nr::munmap, moved, PAGE), 0);
}

#[test]
fn wrong_arguments() {
    let einval = Errno::EINVAL.to_raw();
    assert_eq!(call!(nr::mmap, 0, PAGE, 8, ANONYMOUS, -1, 0), einval);
    assert_eq!(call!(nr::mmap, 0, PAGE, RW, 0x20, -1, 0), einval);
    assert_eq!(call!(nr::mmap, 0, PAGE, RW, ANONYMOUS, -1, 5), einval);
    assert_eq!(call!(nr::mmap, 0, usize::MAX, RW, ANONYMOUS, -1, 0), Errno::ENOMEM.to_raw());
    assert_eq!(call!(nr::mmap, 0, PAGE, RW, 2, -1, 0), Errno::EBADF.to_raw());
    assert_eq!(call!(nr::mmap, 0, PAGE, RW, 0x23, -1, 0), einval, "there is no file to ask");
    // The heap of the tests is not in the first 2 GiB.
    let low = call!(nr::mmap, 0, PAGE, RW, ANONYMOUS | 0x40, -1, 0);
    assert_eq!(low, Errno::ENOMEM.to_raw());
    assert_eq!((call!(nr::munmap, 5, PAGE), call!(nr::munmap, PAGE, 0usize)), (einval, einval));
    assert_eq!(
        (call!(nr::mprotect, 5, PAGE, 1), call!(nr::mprotect, PAGE, PAGE, 9)),
        (einval, einval)
    );
    let at = map(PAGE);
    assert_eq!((call!(nr::mprotect, at, PAGE, 1), call!(nr::madvise, at, PAGE, 99)), (0, einval));
    assert_eq!((call!(nr::mlock, at + 5, 9usize), call!(nr::munlock, at, PAGE)), (0, 0));
    assert_eq!((call!(nr::mlock2, at, PAGE, 2), call!(nr::mlockall, 0)), (einval, einval));
    assert_eq!((call!(nr::mlockall, 1), call!(nr::munlockall)), (0, 0));
    let mut pages = [5u8; 2];
    assert_eq!(call!(nr::mincore, at, PAGE, &mut pages[0]), 0);
    assert_eq!(pages, [1, 5]);
    assert_eq!(call!(nr::munmap, at, PAGE), 0);
}

/// A file of a page and five bytes, read in small pieces. What is shared of it goes back to it when
/// it is written back.
struct TestFile {
    content: Mutex<Vec<u8>>,
    written_back: AtomicUsize,
}

static FILE: TestFile =
    TestFile { content: Mutex::new(Vec::new()), written_back: AtomicUsize::new(0) };

struct Opened {
    writes: bool,
}

impl crate::File for Opened {
    fn identity(&self) -> usize {
        &raw const FILE as usize
    }

    fn may_write(&self) -> Result<(), Errno> {
        if self.writes { Ok(()) } else { Err(Errno::EACCES) }
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let content = FILE.content.lock();
        let left = content.get(offset as usize..).unwrap_or_default();
        let len = left.len().min(buffer.len()).min(1000);
        buffer[..len].copy_from_slice(&left[..len]);
        Ok(len)
    }

    fn share(&self, offset: u64, memory: Memory) -> Result<Box<dyn Shared>, Errno> {
        let content = FILE.content.lock();
        let left = content.get(offset as usize..).unwrap_or_default();
        memory.store(0, &left[..left.len().min(memory.length())]);
        Ok(Box::new(Part { memory, offset: offset as usize }))
    }
}

struct Part {
    memory: Memory,
    offset: usize,
}

impl Shared for Part {
    fn allow_changes(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn write_back(&self, range: Range<usize>, wait: bool) -> Result<(), Errno> {
        let mut content = FILE.content.lock();
        let from = self.offset + range.start;
        let to = (self.offset + range.end).min(content.len());
        if from < to {
            self.memory.load(range.start, &mut content[from..to]);
        }
        FILE.written_back.fetch_add(if wait { 100 } else { 1 }, Relaxed);
        Ok(())
    }
}

#[test]
fn mappings_of_files() {
    const SHARED: i32 = 1;
    const PRIVATE: i32 = 2;
    static OPEN: crate::OpenFile = |fd| match fd {
        5 | 6 => Ok(Some(Arc::new(Opened { writes: fd == 5 }))),
        7 => Ok(None),
        _ => Err(Errno::EBADF),
    };
    crate::on_file_mapping(&OPEN);
    *FILE.content.lock() = vec![b'x'; PAGE + 5];
    let map = |len: usize, protection: u32, flags: i32, fd: i32, offset: usize| {
        call!(nr::mmap, 0, len, protection, flags, fd, offset)
    };
    let error = |errno: Errno| errno.to_raw();
    let private = map(2 * PAGE, RW, PRIVATE, 5, 0) as usize;
    assert_eq!(bytes(private, 2 * PAGE).iter().filter(|b| **b == b'x').count(), PAGE + 5);
    assert_eq!(map(2 * PAGE, RW, PRIVATE, 8, 0), error(Errno::EBADF));
    // What is not needed is what the file has, where the mapping is one of it.
    let count = |at: usize, len: usize| bytes(at, len).iter().filter(|b| **b == b'x').count();
    let copy = map(3 * PAGE, RW, PRIVATE, 5, 0) as usize;
    bytes(copy, 3 * PAGE).fill(b'c');
    assert_eq!((call!(nr::mprotect, copy, PAGE, 1), call!(nr::madvise, copy, PAGE, 4)), (0, 0));
    assert_eq!((count(copy, PAGE), bytes(copy + PAGE, 1)[0]), (PAGE, b'c'));
    assert_eq!(call!(nr::madvise, copy, 3 * PAGE, 4), 0);
    assert_eq!((count(copy, 2 * PAGE), bytes(copy + PAGE, 6)[5]), (PAGE + 5, 0));
    // Anonymous memory in its place is zeros, what is behind it is not.
    assert_eq!(call!(nr::mprotect, copy, PAGE, RW), 0);
    assert_eq!(call!(nr::mmap, copy, PAGE, RW, ANONYMOUS | 0x10, -1, 0) as usize, copy);
    bytes(copy, 2 * PAGE).fill(b'c');
    assert_eq!(call!(nr::madvise, copy, 3 * PAGE, 4), 0);
    assert_eq!((bytes(copy, PAGE), count(copy + PAGE, PAGE)), (&mut [0; PAGE][..], 5));
    // Moved and longer it is the file's as well.
    assert_eq!(call!(nr::munmap, copy, 3 * PAGE), 0);
    let short = map(PAGE, RW, PRIVATE, 5, 0) as usize;
    bytes(short, PAGE)[0] = b'c';
    let long = call!(nr::mremap, short, PAGE, 2 * PAGE, 1, 0) as usize;
    assert_eq!((bytes(long, 1)[0], count(long, 2 * PAGE)), (b'c', PAGE + 4));
    assert_eq!((call!(nr::madvise, long, PAGE, 4), count(long, PAGE)), (0, PAGE));
    assert_eq!(call!(nr::munmap, long, 2 * PAGE), 0);
    assert_eq!(map(PAGE, RW, SHARED, 6, 0), error(Errno::EACCES));
    // MAP_SHARED_VALIDATE | MAP_SYNC
    assert_eq!(map(PAGE, RW, 3 | 0x8_0000, 5, 0), error(Errno::EOPNOTSUPP));

    let shared = map(2 * PAGE, RW, SHARED, 5, 0) as usize;
    bytes(shared, PAGE)[3] = b'y';
    // The second mapping of a part is the same memory; one that sticks out cannot be.
    let part = map(PAGE, 1, SHARED, 6, PAGE) as usize;
    assert_eq!(part, shared + PAGE);
    assert_eq!(map(2 * PAGE, RW, SHARED, 5, PAGE), error(Errno::ENOMEM));
    assert_eq!(call!(nr::mmap, shared, PAGE, RW, ANONYMOUS | 0x10, -1, 0), error(Errno::ENOMEM));
    bytes(part, PAGE)[0] = b'z';
    let in_file = |at: usize| FILE.content.lock()[at];
    assert_eq!((in_file(3), bytes(private, PAGE)[3]), (b'x', b'x'));
    assert_eq!(call!(nr::msync, shared, 2 * PAGE, 4), 0);
    assert_eq!((in_file(3), in_file(PAGE)), (b'y', b'z'));
    assert_eq!(FILE.written_back.swap(0, Relaxed), 100);
    // What is shared is not thrown away.
    assert_eq!((call!(nr::madvise, shared, PAGE, 4), bytes(shared, PAGE)[3]), (0, b'y'));
    assert_eq!(call!(nr::munmap, shared, 2 * PAGE), 0);
    assert_eq!(bytes(part, PAGE)[0], b'z');
    assert_eq!(call!(nr::munmap, part, PAGE), 0);
    assert!(FILE.written_back.swap(0, Relaxed) >= 2);

    // Made longer it moves, and is the file there.
    let small = map(PAGE, RW, SHARED, 5, 0) as usize;
    bytes(small, PAGE)[4] = b'w';
    let large = call!(nr::mremap, small, PAGE, 2 * PAGE, 1, 0) as usize;
    assert_eq!((bytes(large, PAGE)[4], bytes(large, 2 * PAGE)[PAGE]), (b'w', b'z'));
    // At a place that the program chose.
    let own = map(2 * PAGE, RW, ANONYMOUS, -1, 0) as usize;
    assert_eq!(call!(nr::mmap, own, PAGE, RW, SHARED | 0x10, 5, 0), error(Errno::ENOMEM));
    assert_eq!(call!(nr::munmap, large, 2 * PAGE), 0);
    let own = map(2 * PAGE, RW, ANONYMOUS, -1, 0) as usize;
    assert_eq!(call!(nr::mmap, own + PAGE, PAGE, RW, SHARED | 0x10, 5, 0) as usize, own + PAGE);
    assert_eq!(bytes(own, 2 * PAGE)[PAGE + 4], b'w');
    assert_eq!(call!(nr::munmap, own, 2 * PAGE), 0);

    // A file that reads as zeros is memory without a file.
    let zeros = map(PAGE, RW, SHARED, 7, 0) as usize;
    assert_eq!(bytes(zeros, PAGE), [0; PAGE]);
    assert_eq!((call!(nr::munmap, zeros, PAGE), call!(nr::munmap, private, 2 * PAGE)), (0, 0));
}

/// Pages that the program may not write to are still the system's to write, and to give back.
#[test]
fn protection_is_changed_and_taken_back() {
    for _ in 0..3 {
        let at = map(4 * PAGE);
        bytes(at, 4 * PAGE).fill(7);
        assert_eq!(call!(nr::mprotect, at, PAGE, 0), 0);
        assert_eq!(call!(nr::mprotect, at + PAGE, PAGE, 1), 0);
        assert_eq!(bytes(at + PAGE, 1)[0], 7);
        assert_eq!(call!(nr::madvise, at, 4 * PAGE, 4), 0);
        assert_eq!(bytes(at + PAGE, 1)[0], 0);
        let moved = call!(nr::mremap, at, 2 * PAGE, 4 * PAGE, 1, 0) as usize;
        // With the protection of its beginning.
        assert_eq!(call!(nr::mprotect, moved, 4 * PAGE, 3), 0);
        assert_eq!(bytes(moved, 4 * PAGE), [0; 4 * PAGE]);
        assert_eq!(call!(nr::mprotect, moved, PAGE, 1), 0);
        assert_eq!((call!(nr::munmap, moved, 4 * PAGE), call!(nr::munmap, at, 4 * PAGE)), (0, 0));
    }
    let none = call!(nr::mmap, 0, PAGE, 0, ANONYMOUS, -1, 0) as usize;
    assert_eq!((call!(nr::mprotect, none, PAGE, RW), bytes(none, 1)[0]), (0, 0));
    assert_eq!(call!(nr::munmap, none, PAGE), 0);
}

#[test]
fn the_data_segment_ends_where_it_is_told() {
    let start = call!(nr::brk, 0) as usize;
    assert_eq!(call!(nr::brk, start + 100) as usize, start + 100);
    bytes(start, 100).fill(3);
    assert_eq!(call!(nr::brk, start + (1 << 30)) as usize, start + 100);
    assert_eq!(call!(nr::brk, start + 50) as usize, start + 50);
    assert_eq!(call!(nr::brk, start + 100) as usize, start + 100);
    assert_eq!((bytes(start, 100)[49], bytes(start, 100)[50]), (3, 0));
}
