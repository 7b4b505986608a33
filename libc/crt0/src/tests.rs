//! The block that a program finds when it starts.

use std::ffi::{CStr, c_char};

use ukalloc::Alloc;
use ukalloc::Heap;
use ukalloc::SpinLock;
use ukalloc::model::Fixed;

use ukplat::BootInfo;

use crate::start::{AT_STACK, AT_STACK_GUARD, AT_STACK_SIZE, Header, auxiliary, lay_out};

/// A heap with a little memory.
fn heap() -> &'static dyn Alloc {
    let heap: &'static Heap<Fixed, SpinLock> =
        Box::leak(Box::new(Heap::new(Fixed::new(), SpinLock::new())));
    let memory = Box::leak(vec![0u8; 64 << 10].into_boxed_slice());
    // SAFETY: the memory is the heap's for ever.
    unsafe { heap.add_memory(memory.as_mut_ptr(), memory.len()) }.unwrap();
    heap
}

/// The header of this very program.
fn header() -> &'static Header {
    let elf = std::fs::read("/proc/self/exe").unwrap();
    let words = Box::leak(vec![0u64; 8].into_boxed_slice());
    for (word, bytes) in words.iter_mut().zip(elf.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().unwrap());
    }
    // SAFETY: 64 aligned bytes; any are a header.
    unsafe { &*words.as_ptr().cast::<Header>() }
}

fn text(word: usize) -> &'static str {
    // SAFETY: the words that the tests pass point to texts of the block.
    unsafe { CStr::from_ptr(word as *const c_char) }.to_str().unwrap()
}

#[test]
fn arguments_environment_and_auxiliary_vector() {
    let header = header();
    let random = *b"0123456789abcdef";
    let boot = BootInfo { stack: 0x4000..0x9000, stack_guard: 0x1000, ..BootInfo::EMPTY };
    let system = auxiliary(header, 0x77, &boot);
    let block = lay_out(heap(), &system, "app", &["-x", "", "ä b"], " A=1  PATH=/bin ", random);
    let block = block.unwrap();
    // SAFETY: the block's words, up to the end of the auxiliary vector.
    let words = unsafe { core::slice::from_raw_parts(block, 1 + 5 + 3 + 2 * 17) };
    assert_eq!(words[0], 4);
    assert_eq!([1, 2, 3, 4].map(|i| text(words[i])), ["app", "-x", "", "ä b"]);
    assert_eq!((words[5], words[8]), (0, 0));
    assert_eq!([6, 7].map(|i| text(words[i])), ["A=1", "PATH=/bin"]);
    let pairs: Vec<(usize, usize)> = words[9..].chunks(2).map(|p| (p[0], p[1])).collect();
    let value = |key| pairs.iter().find(|(k, _)| *k == key).unwrap().1;
    // AT_PHDR is 64 bytes after the header, AT_PHENT 56 bytes, AT_PAGESZ, AT_SECURE.
    assert_eq!(value(3), core::ptr::from_ref(header) as usize + 64);
    assert_eq!((value(4), value(6), value(23)), (56, 4096, 0));
    assert!((2..100).contains(&value(5)));
    assert_eq!(value(9), 0x77);
    assert_eq!(text(value(31)), "app");
    assert_eq!(text(value(25)), "0123456789abcdef");
    let stack = [AT_STACK, AT_STACK_SIZE, AT_STACK_GUARD].map(value);
    assert_eq!(stack, [0x4000, 0x5000, 0x1000]);
    assert_eq!(pairs.last(), Some(&(0, 0)));
}

#[test]
fn without_memory_there_is_no_block() {
    let heap: Heap<Fixed, SpinLock> = Heap::new(Fixed::new(), SpinLock::new());
    assert!(lay_out(&heap, &[], "app", &[], "", [0; 16]).is_none());
}
