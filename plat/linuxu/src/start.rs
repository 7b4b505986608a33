//! From the process entry to the boot sequence.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::sync::atomic::Ordering;

use ukplat::boot::early_parameter;
use ukplat::memory::PAGE_SIZE;
use ukplat::{BootInfo, Exit, MemoryKind, MemoryRegion, parse_size};

use crate::{Config, clock, faults, initrd, sys};

/// Auxiliary vector entry with the address of the vDSO (getauxval(3)).
const AT_SYSINFO_EHDR: usize = 33;
/// The one with the address of the program's name.
const AT_EXECFN: usize = 31;

/// The limit of the stack (`asm-generic/resource.h`).
const RLIMIT_STACK: usize = 3;
/// Limits up to which the kernel keeps the addresses below the stack free for it.
const MOST: usize = 1 << 40;
/// What it keeps free in any case (`MIN_GAP` of arch/x86/mm/mmap.c).
const UNLIMITED: usize = 128 << 20;

struct Once<T>(UnsafeCell<MaybeUninit<T>>);
// SAFETY: written once, by `start`, before anything else runs.
unsafe impl<T> Sync for Once<T> {}

static BOOT_INFO: Once<BootInfo> = Once(UnsafeCell::new(MaybeUninit::uninit()));
static MEMORY: Once<[MemoryRegion; 1]> = Once(UnsafeCell::new(MaybeUninit::uninit()));

unsafe extern "C" {
    static oxikraft_data_start: u8;
    static oxikraft_data_end: u8;
}

/// A value of the auxiliary vector.
pub fn auxiliary(tag: usize) -> Option<usize> {
    let stack = faults::STACK_TOP.load(Ordering::Relaxed) as *const usize;
    if stack.is_null() {
        return None; // not started by `start`, as in unit tests
    }
    // SAFETY: `start` stored the initial stack pointer. There lie argc, argv and a null,
    // environment and a null, auxiliary vector (x86-64 psABI section 3.4.1); all of it stays for
    // the life of the process.
    unsafe {
        let mut cursor = stack.add(1 + *stack + 1);
        while *cursor != 0 {
            cursor = cursor.add(1);
        }
        let mut entry = cursor.add(1).cast::<[usize; 2]>();
        while (*entry)[0] != 0 {
            if (*entry)[0] == tag {
                return Some((*entry)[1]);
            }
            entry = entry.add(1);
        }
    }
    None
}

/// Collects what the kernel gave and calls `boot`.
///
/// # Safety
/// Called once, as the first code of the process, with the initial stack pointer.
pub unsafe fn start(stack: *const usize, config: &Config, boot: fn(&'static BootInfo) -> !) -> ! {
    #[cfg(feature = "smp")]
    crate::cpus::init(config.cpus);
    let entry_ticks = clock::monotonic_ns();
    faults::STACK_TOP.store(stack as usize, Ordering::Relaxed);
    // SAFETY: the initial stack holds argc, then argv (x86-64 psABI section 3.4.1); both stay for
    // the life of the process.
    let (argc, argv) = unsafe { (*stack, stack.add(1).cast::<*const c_char>()) };
    if let Some(vdso) = auxiliary(AT_SYSINFO_EHDR) {
        clock::VDSO.store(vdso, Ordering::Relaxed);
    }

    // One mapping holds the table of words and, after it, the memory for the heaps. Until the
    // memory parameter is known the words are counted, not stored.
    let table_len = (argc * size_of::<&str>()).next_multiple_of(PAGE_SIZE);
    let Some(table) = sys::map_memory(table_len.max(PAGE_SIZE)) else {
        fail("cannot get memory for the command line from the host")
    };
    // SAFETY: the mapping is fresh, aligned and large enough for `argc` words.
    let words =
        unsafe { core::slice::from_raw_parts_mut(table as *mut MaybeUninit<&'static str>, argc) };
    for (index, word) in words.iter_mut().enumerate() {
        // SAFETY: argv has argc valid C strings.
        let text = unsafe { CStr::from_ptr(*argv.add(index)) };
        match text.to_str() {
            Ok(text) => word.write(text),
            Err(_) => fail("the command line is not valid UTF-8"),
        };
    }
    // SAFETY: every word was written by the loop.
    let words: &'static [&'static str] =
        unsafe { core::slice::from_raw_parts(words.as_ptr().cast(), argc) };

    // A wrong value is reported, with what is expected, by the parameter phase.
    let wanted = early_parameter(words, "linuxu.memory").and_then(parse_size);
    let size = wanted.filter(|s| *s >= PAGE_SIZE).unwrap_or(config.memory as usize);
    let len = size & !(PAGE_SIZE - 1);
    let Some(base) = sys::map_memory(len) else {
        fail("cannot get that much memory from the host: lower linuxu.memory")
    };
    let initrd = early_parameter(words, "linuxu.initrd").unwrap_or(config.initrd);
    let initrd = Some(initrd).filter(|path| !path.is_empty());
    let initrd = initrd.map(|path| initrd::map(path).unwrap_or_else(|cause| fail(cause)));
    // SAFETY: nothing else has run yet, so nobody holds references to the two statics.
    let info: &'static BootInfo = unsafe {
        let memory = (*MEMORY.0.get()).write([MemoryRegion { base, len, kind: MemoryKind::Free }]);
        // Only the addresses of the linker's symbols are taken.
        let data =
            (&raw const oxikraft_data_start) as usize..(&raw const oxikraft_data_end) as usize;
        let stack = stack_around(stack as usize);
        let info = BootInfo { words, memory, initrd, entry_ticks, data, stack, ..BootInfo::EMPTY };
        (*BOOT_INFO.0.get()).write(info)
    };
    boot(info)
}

/// The stack of the process: from where the kernel lets it grow to the end of the page that it begins
/// in. Above are only the texts of arguments and environment.
fn stack_around(initial: usize) -> Range<usize> {
    let page = initial & !(PAGE_SIZE - 1);
    let mut limit = [0u64; 2];
    // SAFETY: the kernel fills the two words.
    unsafe { sys::call(sys::GETRLIMIT, [RLIMIT_STACK, limit.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    let limit = usize::try_from(limit[0]).ok().filter(|limit| *limit <= MOST);
    // The kernel counts from the end of the stack: there it puts the name of the program first, below
    // a null pointer (fs/exec.c, `bprm_mm_init` and what follows).
    let end = match auxiliary(AT_EXECFN) {
        Some(name) if name >= initial => {
            // SAFETY: a text that stays for the life of the process.
            let name = unsafe { CStr::from_ptr(name as *const c_char) };
            name.as_ptr() as usize + name.count_bytes() + 1 + size_of::<usize>()
        }
        _ => initial,
    };
    let end = end.next_multiple_of(PAGE_SIZE);
    let start = end.saturating_sub(limit.unwrap_or(UNLIMITED)).next_multiple_of(PAGE_SIZE);
    start.min(page)..page + PAGE_SIZE
}

fn fail(cause: &str) -> ! {
    ukplat::eprintln!("boot failed: {}", cause);
    sys::exit_group(Exit::Boot.code())
}
