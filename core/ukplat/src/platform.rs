//! The trait a platform implements, its binding, and the functions the other libraries call.

use core::ops::Range;
use core::ptr::NonNull;

use crate::console::Stream;
use crate::context::Context;
use crate::cpu::CpuError;
use crate::device::{self, InterruptHandler, Message};
use crate::exit::Exit;
use crate::local::{Word, single};
use crate::rights::{Rights, RightsError};
use crate::stack::Frames;
use crate::syscall::{Handler, TrapError};
use crate::vm::{self, FrameSource, VmError};

/// What a platform gives. All functions are called after the platform's own entry code ran.
///
/// Times are in nanoseconds unless they are *ticks*, the unit of the platform's cheapest counter.
pub trait Platform {
    /// Name as used in manifests: `linuxu`, `kvm` …
    const NAME: &'static str;
    /// Architecture as used in manifests.
    const ARCH: &'static str;

    /// Writes all of `bytes`; what the console cannot take is lost, never an error.
    fn console_write(stream: Stream, bytes: &[u8]);
    /// Takes at most `buf.len()` bytes that have arrived, without waiting; returns how many.
    fn console_read(buf: &mut [u8]) -> usize;
    /// Whether nothing will arrive on the console any more: its other end is closed. `false` where
    /// the machine cannot tell.
    #[inline]
    fn console_ended() -> bool {
        false
    }

    /// Reads the cheapest monotonic counter of the machine. Valid from the first instruction on.
    fn ticks() -> u64;
    /// Converts a difference of [`Platform::ticks`] to nanoseconds.
    fn ticks_to_ns(ticks: u64) -> u64;
    /// Nanoseconds since an arbitrary point before boot; never goes back.
    fn monotonic_ns() -> u64;
    /// Nanoseconds since 1970-01-01T00:00:00 UTC, before anybody [sets](crate::set_wall_ns) them.
    fn wall_ns() -> u64;

    /// See [`crate::entropy`]. The default is for platforms that have none.
    fn entropy(bytes: &mut [u8]) -> usize {
        let _ = bytes;
        0
    }

    /// Waits without using the CPU until an interrupt was handled or the monotonic clock reaches
    /// `deadline_ns`. May return early; the caller checks its condition again. With `None` and
    /// nothing that could wake it, waits for ever. Some platforms end it also when the console has
    /// input that [`Platform::console_read`] did not find before. Called with interrupts enabled or disabled;
    /// pending interrupts are handled before it returns.
    fn idle_until(deadline_ns: Option<u64>);

    /// See [`crate::relax`].
    #[inline(always)]
    fn relax() {
        core::hint::spin_loop();
    }

    /// Disables interrupts on this CPU; returns whether they were enabled.
    fn irq_disable() -> bool;
    /// Enables interrupts on this CPU; what is pending is handled at once.
    fn irq_enable();

    /// Sets the function that the timer interrupt calls, with interrupts disabled. It must not
    /// allocate or wait; it may arm the timer again.
    fn timer_on_expiry(handler: fn());
    /// Arms this CPU's one-shot timer for the monotonic time `deadline_ns`, or disarms it.
    fn timer_arm(deadline_ns: Option<u64>);

    /// Calls `visit` with the return addresses of the calling functions, innermost first.
    fn backtrace(visit: &mut dyn FnMut(usize));

    /// See [`Context::new`].
    ///
    /// # Safety
    /// See there.
    unsafe fn context_new(
        stack_top: usize,
        entry: extern "C" fn(usize) -> !,
        argument: usize,
    ) -> Context;
    /// See [`crate::context::switch`].
    ///
    /// # Safety
    /// See there.
    unsafe fn context_switch(save: *mut Context, to: Context);
    /// See [`crate::stack::guard`].
    ///
    /// # Safety
    /// See there.
    unsafe fn stack_guard(page: usize, on: bool, frames: &mut Frames<'_>) -> bool {
        let _ = (page, on, frames);
        false
    }
    /// See [`crate::rights::set`].
    ///
    /// # Errors
    /// See there.
    ///
    /// # Safety
    /// See there.
    unsafe fn set_rights(
        at: usize,
        len: usize,
        rights: Rights,
        frames: &mut dyn FrameSource,
    ) -> Result<(), RightsError> {
        let _ = (at, len, rights, frames);
        Err(RightsError::Unsupported)
    }
    /// The thread pointer, from which compiled code reaches thread-local variables.
    fn thread_pointer() -> usize;
    /// Sets the thread pointer.
    ///
    /// # Safety
    /// Code that uses thread-local variables must find there what it expects.
    unsafe fn set_thread_pointer(value: usize);

