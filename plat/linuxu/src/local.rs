//! What this platform keeps for each CPU, that is: for each host thread.

use ukarch_x86_64::local::CpuWord;
use ukplat::WORDS;

/// Number of the CPU.
#[cfg(feature = "smp")]
pub static CPU_ID: CpuWord = CpuWord::new(WORDS);
/// Not 0 while interrupts are enabled.
pub static ENABLED: CpuWord = CpuWord::new(WORDS + 1);
/// Not 0 when the timer's signal came while interrupts were disabled.
pub static TIMER_PENDING: CpuWord = CpuWord::new(WORDS + 2);
/// Not 0 when another CPU, which sets it, interrupts this one and the handler has not begun.
#[cfg(feature = "smp")]
pub static CPU_PENDING: CpuWord = CpuWord::new(CPU_PENDING_WORD);
#[cfg(feature = "smp")]
pub const CPU_PENDING_WORD: usize = WORDS + 3;
/// The kernel's number of the timer plus one; 0 when there is none yet.
pub static TIMER: CpuWord = CpuWord::new(WORDS + 4);
/// Start of the stack for fault handlers.
#[cfg(feature = "smp")]
pub static FAULT_STACK: CpuWord = CpuWord::new(WORDS + 5);
/// End of the stack that the CPU was started with; 0 for the one that boots.
#[cfg(feature = "smp")]
pub static STACK_TOP: CpuWord = CpuWord::new(WORDS + 6);
