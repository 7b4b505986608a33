//! Platform `hvt`: a virtual machine of the tender, our own monitor (`tools/tender`).
//!
//! The image starts in 64-bit user mode, in page tables in which its code cannot be written and its
//! data not run, and which it cannot reach. It has no interrupts of the machine and no privileged
//! instruction; the tender calls its handlers for timers and faults, and does the rest when asked
//! ([`hvt_abi`]).
//!
//! ```
//! // The generated root crate: `hvt::entry!(start, hvt::Config { … })`.
//! let config = hvt::Config { stack: 64 << 10, memory: u64::MAX, cpus: 1 };
//! assert_eq!(config.stack, 65_536);
//! ```
#![cfg_attr(not(test), no_std)]

mod call;
mod clock;
#[cfg(feature = "smp")]
mod cpus;
#[cfg(feature = "devices")]
mod devices;
mod entry;
mod faults;
mod local;
#[cfg(feature = "devices")]
mod look;
mod start;
mod timer;
mod vm;

use core::ops::Range;
#[cfg(feature = "devices")]
use core::ptr::NonNull;

use ukarch_x86_64::{context, segment};
#[cfg(feature = "devices")]
use ukplat::device::InterruptHandler;
use ukplat::rights::{Rights, RightsError};
use ukplat::stack::Frames;
use ukplat::vm::{FrameSource, VmError};
use ukplat::{Context, Exit, Platform, Stream};
#[cfg(feature = "smp")]
use ukplat::{CpuError, Word};

#[doc(hidden)]
pub use faults::on_fault;
#[doc(hidden)]
pub use hvt_abi::VERSION;
#[doc(hidden)]
pub use start::start;
#[doc(hidden)]
pub use timer::on_interrupt;
#[doc(hidden)]
pub use ukarch_x86_64::mem_symbols;

/// Parameter `hvt.memory`, in bytes.
pub static MEMORY: ukparam::Size = ukparam::Size::new();

/// Options of the platform that are needed before parameters are read.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Size of the stack of `main` in bytes.
    pub stack: u64,
    /// Default of [`MEMORY`], in bytes.
    pub memory: u64,
    /// CPUs the image uses at most.
    pub cpus: u32,
}

/// The platform.
#[derive(Debug)]
pub struct Hvt;

impl Platform for Hvt {
    const NAME: &'static str = "hvt";
    const ARCH: &'static str = "x86_64";

    fn console_write(stream: Stream, bytes: &[u8]) {
        call::console_write(stream, bytes)
    }
    fn console_read(buf: &mut [u8]) -> usize {
        call::console_read(buf)
    }

    fn console_ended() -> bool {
        call::console_ended()
    }
    #[inline]
    fn ticks() -> u64 {
        ukarch_x86_64::regs::rdtsc()
    }
    fn ticks_to_ns(ticks: u64) -> u64 {
        clock::scale().to_ns(ticks)
    }
    fn monotonic_ns() -> u64 {
        clock::monotonic_ns()
    }
    fn wall_ns() -> u64 {
        clock::wall_ns()
    }
    fn entropy(bytes: &mut [u8]) -> usize {
        ukarch_x86_64::random::fill(bytes)
    }
    fn idle_until(deadline_ns: Option<u64>) {
        timer::idle_until(deadline_ns)
    }
    fn irq_disable() -> bool {
        timer::irq_disable()
    }
    fn irq_enable() {
        timer::irq_enable()
    }
    fn timer_on_expiry(handler: fn()) {
        timer::on_expiry(handler)
    }
    fn timer_arm(deadline_ns: Option<u64>) {
        timer::arm(deadline_ns)
    }
    fn backtrace(visit: &mut dyn FnMut(usize)) {
        faults::walk_stack(ukarch_x86_64::backtrace::frame_pointer(), visit)
    }
    unsafe fn context_new(
        stack_top: usize,
        entry: extern "C" fn(usize) -> !,
        argument: usize,
    ) -> Context {
        // SAFETY: the caller's promise.
        Context::from_stack_pointer(unsafe { context::new(stack_top, entry, argument) })
    }
    #[inline(always)]
    unsafe fn context_switch(save: *mut Context, to: Context) {
        // SAFETY: the caller's promise; a context is its stack pointer.
        unsafe { context::switch(save.cast(), to.stack_pointer()) }
    }
    // The tender keeps the tables: no frames are needed.
    unsafe fn stack_guard(page: usize, on: bool, _frames: &mut Frames<'_>) -> bool {
        vm::guard(page, on)
    }
    unsafe fn set_rights(
        at: usize,
        len: usize,
        rights: Rights,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), RightsError> {
        vm::set_rights(at, len, rights)
    }
    #[inline]
    fn thread_pointer() -> usize {
        // SAFETY: the tender allows the instruction.
        unsafe { segment::fs_base() }
    }
    #[inline]
    unsafe fn set_thread_pointer(value: usize) {
        // SAFETY: the tender allows the instruction; otherwise the caller's promise.
        unsafe { segment::set_fs_base(value) }
    }