    /// See [`crate::syscall::handle_with`].
    ///
    /// # Errors
    /// See there.
    fn trap_syscalls(handler: Handler) -> Result<(), TrapError> {
        let _ = handler;
        Err(TrapError::Unsupported)
    }

    /// The current CPU's word. The default is for platforms with one CPU; with several, each of
    /// these three is one instruction as far as moving between CPUs goes.
    #[inline(always)]
    fn word_load(word: Word) -> usize {
        single::load(word)
    }
    /// Sets the current CPU's word.
    #[inline(always)]
    fn word_store(word: Word, value: usize) {
        single::store(word, value)
    }
    /// Adds to the current CPU's word, wrapping around.
    #[inline(always)]
    fn word_add(word: Word, value: usize) {
        single::add(word, value)
    }

    /// See [`crate::cpu_id`].
    #[inline(always)]
    fn cpu_id() -> usize {
        0
    }
    /// See [`crate::cpu_count`]; from 1 to [`crate::cpu::MAX_CPUS`].
    #[inline(always)]
    fn cpu_count() -> usize {
        1
    }
    /// See [`crate::cpu_start`]; the number is from 1 to the count of CPUs.
    ///
    /// # Errors
    /// See [`CpuError`].
    ///
    /// # Safety
    /// See there.
    unsafe fn cpu_start(
        cpu: usize,
        stack_top: usize,
        entry: extern "C" fn(usize) -> !,
        argument: usize,
    ) -> Result<(), CpuError> {
        let _ = (cpu, stack_top, entry, argument);
        Err(CpuError::NoSuchCpu)
    }
    /// See [`crate::cpu_interrupt`].
    fn cpu_interrupt(cpu: usize) {
        let _ = cpu;
    }
    /// See [`crate::on_cpu_interrupt`].
    fn on_cpu_interrupt(handler: fn()) {
        let _ = handler;
    }
    /// See [`crate::tlb_flush_others`].
    #[cfg(feature = "smp")]
    fn tlb_flush_others(range: Range<usize>) {
        let _ = range;
    }

    /// Ends the image; the exit code reaches whoever started it.
    fn terminate(exit: Exit) -> !;

    /// See [`vm::window`]. Platforms that provide the interface `vm` define this and the three
    /// functions that follow.
    fn vm_window() -> Range<usize> {
        0..0
    }
    /// See [`vm::prepare`].
    ///
    /// # Errors
    /// See there.
    ///
    /// # Safety
    /// See there.
    unsafe fn vm_prepare(_base: usize, _len: usize) -> Result<(), VmError> {
        Err(VmError::Unsupported)
    }
    /// See [`vm::alias`].
    ///
    /// # Errors
    /// See there.
    ///
    /// # Safety
    /// See there.
    unsafe fn vm_alias(
        _at: usize,
        _memory: usize,
        _len: usize,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), VmError> {
        Err(VmError::Unsupported)
    }
    /// See [`vm::revoke`].
    ///
    /// # Errors
    /// See there.
    ///
    /// # Safety
    /// See there.
    unsafe fn vm_revoke(
        _at: usize,
        _len: usize,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), VmError> {
        Err(VmError::Unsupported)
    }

    /// Makes registers of devices accessible, uncached, at an address of the platform's choice; see
    /// [`device::Registers::map`]. Registers stay mapped. Never maps memory that the
    /// [memory map](crate::memory) lists as anything but reserved, nor registers of the platform's
    /// own: with the result safe code does what it likes.
    fn map_registers(physical: u64, len: usize, frames: &mut Frames<'_>) -> Option<NonNull<u8>> {
        let _ = (physical, len, frames);
        None
    }
    /// See [`device::address`]. The default is for platforms whose memory is at its physical address.
    #[inline]
    fn device_address(start: usize, len: usize) -> Option<(u64, usize)> {
        Some((start as u64, len))
    }
    /// See [`device::message_interrupt`].
    fn message_interrupt(handler: &'static dyn InterruptHandler) -> Option<Message> {
        let _ = handler;
        None
    }
    /// See [`device::line_interrupt`].
    fn line_interrupt(line: u32, handler: &'static dyn InterruptHandler) -> bool {
        let _ = (line, handler);
        false
    }
}

