//! What this platform keeps for each CPU. With several, segment GS points to the page that the CPU
//! shares with the tender; its first words are the image's own, and each access is one instruction,
//! between whose parts no flow can move to another CPU.

use core::sync::atomic::AtomicU64;
#[cfg(not(feature = "smp"))]
use core::sync::atomic::Ordering::Relaxed;

use hvt_abi::WORDS_PER_PAGE;
use hvt_abi::cpu_page::{ENABLED, OWN_WORDS, PENDING};
use ukarch_x86_64::local::CpuWord;
#[cfg(feature = "smp")]
use ukarch_x86_64::segment;
use ukplat::WORDS;

/// Number of the CPU.
#[cfg(feature = "smp")]
pub static CPU_ID: CpuWord = CpuWord::new(WORDS);
/// Monotonic time at which the user of the timer wants to be called, all bits inverted, so that 0
/// is never.
pub static DEADLINE: CpuWord = CpuWord::new(WORDS + 1);
/// End of the stack that the CPU was started with; 0 for the one that boots.
#[cfg(feature = "smp")]
pub static STACK_TOP: CpuWord = CpuWord::new(WORDS + 2);
/// Address of the CPU's page.
pub static PAGE: CpuWord = CpuWord::new(WORDS + 3);

const _: () = assert!(WORDS + 4 <= OWN_WORDS);

/// The page that the current CPU shares with the tender. Interrupts must be disabled where there are
/// several CPUs.
#[inline(always)]
pub fn page() -> &'static [AtomicU64; WORDS_PER_PAGE] {
    // SAFETY: `start` and `cpus` store the address of a page that is mapped for ever and whose
    // words are only ever accessed as atomic ones.
    unsafe { &*(PAGE.load() as *const [AtomicU64; WORDS_PER_PAGE]) }
}

#[inline(always)]
fn load(index: usize) -> u64 {
    // SAFETY: GS points to the CPU's page.
    #[cfg(feature = "smp")]
    return unsafe { segment::load(index) as u64 };
    #[cfg(not(feature = "smp"))]
    page()[index].load(Relaxed)
}

/// Whether the current CPU takes interrupts.
#[inline(always)]
pub fn is_enabled() -> bool {
    load(ENABLED) != 0
}

/// Whether an interrupt came that the current CPU did not take.
#[inline(always)]
pub fn is_pending() -> bool {
    load(PENDING) != 0
}

/// Makes the current CPU take interrupts, or not.
#[inline(always)]
pub fn set_enabled(enabled: bool) {
    let value = u64::from(enabled);
    // SAFETY: as above.
    #[cfg(feature = "smp")]
    unsafe {
        segment::store(ENABLED, value as usize)
    };
    #[cfg(not(feature = "smp"))]
    page()[ENABLED].store(value, Relaxed);
}
