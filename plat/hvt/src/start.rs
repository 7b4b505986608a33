//! From the entry code to the boot sequence.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use hvt_abi::{BootInfo as Told, PAGE, Range, WORDS_PER_PAGE};
use ukplat::boot::early_parameter;
use ukplat::{BootInfo, Exit, MemoryKind, MemoryRegion, parse_size};

#[cfg(not(feature = "smp"))]
use crate::local;
use crate::{Config, call, clock};

struct Once<T>(UnsafeCell<MaybeUninit<T>>);
// SAFETY: written once, by `start`, before anything else runs.
unsafe impl<T> Sync for Once<T> {}

static BOOT_INFO: Once<BootInfo> = Once(UnsafeCell::new(MaybeUninit::uninit()));
static MEMORY: Once<[MemoryRegion; 1]> = Once(UnsafeCell::new(MaybeUninit::uninit()));
static DOORBELL: AtomicU64 = AtomicU64::new(0);
static BIAS: AtomicUsize = AtomicUsize::new(0);

/// What faults and memory calls need of what the tender told.
pub struct Places {
    pub stack: (AtomicUsize, AtomicUsize),
    pub cpu_pages: AtomicUsize,
    pub fault_stacks: AtomicUsize,
    pub fault_stack_stride: AtomicUsize,
    pub fault_stack_len: AtomicUsize,
    pub window: (AtomicUsize, AtomicUsize),
}

pub static PLACES: Places = Places {
    stack: (AtomicUsize::new(0), AtomicUsize::new(0)),
    cpu_pages: AtomicUsize::new(0),
    fault_stacks: AtomicUsize::new(0),
    fault_stack_stride: AtomicUsize::new(0),
    fault_stack_len: AtomicUsize::new(0),
    window: (AtomicUsize::new(0), AtomicUsize::new(0)),
};

unsafe extern "C" {
    static oxikraft_data_start: u8;
    static oxikraft_data_end: u8;
}

/// Address of the doorbell.
pub fn doorbell() -> u64 {
    DOORBELL.load(Relaxed)
}

/// From addresses of the running image to those that it is linked for: what crash reports say.
pub fn bias() -> usize {
    BIAS.load(Relaxed)
}

/// Collects what the tender told and calls `boot`.
///
/// # Safety
/// Called once, as the first code of the image, with the address of the boot information.
pub unsafe fn start(
    boot_info: u64,
    entry_ticks: u64,
    config: &Config,
    boot: fn(&'static BootInfo) -> !,
) -> ! {
    // SAFETY: the tender put the boot information at the start of a page, which nobody writes.
    let page = unsafe { &*(boot_info as *const [u64; WORDS_PER_PAGE]) };
    let Ok(told) = Told::read(page) else {
        // Without boot information there is no console to say so: an invalid instruction makes the
        // tender report.
        // SAFETY: ends the guest.
        unsafe { core::arch::asm!("ud2", options(noreturn)) }
    };
    DOORBELL.store(told.doorbell, Relaxed);
    BIAS.store(told.bias as usize, Relaxed);
    note_places(&told);
    #[cfg(feature = "smp")]
    crate::cpus::init(config.cpus, told.cpus as usize);
    #[cfg(not(feature = "smp"))]
    local::PAGE.store(told.cpu_pages as usize);
    if !clock::init(told.tsc_khz, entry_ticks, told.wall_ns) {
        fail("the tender does not say how fast the time-stamp counter runs");
    }

    // SAFETY: what the tender told about; nothing else has run yet.
    let words = unsafe { words(&told) };
    let limit = early_parameter(words, "hvt.memory").and_then(parse_size);
    let limit = limit.unwrap_or(config.memory as usize);
    let (base, len) = (told.memory.start as usize, told.memory.len as usize);
    let len = len.min(limit) & !(PAGE as usize - 1);
    let initrd = (told.initrd.len > 0).then(|| {
        // SAFETY: the tender mapped the ram disk; nobody can write to it.
        unsafe {
            core::slice::from_raw_parts(told.initrd.start as *const u8, told.initrd.len as usize)
        }
    });
    // SAFETY: nothing else has run yet, so nobody holds references to the two statics.
    let info: &'static BootInfo = unsafe {
        let memory = (*MEMORY.0.get()).write([MemoryRegion { base, len, kind: MemoryKind::Free }]);
        // Only the addresses of the linker's symbols are taken.
        let data =
            (&raw const oxikraft_data_start) as usize..(&raw const oxikraft_data_end) as usize;
        let stack = told.stack.start as usize..told.stack.end() as usize;
        // The tender maps nothing in the page below.
        let stack_guard = PAGE as usize;
        let info = BootInfo {
            words,
            memory,
            initrd,
            entry_ticks,
            data,
            stack,
            stack_guard,
            ..BootInfo::EMPTY
        };
        #[cfg(feature = "devices")]
        let info = BootInfo { devices: crate::devices::list(told.devices), ..info };
        (*BOOT_INFO.0.get()).write(info)
    };
    boot(info)
}

fn note_places(told: &Told) {
    let range = |place: &(AtomicUsize, AtomicUsize), range: Range| {
        place.0.store(range.start as usize, Relaxed);
        place.1.store(range.end() as usize, Relaxed);
    };
    range(&PLACES.stack, told.stack);
    range(&PLACES.window, told.window);
    PLACES.cpu_pages.store(told.cpu_pages as usize, Relaxed);
    PLACES.fault_stacks.store(told.fault_stacks as usize, Relaxed);
    PLACES.fault_stack_stride.store(told.fault_stack_stride as usize, Relaxed);
    PLACES.fault_stack_len.store(told.fault_stack_len as usize, Relaxed);
}

/// Makes the table of the command line's words, in the room that the tender kept for it.
///
/// # Safety
/// The ranges must be as the tender gave them, and used by nobody else.
unsafe fn words(told: &Told) -> &'static [&'static str] {
    let Range { start, len } = told.words;
    // SAFETY: the tender put the words there.
    let text = unsafe { core::slice::from_raw_parts(start as *const u8, len as usize) };
    let Ok(text) = core::str::from_utf8(text) else { fail("the command line is not valid UTF-8") };
    // SAFETY: the tender kept room for so many words, aligned.
    let table = unsafe {
        core::slice::from_raw_parts_mut(
            told.word_table as *mut MaybeUninit<&'static str>,
            told.word_count as usize,
        )
    };
    let mut written = 0;
    for (slot, word) in table.iter_mut().zip(text.split_terminator('\0')) {
        slot.write(word);
        written += 1;
    }
    // SAFETY: that many words were written.
    unsafe { core::slice::from_raw_parts(table.as_ptr().cast(), written) }
}

fn fail(cause: &str) -> ! {
    ukplat::eprintln!("boot failed: {}", cause);
    call::exit(Exit::Boot.code())
}
