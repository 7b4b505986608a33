//! The page that a CPU of the guest shares with the tender: index of each of its words.
//!
//! The guest writes and reads it as it likes. The tender reads and writes it only while the CPU does
//! not run, or [looks](LOOKING), and takes nothing for granted that it finds there.

/// The first so many words are the guest's own: the tender never looks at them.
pub const OWN_WORDS: usize = 14;

/// Not 0 while the guest takes interrupts. The tender sets it to 0 when it makes the guest run the
/// image's interrupt handler.
pub const ENABLED: usize = 14;
/// Interrupts that came while they were disabled; the guest takes and clears bits.
pub const PENDING: usize = 15;
/// Bit of [`PENDING`]: the CPU's timer expired.
pub const PENDING_TIMER: u64 = 1;
/// Bit of [`PENDING`]: another CPU asked for attention.
pub const PENDING_CPU: u64 = 2;
/// Bit of [`PENDING`]: a device completed something. Devices interrupt CPU 0.
pub const PENDING_DEVICE: u64 = 4;
/// Bit of [`PENDING`], of CPU 0 alone: whoever started the guest wants it to stop.
pub const PENDING_STOP: u64 = 8;

/// What the guest asks for: a [`Call`](crate::Call) as number.
pub const CALL: usize = 16;
/// Arguments of the call.
pub const ARGUMENTS: usize = 17;
/// Number of arguments.
pub const ARGUMENT_COUNT: usize = 4;
/// How the call ended: 0, or a [`CallError`](crate::CallError) as number.
pub const STATUS: usize = 21;
/// What the call gave.
pub const RESULT: usize = 22;

/// Not 0 while the guest, with interrupts disabled, looks at [`PENDING`] all the time: devices then
/// set their bit and need not stop the CPU. It looks once more after it has set this to 0.
pub const LOOKING: usize = 23;

/// Number of the exception that the image's fault handler is called for (Intel SDM volume 3,
/// table 6-1).
pub const FAULT_VECTOR: usize = 32;
/// Its error code.
pub const FAULT_ERROR: usize = 33;
/// For page faults the address.
pub const FAULT_ADDRESS: usize = 34;
/// The interrupted instruction.
pub const FAULT_RIP: usize = 35;
/// Flags.
pub const FAULT_RFLAGS: usize = 36;
/// Stack pointer.
pub const FAULT_RSP: usize = 37;
/// rax, rbx, rcx, rdx, rsi, rdi, rbp, r8 to r15.
pub const FAULT_REGISTERS: usize = 38;
/// Number of registers.
pub const REGISTER_COUNT: usize = 15;
