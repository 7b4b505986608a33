//! What a signal carries: `siginfo_t`.

use syscall_shim::{Plain, Signal, SignalCode};

/// By `kill` and `raise`.
pub const SI_USER: i32 = 0;
/// By a timer.
pub const SI_TIMER: i32 = -2;
/// By `tgkill`.
pub const SI_TKILL: i32 = -6;
/// By the system itself.
pub const SI_KERNEL: i32 = 0x80;

/// `siginfo_t` (sigaction(2)), as the kernel passes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
#[repr(C)]
pub struct Info {
    /// The signal.
    #[trace(Signal)]
    pub signal: i32,
    /// An error number; 0.
    pub errno: i32,
    /// Where it comes from.
    #[trace(SignalCode)]
    pub code: i32,
    #[trace(_)]
    pub(crate) padding: i32,
    /// What depends on the code: the sender, its user, a value.
    #[trace(_)]
    pub fields: [u64; 14],
}

impl Info {
    /// Of a signal that carries nothing else.
    pub const fn new(signal: i32, code: i32) -> Self {
        Self { signal, errno: 0, code, padding: 0, fields: [0; 14] }
    }

    /// Of a signal that this process sends.
    pub const fn from_process(signal: i32, code: i32) -> Self {
        let mut info = Self::new(signal, code);
        // Process 1 in the low half, user 0 in the high one.
        info.fields[0] = posix_thread::FIRST as u64;
        info
    }

    /// Of a timer's signal: its number, and what `sigevent` had.
    pub const fn from_timer(signal: i32, timer: i32, overrun: i32, value: u64) -> Self {
        let mut info = Self::new(signal, SI_TIMER);
        info.fields[0] = timer as u32 as u64 | (overrun as u32 as u64) << 32;
        info.fields[1] = value;
        info
    }

    /// The timer of a timer's signal.
    pub fn timer(&self) -> Option<i32> {
        (self.code == SI_TIMER).then_some(self.fields[0] as i32)
    }
}

impl Info {
    /// How often the timer expired beyond the first time.
    pub fn overrun(&self) -> i32 {
        (self.fields[0] >> 32) as i32
    }

    /// The timer expired that many times more.
    pub fn count_overruns(&mut self, times: u64) {
        let total = (self.overrun() as u64).saturating_add(times).min(i32::MAX as u64);
        self.fields[0] = self.fields[0] & 0xffff_ffff | total << 32;
    }
}
