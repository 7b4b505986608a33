//! From the process entry to the boot sequence.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering;

use ukplat::boot::early_parameter;
use ukplat::memory::PAGE_SIZE;
use ukplat::{BootInfo, Exit, MemoryKind, MemoryRegion, parse_size};

use crate::{Config, clock, faults, initrd, sys};

/// Auxiliary vector entry with the address of the vDSO (getauxval(3)).
const AT_SYSINFO_EHDR: usize = 33;

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
        let stack_top = stack as usize;
        let info =
            BootInfo { words, memory, initrd, entry_ticks, data, stack_top, ..BootInfo::EMPTY };
        (*BOOT_INFO.0.get()).write(info)
    };
    boot(info)
}

fn fail(cause: &str) -> ! {
    ukplat::eprintln!("boot failed: {}", cause);
    sys::exit_group(Exit::Boot.code())
}
