//! How long the boot took, phase by phase.

use core::sync::atomic::{AtomicU64, Ordering};

use ukplat::BootInfo;

use crate::Image;

/// Phases timed at most; later ones are counted together.
const MAX_PHASES: usize = 31;

/// `TICKS[0]` is the end of the platform's entry code, `TICKS[i]` the end of phase `i - 1`.
static TICKS: [AtomicU64; MAX_PHASES + 1] = [const { AtomicU64::new(0) }; MAX_PHASES + 1];
static BOOT_TICKS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn record(point: usize) {
    TICKS[point.min(MAX_PHASES)].store(ukplat::ticks(), Ordering::Relaxed);
}

pub(crate) fn record_main(boot: &BootInfo) {
    let ticks = ukplat::ticks().wrapping_sub(boot.entry_ticks);
    BOOT_TICKS.store(ticks, Ordering::Relaxed);
}

/// Nanoseconds from the image's first instruction to the call of `main`.
pub fn boot_ns() -> u64 {
    ukplat::ticks_to_ns(BOOT_TICKS.load(Ordering::Relaxed))
}

/// Prints one line for each phase, `boot: NAME NANOSECONDS ns`; `oxk graph --boot` reads them.
pub(crate) fn print(boot: &BootInfo, image: &Image) {
    let mut last = boot.entry_ticks;
    let mut line = |name: &str, ticks: u64| {
        let ns = ukplat::ticks_to_ns(ticks.wrapping_sub(last));
        ukplat::eprintln!("boot: {:<12} {:>10} ns", name, ns);
        last = ticks;
    };
    line("entry", TICKS[0].load(Ordering::Relaxed));
    for (phase, ticks) in image.phases.iter().zip(&TICKS[1..]) {
        line(phase.name, ticks.load(Ordering::Relaxed));
    }
    ukplat::eprintln!("boot: {:<12} {:>10} ns", "total", boot_ns());
}