/// The functions of one platform, as the linker sees them. Made by [`bind!`](crate::bind).
pub struct PlatformTable {
    name: &'static str,
    arch: &'static str,
    console_write: fn(Stream, &[u8]),
    console_read: fn(&mut [u8]) -> usize,
    console_ended: fn() -> bool,
    ticks: fn() -> u64,
    ticks_to_ns: fn(u64) -> u64,
    monotonic_ns: fn() -> u64,
    wall_ns: fn() -> u64,
    entropy: fn(&mut [u8]) -> usize,
    idle_until: fn(Option<u64>),
    relax: fn(),
    pub(crate) irq_disable: fn() -> bool,
    pub(crate) irq_enable: fn(),
    timer_on_expiry: fn(fn()),
    timer_arm: fn(Option<u64>),
    backtrace: fn(&mut dyn FnMut(usize)),
    pub(crate) context_new: unsafe fn(usize, extern "C" fn(usize) -> !, usize) -> Context,
    pub(crate) context_switch: unsafe fn(*mut Context, Context),
    pub(crate) stack_guard: unsafe fn(usize, bool, &mut Frames<'_>) -> bool,
    pub(crate) set_rights:
        unsafe fn(usize, usize, Rights, &mut dyn FrameSource) -> Result<(), RightsError>,
    thread_pointer: fn() -> usize,
    set_thread_pointer: unsafe fn(usize),
    pub(crate) trap_syscalls: fn(Handler) -> Result<(), TrapError>,
    pub(crate) word_load: fn(Word) -> usize,
    pub(crate) word_store: fn(Word, usize),
    pub(crate) word_add: fn(Word, usize),
    #[cfg(feature = "smp")]
    pub(crate) cpu_id: fn() -> usize,
    #[cfg(feature = "smp")]
    pub(crate) cpu_count: fn() -> usize,
    pub(crate) cpu_start:
        unsafe fn(usize, usize, extern "C" fn(usize) -> !, usize) -> Result<(), CpuError>,
    pub(crate) cpu_interrupt: fn(usize),
    pub(crate) on_cpu_interrupt: fn(fn()),
    #[cfg(feature = "smp")]
    pub(crate) tlb_flush_others: fn(Range<usize>),
    terminate: fn(Exit) -> !,
    pub(crate) vm: vm::Table,
    pub(crate) device: device::Table,
}

impl PlatformTable {
    /// The table of platform `P`.
    pub const fn of<P: Platform>() -> Self {
        Self {
            name: P::NAME,
            arch: P::ARCH,
            console_write: P::console_write,
            console_read: P::console_read,
            console_ended: P::console_ended,
            ticks: P::ticks,
            ticks_to_ns: P::ticks_to_ns,
            monotonic_ns: P::monotonic_ns,
            wall_ns: P::wall_ns,
            entropy: P::entropy,
            idle_until: P::idle_until,
            relax: P::relax,
            irq_disable: P::irq_disable,
            irq_enable: P::irq_enable,
            timer_on_expiry: P::timer_on_expiry,
            timer_arm: P::timer_arm,
            backtrace: P::backtrace,
            context_new: P::context_new,
            context_switch: P::context_switch,
            stack_guard: P::stack_guard,
            set_rights: P::set_rights,
            thread_pointer: P::thread_pointer,
            set_thread_pointer: P::set_thread_pointer,
            trap_syscalls: P::trap_syscalls,
            word_load: P::word_load,
            word_store: P::word_store,
            word_add: P::word_add,
            #[cfg(feature = "smp")]
            cpu_id: P::cpu_id,
            #[cfg(feature = "smp")]
            cpu_count: P::cpu_count,
            cpu_start: P::cpu_start,
            cpu_interrupt: P::cpu_interrupt,
            on_cpu_interrupt: P::on_cpu_interrupt,
            #[cfg(feature = "smp")]
            tlb_flush_others: P::tlb_flush_others,
            terminate: P::terminate,
            vm: vm::Table {
                window: P::vm_window,
                prepare: P::vm_prepare,
                alias: P::vm_alias,
                revoke: P::vm_revoke,
            },
            device: device::Table {
                map_registers: P::map_registers,
                address: P::device_address,
                message_interrupt: P::message_interrupt,
                line_interrupt: P::line_interrupt,
            },
        }
    }
}

/// Binds the platform of the image. Expanded exactly once, in the generated root crate.
#[macro_export]
macro_rules! bind {
    ($platform:ty) => {
        #[unsafe(no_mangle)]
        static OXIKRAFT_PLATFORM: $crate::PlatformTable = $crate::PlatformTable::of::<$platform>();
    };
}

unsafe extern "Rust" {
    static OXIKRAFT_PLATFORM: PlatformTable;
}

#[inline(always)]
pub(crate) fn bound() -> &'static PlatformTable {
    // SAFETY: `bind!` defines the symbol with exactly this type (both are written in this file),
    // as an immutable static; a second definition or none is a link error.
    unsafe { &OXIKRAFT_PLATFORM }
}

