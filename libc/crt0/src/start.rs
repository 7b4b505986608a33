//! What a process finds on its stack when it begins: arguments, environment, auxiliary vector
//! (System V ABI, x86-64 psABI section 3.4.1).

use core::ffi::{c_char, c_int};

use ukalloc::Alloc;
use ukplat::BootInfo;

use crate::Program;

/// The ELF header of the image (System V ABI, chapter 4), as far as it is used.
#[derive(Debug)]
#[repr(C)]
pub struct Header {
    ident: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    program_headers: u64,
    section_headers: u64,
    flags: u32,
    size: u16,
    program_header_size: u16,
    program_header_count: u16,
    unused: [u16; 3],
}

// Keys of the auxiliary vector, from Linux's `auxvec.h`.
const AT_NULL: usize = 0;
const AT_PHDR: usize = 3;
const AT_PHENT: usize = 4;
const AT_PHNUM: usize = 5;
const AT_PAGESZ: usize = 6;
const AT_ENTRY: usize = 9;
const AT_UID: usize = 11;
const AT_EUID: usize = 12;
const AT_GID: usize = 13;
const AT_EGID: usize = 14;
const AT_CLKTCK: usize = 17;
const AT_SECURE: usize = 23;
const AT_RANDOM: usize = 25;
const AT_EXECFN: usize = 31;
// Keys of this system, which C libraries of others pass over: the stack of the first thread, of which
// the block is no part.
/// Its lowest address.
pub(crate) const AT_STACK: usize = 0x6f78_0000;
/// Its size in bytes.
pub(crate) const AT_STACK_SIZE: usize = 0x6f78_0001;
/// Bytes below it that are kept inaccessible.
pub(crate) const AT_STACK_GUARD: usize = 0x6f78_0002;

/// Ticks a second of `times`, as Linux has them.
const CLOCK_TICKS: usize = 100;

/// The words, and behind them the texts that they point to.
pub(crate) struct Block {
    start: *mut usize,
    words: usize,
    written: usize,
    text: *mut u8,
    end: *mut u8,
}

impl Block {
    /// Room for that many words and bytes of text; `None` without memory.
    pub fn new(heap: &dyn Alloc, words: usize, text: usize) -> Option<Self> {
        let start = heap.malloc(words * size_of::<usize>() + text).cast::<usize>();
        if start.is_null() {
            return None;
        }
        let behind = start.wrapping_add(words).cast::<u8>();
        Some(Self { start, words, written: 0, text: behind, end: behind.wrapping_add(text) })
    }

    fn word(&mut self, word: usize) {
        assert!(self.written < self.words, "the block has room for all words");
        // SAFETY: the place is within the allocation.
        unsafe { self.start.add(self.written).write(word) };
        self.written += 1;
    }

    /// A text with a zero byte behind it, as a word that points to it.
    fn text(&mut self, text: &[u8]) -> usize {
        let place = self.text;
        assert!(
            text.len() < self.end as usize - place as usize,
            "the block has room for all texts"
        );
        // SAFETY: the place with that many bytes and one more is within the allocation.
        unsafe {
            core::ptr::copy_nonoverlapping(text.as_ptr(), place, text.len());
            place.add(text.len()).write(0);
        }
        self.text = place.wrapping_add(text.len() + 1);
        place as usize
    }
}

/// What the auxiliary vector tells of the system: all that is no text.
pub(crate) fn auxiliary(header: &Header, entry: usize, boot: &BootInfo) -> [(usize, usize); 14] {
    [
        (AT_PHDR, core::ptr::from_ref(header) as usize + header.program_headers as usize),
        (AT_PHENT, header.program_header_size.into()),
        (AT_PHNUM, header.program_header_count.into()),
        (AT_PAGESZ, ukalloc::PAGE_SIZE),
        (AT_ENTRY, entry),
        (AT_UID, 0),
        (AT_EUID, 0),
        (AT_GID, 0),
        (AT_EGID, 0),
        (AT_CLKTCK, CLOCK_TICKS),
        (AT_SECURE, 0),
        (AT_STACK, boot.stack.start),
        (AT_STACK_SIZE, boot.stack.len()),
        (AT_STACK_GUARD, boot.stack_guard),
    ]
}

/// Lays the block out: number of arguments, arguments, environment, auxiliary vector.
pub(crate) fn lay_out(
    heap: &dyn Alloc,
    auxiliary: &[(usize, usize)],
    name: &str,
    arguments: &[&str],
    environment: &str,
    random: [u8; 16],
) -> Option<*mut usize> {
    let variables = || environment.split_ascii_whitespace();
    let words = 1 + 1 + arguments.len() + 1 + variables().count() + 1 + 2 * (auxiliary.len() + 3);
    let text = name.len() + 1 + arguments.iter().map(|a| a.len() + 1).sum::<usize>();
    let text = text + variables().map(|v| v.len() + 1).sum::<usize>() + random.len() + 1;
    let mut block = Block::new(heap, words, text)?;
    block.word(1 + arguments.len());
    let name = block.text(name.as_bytes());
    block.word(name);
    for argument in arguments {
        let argument = block.text(argument.as_bytes());
        block.word(argument);
    }
    block.word(0);
    for variable in variables() {
        let variable = block.text(variable.as_bytes());
        block.word(variable);
    }
    block.word(0);
    let random = block.text(&random);
    let own = [(AT_RANDOM, random), (AT_EXECFN, name), (AT_NULL, 0)];
    for (key, value) in auxiliary.iter().copied().chain(own) {
        block.word(key);
        block.word(value);
    }
    Some(block.start)
}

/// Calls the program with its number of arguments and its arguments. Returns only when the program
/// could not be started; `exit` ends the image.
pub fn run(
    program: &Program,
    header: &'static Header,
    entry: usize,
    arguments: &'static [&'static str],
    start: impl FnOnce(c_int, *mut *mut c_char),
) -> u8 {
    let name = ukboot::image().map_or("", |image| image.name);
    let environment = program.environment.get().unwrap_or("");
    let heap = ukalloc::for_library(program.library);
    let system = auxiliary(header, entry, BootInfo::get().unwrap_or(&BootInfo::EMPTY));
    let Some(block) = lay_out(heap, &system, name, arguments, environment, canary()) else {
        ukplat::eprintln!("there is no memory for the arguments of the application");
        return 1;
    };
    posix_thread::begin_program(name);
    // SAFETY: the block has at least the number of arguments, and what follows.
    let (count, arguments) = unsafe { (block.read(), block.add(1)) };
    start(count as c_int, arguments.cast());
    1
}

/// Bytes for the program's stack protector; from the clocks where the platform has none, which is
/// enough against accidents.
fn canary() -> [u8; 16] {
    let mut bytes = [0; 16];
    if ukplat::entropy(&mut bytes) == bytes.len() {
        return bytes;
    }
    let mix = |word: u64| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (first, second) = (mix(ukplat::ticks() ^ ukplat::wall_ns()), mix(ukplat::monotonic_ns()));
    bytes[..8].copy_from_slice(&first.to_ne_bytes());
    bytes[8..].copy_from_slice(&(first ^ second).to_ne_bytes());
    bytes
}
