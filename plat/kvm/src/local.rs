//! What this platform keeps for each CPU.

use ukarch_x86_64::local::CpuWord;
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