/// Name of the platform, as in the manifest.
pub fn name() -> &'static str {
    bound().name
}

/// Name of the architecture, as in the manifest.
pub fn arch() -> &'static str {
    bound().arch
}

/// Writes to the console; see [`Platform::console_write`].
pub fn console_write(stream: Stream, bytes: &[u8]) {
    (bound().console_write)(stream, bytes)
}

/// Reads what has arrived on the console; see [`Platform::console_read`].
pub fn console_read(buf: &mut [u8]) -> usize {
    (bound().console_read)(buf)
}

/// Whether nothing will arrive on the console any more; see [`Platform::console_ended`].
pub fn console_ended() -> bool {
    (bound().console_ended)()
}

/// The cheapest counter; see [`Platform::ticks`].
#[inline]
pub fn ticks() -> u64 {
    (bound().ticks)()
}

/// Converts a difference of [`ticks`] to nanoseconds.
pub fn ticks_to_ns(ticks: u64) -> u64 {
    (bound().ticks_to_ns)(ticks)
}

/// Monotonic time in nanoseconds.
#[inline]
pub fn monotonic_ns() -> u64 {
    (bound().monotonic_ns)()
}

/// Wall-clock time as the machine has it.
pub(crate) fn machine_wall_ns() -> u64 {
    (bound().wall_ns)()
}

/// Fills the beginning of `bytes` with what nobody can predict, from the CPU and the host; returns how
/// many bytes. Slow: for seeds. Fewer than asked for, or 0, where there is no such source.
pub fn entropy(bytes: &mut [u8]) -> usize {
    (bound().entropy)(bytes)
}

/// Waits for an event or a deadline; see [`Platform::idle_until`]. Where the image was
/// [asked to stop](crate::stop), it stops here.
pub fn idle_until(deadline_ns: Option<u64>) {
    #[cfg(feature = "cpu-time")]
    crate::busy::idle();
    (bound().idle_until)(deadline_ns);
    #[cfg(feature = "cpu-time")]
    crate::busy::run();
    crate::stop::check();
    crate::preempt::check();
}

/// To be called in a loop that waits for another CPU and went round for some time already: where
/// CPUs are threads of a host that has fewer of its own, as on `linuxu`, lets another one run, which
/// may be the one that is waited for.
///
/// ```
/// let mut looks = 0;
/// while ukplat::monotonic_ns() == 0 {
///     looks += 1;
///     if looks > 100 { ukplat::relax() } else { core::hint::spin_loop() }
/// }
/// ```
#[inline]
pub fn relax() {
    (bound().relax)()
}

/// Sets the function called by the timer interrupt; see [`Platform::timer_on_expiry`].
pub fn timer_on_expiry(handler: fn()) {
    (bound().timer_on_expiry)(handler)
}

/// Arms or disarms the one-shot timer; see [`Platform::timer_arm`].
pub fn timer_arm(deadline_ns: Option<u64>) {
    (bound().timer_arm)(deadline_ns)
}

/// Visits the return addresses of the callers; see [`Platform::backtrace`].
pub fn backtrace(visit: &mut dyn FnMut(usize)) {
    (bound().backtrace)(visit)
}

/// The thread pointer; see [`Platform::thread_pointer`].
#[inline]
pub fn thread_pointer() -> usize {
    (bound().thread_pointer)()
}

/// Sets the thread pointer of the running flow.
///
/// # Safety
/// Code that uses thread-local variables must find there what it expects.
#[inline]
pub unsafe fn set_thread_pointer(value: usize) {
    // SAFETY: the caller's promise.
    unsafe { (bound().set_thread_pointer)(value) }
}

/// Ends the image with `exit`.
pub fn terminate(exit: Exit) -> ! {
    (bound().terminate)(exit)
}
