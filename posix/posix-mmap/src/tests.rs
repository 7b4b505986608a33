//! The book-keeping against a set of pages, and the calls by number.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Once;

use proptest::prelude::*;
use syscall_shim::{Errno, call, nr};
use ukalloc::model::Fixed;
use ukalloc::{Alloc, Heap, SpinLock};

use crate::PAGE;
use crate::space::Space;

proptest! {
    /// Blocks of 8 pages, at most one in each of 8 places, and ranges that cross them.
    #[test]
    fn the_space_is_a_set_of_pages(steps in prop::collection::vec((0u8..4, 0usize..64, 1usize..20), 1..60)) {
        let mut space = Space::new();
        let mut pages: BTreeSet<usize> = BTreeSet::new();
        let mut blocks: BTreeMap<usize, usize> = BTreeMap::new();
        for (what, page, len) in steps {
            let (start, end) = (page * PAGE, (page + len) * PAGE);
            match what {
                0 => {
                    let place = page / 8;
                    if let Entry::Vacant(block) = blocks.entry(place) {
                        space.insert(place * 8 * PAGE, 8, 3);
                        block.insert(8);
                        pages.extend(place * 8..place * 8 + 8);
                    }
                }
                1 => {
                    let free = space.remove(start, end);
                    for page in page..page + len {
                        if pages.remove(&page) {
                            *blocks.get_mut(&(page / 8)).unwrap() -= 1;
                        }
                    }
                    let gone: Vec<usize> = blocks.iter().filter(|(_, left)| **left == 0).map(|(b, _)| *b).collect();
                    let expected: Vec<(usize, usize)> = gone.iter().map(|b| (b * 8 * PAGE, 8)).collect();
                    blocks.retain(|_, left| *left > 0);
                    prop_assert_eq!(free, expected);
                }
                2 => space.protect(start, end, 1),
                _ => {}
            }
            let range = page..page + len;
            prop_assert_eq!(space.covers(start, end), range.clone().all(|p| pages.contains(&p)));
            prop_assert_eq!(space.touches(start, end), range.clone().any(|p| pages.contains(&p)));
        }
    }
}

/// A heap of 4 MiB for the calls.
pub fn heap() -> &'static dyn Alloc {
    static ONCE: Once = Once::new();
    static HEAP: Heap<Fixed, SpinLock> = Heap::new(Fixed::new(), SpinLock::new());
    ONCE.call_once(|| {
        let memory = Box::leak(vec![0u8; 4 << 20].into_boxed_slice());
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
    assert_eq!(call!(nr::msync, at, PAGE, 4), 0);
    assert_eq!(call!(nr::munmap, at, 3 * PAGE), 0);
    assert_eq!(call!(nr::munmap, at, 3 * PAGE), 0);
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
    assert_eq!(call!(nr::mmap, 0, PAGE, RW, 1, 3, 0), Errno::ENODEV.to_raw());
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

#[test]
fn private_mappings_of_files_are_copies() {
    static READER: crate::FileReader = |fd, offset, buffer| match fd {
        5 => {
            // A file of a page and five bytes, read in small pieces.
            let left = (PAGE as u64 + 5).saturating_sub(offset) as usize;
            let len = left.min(buffer.len()).min(1000);
            buffer[..len].fill(b'x');
            Ok(len)
        }
        _ => Err(Errno::EBADF),
    };
    crate::on_file_mapping(&READER);
    let at = call!(nr::mmap, 0, 2 * PAGE, RW, 2, 5, 0) as usize;
    assert_eq!(bytes(at, 2 * PAGE).iter().filter(|b| **b == b'x').count(), PAGE + 5);
    assert_eq!(call!(nr::munmap, at, 2 * PAGE), 0);
    assert_eq!(call!(nr::mmap, 0, 2 * PAGE, RW, 2, 6, 0), Errno::EBADF.to_raw());
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
