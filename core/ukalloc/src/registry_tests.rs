use std::sync::Mutex;

use super::*;
use crate::model::Fixed;
use crate::{Account, AddMemoryError, Heap, SpinLock, Stats};
use ukplat::MemoryKind;

/// Remembers what it was given. Says of one length that the platform is to blame.
struct Recorder(Mutex<Vec<(usize, usize)>>);

// SAFETY: gives no blocks at all.
unsafe impl Alloc for Recorder {
    unsafe fn realloc(&self, _: *mut u8, _: usize) -> *mut u8 {
        core::ptr::null_mut()
    }
    fn memalign(&self, _: usize, _: usize) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn free(&self, _: *mut u8) {}
    unsafe fn usable_size(&self, _: *mut u8) -> usize {
        0
    }
    unsafe fn add_memory(&self, base: *mut u8, len: usize) -> Result<(), AddMemoryError> {
        match len {
            0 => return Err(AddMemoryError::TooSmall),
            UNSUPPORTED => return Err(AddMemoryError::Unsupported),
            _ => {}
        }
        self.0.lock().unwrap().push((base as usize, len));
        Ok(())
    }
    fn owns(&self, _: *const u8) -> bool {
        false
    }
    fn stats(&self) -> Stats {
        Stats::default()
    }
}

const UNSUPPORTED: usize = 77 * PAGE;

fn recorder() -> &'static Recorder {
    Box::leak(Box::new(Recorder(Mutex::default())))
}

fn entry(alloc: &'static dyn Alloc, source: MemorySource) -> HeapEntry {
    HeapEntry { name: "h", backend: "b", alloc, source, libraries: &[] }
}

const PAGE: usize = 4096;

fn free(base: usize, pages: usize) -> MemoryRegion {
    MemoryRegion { base: base * PAGE, len: pages * PAGE, kind: MemoryKind::Free }
}

#[test]
fn an_allocator_that_does_not_work_here_says_so() {
    for source in [MemorySource::Fixed(UNSUPPORTED), MemorySource::Rest] {
        let error = distribute(&[free(1, 77)], &[entry(recorder(), source)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the platform lacks what the allocator needs, of the heap `h`: \
             choose another allocator in the manifest"
        );
    }
}

#[test]
fn fixed_heaps_come_first_and_the_rest_gets_all_pieces() {
    let (a, b, rest) = (recorder(), recorder(), recorder());
    let memory = [
        free(1, 2),
        MemoryRegion { base: 4 * PAGE, len: PAGE, kind: MemoryKind::Reserved },
        free(10, 10),
    ];
    let heaps = [
        entry(a, MemorySource::Fixed(3 * PAGE)),
        entry(b, MemorySource::Fixed(1)),
        entry(rest, MemorySource::Rest),
    ];
    distribute(&memory, &heaps).unwrap();
    assert_eq!(*a.0.lock().unwrap(), [(10 * PAGE, 3 * PAGE)]);
    assert_eq!(*b.0.lock().unwrap(), [(PAGE, PAGE)]);
    assert_eq!(*rest.0.lock().unwrap(), [(2 * PAGE, PAGE), (13 * PAGE, 7 * PAGE)]);
}

#[test]
fn two_fixed_heaps_share_a_region() {
    let (a, b, rest) = (recorder(), recorder(), recorder());
    let heaps = [
        entry(a, MemorySource::Fixed(PAGE)),
        entry(b, MemorySource::Fixed(PAGE)),
        entry(rest, MemorySource::Rest),
    ];
    distribute(&[free(1, 3)], &heaps).unwrap();
    assert_eq!(*b.0.lock().unwrap(), [(2 * PAGE, PAGE)]);
    assert_eq!(*rest.0.lock().unwrap(), [(3 * PAGE, PAGE)]);
}

#[test]
fn too_little_memory_is_an_error() {
    let heaps = [entry(recorder(), MemorySource::Fixed(5 * PAGE))];
    let message = distribute(&[free(1, 3), free(9, 4)], &heaps).unwrap_err().to_string();
    assert!(message.starts_with("not enough memory for the heap `h`"), "{message}");
    let heaps = [entry(recorder(), MemorySource::Fixed(usize::MAX - 5))];
    let message = distribute(&[free(1, 3)], &heaps).unwrap_err().to_string();
    assert!(message.starts_with("not enough memory for the heap `h`"), "{message}");
    let heaps = [entry(recorder(), MemorySource::Rest)];
    assert!(distribute(&[], &heaps).is_err());
}

#[test]
fn libraries_find_their_heaps() {
    static MAIN: Heap<Fixed, SpinLock> = Heap::new(Fixed::new(), SpinLock::new());
    static NET: Heap<Fixed, SpinLock> = Heap::new(Fixed::new(), SpinLock::new());
    static HEAPS: [HeapEntry; 2] = [
        HeapEntry {
            name: "net",
            backend: "fixed",
            alloc: &NET,
            source: MemorySource::Fixed(1 << 16),
            libraries: &["uknet"],
        },
        HeapEntry {
            name: "main",
            backend: "fixed",
            alloc: &MAIN,
            source: MemorySource::Rest,
            libraries: &[],
        },
    ];
    static ACCOUNT: Account<SpinLock> = Account::new("uknet", &NET, SpinLock::new());
    static CONFIG: Config = Config { heaps: &HEAPS, accounts: &[&ACCOUNT] };
    let block = Box::leak(vec![0u8; 1 << 20].into_boxed_slice());
    let memory = Box::leak(Box::new([MemoryRegion {
        base: (block.as_ptr() as usize).next_multiple_of(PAGE),
        len: (1 << 20) - 2 * PAGE,
        kind: MemoryKind::Free,
    }]));
    let boot = Box::leak(Box::new(BootInfo { memory, ..BootInfo::EMPTY }));
    assert!(heaps().is_empty() && default_heap().is_none());
    init(boot, &CONFIG).unwrap();
    assert!(init(boot, &CONFIG).is_err());
    let p = for_library("uknet").malloc(10);
    assert!(NET.owns(p) && !MAIN.owns(p));
    let counts = accounts()[0].stats();
    assert_eq!((counts.allocations, counts.current_blocks()), (1, 1));
    assert_eq!(counts.total_memory, NET.stats().total_memory);
    let q = for_library("other").malloc(10);
    assert!(MAIN.owns(q) && heap("net").is_some() && heap("none").is_none());
    let mut text = String::new();
    report(&mut text).unwrap();
    assert!(
        text.contains("net") && text.contains("uknet\n") && text.contains("(all others)"),
        "{text}"
    );
    let of_library = text.lines().find(|l| l.starts_with("uknet ")).unwrap();
    let numbers: Vec<&str> = of_library.split_whitespace().skip(3).collect();
    assert_eq!(numbers, ["1", "1", "0"], "{text}");
    #[cfg(feature = "c-abi")]
    crate::tests::c_interface();
}
