//! The local APIC: its timer, the end of interrupts, interrupts between CPUs (Intel SDM volume 3, chapter 11).

use crate::regs::{IA32_APIC_BASE, IA32_TSC_DEADLINE, cpuid, rdmsr, wrmsr};

/// Physical address of the registers after reset.
pub const DEFAULT_BASE: u64 = 0xfee0_0000;

const EOI: usize = 0xb0;
const SPURIOUS: usize = 0xf0;
const TIMER: usize = 0x320;
const INITIAL_COUNT: usize = 0x380;
const CURRENT_COUNT: usize = 0x390;
const DIVIDE: usize = 0x3e0;

const COMMAND: usize = 0x300;
const COMMAND_TARGET: usize = 0x310;
const COMMAND_PENDING: u32 = 1 << 12;
/// Delivery modes, level "assert".
const FIXED: u32 = 1 << 14;
const INIT: u32 = 1 << 14 | 5 << 8;
const STARTUP: u32 = 1 << 14 | 6 << 8;

const MASKED: u32 = 1 << 16;
const TSC_DEADLINE_MODE: u32 = 2 << 17;
const DIVIDE_BY_16: u32 = 0b0011;

/// The timer counts once in this many cycles of its clock.
pub const TIMER_DIVIDER: u64 = 16;

/// The local APIC of the current CPU.
#[derive(Clone, Copy, Debug)]
pub struct LocalApic {
    base: usize,
    deadline_mode: bool,
    timer_vector: u8,
}

impl LocalApic {
    /// Enables the APIC with a masked timer.
    ///
    /// # Safety
    /// The CPU must be in kernel mode with an interrupt table that has both vectors, and the page
    /// at [`DEFAULT_BASE`] mapped uncached at its own address.
    pub unsafe fn enable(timer_vector: u8, spurious_vector: u8) -> Self {
        let features = cpuid(1).ecx;
        let this = Self {
            base: DEFAULT_BASE as usize,
            deadline_mode: features & 1 << 24 != 0,
            timer_vector,
        };
        // SAFETY: every 64-bit CPU has the register. Bit 11 enables; bit 10 (x2APIC) cannot be
        // cleared while enabled, so it is left as the machine gave it: off after reset.
        unsafe {
            let base = rdmsr(IA32_APIC_BASE);
            wrmsr(IA32_APIC_BASE, base & 0xfff | DEFAULT_BASE | 1 << 11);
        }
        this.write(SPURIOUS, 1 << 8 | u32::from(spurious_vector));
        this.write(DIVIDE, DIVIDE_BY_16);
        this.write(TIMER, MASKED | u32::from(timer_vector));
        this
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: the registers are mapped (promise of `enable`), and the ones used here have no
        // effect on memory.
        unsafe { ((self.base + register) as *mut u32).write_volatile(value) }
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: as in `write`.
        unsafe { ((self.base + register) as *const u32).read_volatile() }
    }

    /// Tells the APIC that the handler of an interrupt is done.
    #[inline]
    pub fn end_of_interrupt(&self) {
        self.write(EOI, 0);
    }

    /// Interrupts the CPU whose local APIC has this number.
    pub fn send(&self, apic: u8, vector: u8) {
        self.command(apic, FIXED | u32::from(vector));
    }

    /// Resets a CPU: it waits for [`Self::send_startup`].
    pub fn send_init(&self, apic: u8) {
        self.command(apic, INIT);
    }

    /// Makes a CPU that was reset run the 16-bit code at a page below 1 MiB.
    pub fn send_startup(&self, apic: u8, page: u64) {
        self.command(apic, STARTUP | (page >> 12) as u32 & 0xff);
    }

    /// Two writes that no handler may come between: called with interrupts disabled.
    fn command(&self, apic: u8, command: u32) {
        self.write(COMMAND_TARGET, u32::from(apic) << 24);
        self.write(COMMAND, command);
        while self.read(COMMAND) & COMMAND_PENDING != 0 {
            core::hint::spin_loop();
        }
    }

    /// Whether the timer takes deadlines of the time-stamp counter.
    pub fn has_deadline_mode(&self) -> bool {
        self.deadline_mode
    }

    /// Fires when the time-stamp counter reaches `tsc`. Needs [`Self::has_deadline_mode`].
    pub fn arm_deadline(&self, tsc: u64) {
        self.write(TIMER, TSC_DEADLINE_MODE | u32::from(self.timer_vector));
        // The mode must have arrived before the deadline does (SDM volume 3, section 11.5.4.1).
        core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
        // SAFETY: the CPU has the register when it has the mode. Zero would disarm.
        unsafe { wrmsr(IA32_TSC_DEADLINE, tsc.max(1)) };
    }

    /// Fires after `count` counts, each of [`TIMER_DIVIDER`] cycles of the timer's clock.
    pub fn arm_count(&self, count: u32) {
        self.write(TIMER, u32::from(self.timer_vector));
        self.write(INITIAL_COUNT, count.max(1));
    }

    /// Counts down from the largest count without ever interrupting.
    pub fn count_silently(&self) {
        self.write(TIMER, MASKED | u32::from(self.timer_vector));
        self.write(INITIAL_COUNT, u32::MAX);
    }

    /// What is left of the current count; 0 when it ran out.
    pub fn count(&self) -> u32 {
        self.read(CURRENT_COUNT)
    }

    /// Fires no more.
    pub fn disarm(&self) {
        self.write(TIMER, MASKED | u32::from(self.timer_vector));
        self.write(INITIAL_COUNT, 0);
    }
}