    #[cfg(feature = "smp")]
    #[inline(always)]
    fn word_load(word: Word) -> usize {
        // SAFETY: GS points to the CPU's block, whose first words are these.
        unsafe { segment::load(word as usize) }
    }
    #[cfg(feature = "smp")]
    #[inline(always)]
    fn word_store(word: Word, value: usize) {
        // SAFETY: as above.
        unsafe { segment::store(word as usize, value) }
    }
    #[cfg(feature = "smp")]
    #[inline(always)]
    fn word_add(word: Word, value: usize) {
        // SAFETY: as above.
        unsafe { segment::add(word as usize, value) }
    }
    #[cfg(feature = "smp")]
    #[inline(always)]
    fn cpu_id() -> usize {
        local::CPU_ID.load()
    }
    #[cfg(feature = "smp")]
    fn cpu_count() -> usize {
        cpus::count()
    }
    #[cfg(feature = "smp")]
    unsafe fn cpu_start(
        cpu: usize,
        stack_top: usize,
        entry: extern "C" fn(usize) -> !,
        argument: usize,
    ) -> Result<(), CpuError> {
        // SAFETY: the caller's promise.
        unsafe { cpus::start(cpu, stack_top, entry, argument) }
    }
    #[cfg(feature = "smp")]
    fn cpu_interrupt(cpu: usize) {
        cpus::interrupt(cpu)
    }
    #[cfg(feature = "smp")]
    fn on_cpu_interrupt(handler: fn()) {
        cpus::on_interrupt(handler)
    }
    fn terminate(exit: Exit) -> ! {
        call::exit(exit.code())
    }
    fn vm_window() -> Range<usize> {
        vm::window()
    }
    unsafe fn vm_prepare(base: usize, len: usize) -> Result<(), VmError> {
        vm::prepare(base, len)
    }
    unsafe fn vm_alias(
        at: usize,
        memory: usize,
        len: usize,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), VmError> {
        vm::alias(at, memory, len)
    }
    unsafe fn vm_revoke(
        at: usize,
        len: usize,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), VmError> {
        vm::revoke(at, len)
    }

    #[cfg(feature = "devices")]
    fn map_registers(address: u64, len: usize, _frames: &mut Frames<'_>) -> Option<NonNull<u8>> {
        devices::registers(address, len)
    }
    // Devices know memory by the addresses of the image: the default of `device_address`.
    #[cfg(feature = "devices")]
    fn line_interrupt(line: u32, handler: &'static dyn InterruptHandler) -> bool {
        devices::listen(line, handler)
    }
}

/// What the tender is told of the image: bits of [`hvt_abi::ImageNote::flags`].
#[doc(hidden)]
pub const NOTE_FLAGS: u64 = if cfg!(feature = "devices") { hvt_abi::NOTE_HAS_DRIVERS } else { 0 };
