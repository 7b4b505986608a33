//! Platform `kvm`: a virtual machine that enters the image by the PVH boot protocol.
//!
//! QEMU (q35 and microvm), Firecracker and Cloud Hypervisor load the ELF image, find its PVH note
//! and jump to its 32-bit entry. From there: long mode, a map of memory, page tables of our own
//! (code cannot be written, data not run, guard pages below every stack), interrupt tables with a
//! stack for each kind of trap, serial console, TSC clock, local APIC timer.
//!
//! ```
//! // The generated root crate: `kvm::entry!(start, kvm::Config { … })`.
//! let config = kvm::Config { stack: 64 << 10, memory: u64::MAX, tsc_khz: 0, cpus: 1 };
//! assert_eq!(config.stack, 65_536);
//! ```
#![cfg_attr(not(test), no_std)]

mod acpi;
mod button;
mod clock;
#[cfg(feature = "smp")]
mod cpus;
#[cfg(any(feature = "devices", test))]
mod devices;
mod entry;
mod firmware;
mod frames;
mod guard;
mod interrupts;
mod local;
mod power;
mod preempt;
pub mod pvh;
#[cfg(feature = "devices")]
mod registers;
mod serial;
mod start;
#[cfg(feature = "trap")]
mod syscall;
mod thread;
#[cfg(feature = "smp")]
mod trampoline;
mod traps;
mod vm;

use core::ops::Range;
#[cfg(feature = "devices")]
use core::ptr::NonNull;

use ukarch_x86_64::context;
#[cfg(feature = "smp")]
use ukarch_x86_64::segment;
#[cfg(feature = "devices")]
use ukplat::device::{InterruptHandler, Message};
use ukplat::rights::{Rights, RightsError};
use ukplat::stack::Frames;
#[cfg(feature = "trap")]
use ukplat::syscall::{Handler, TrapError};
use ukplat::vm::{FrameSource, VmError};
use ukplat::{Context, Exit, Platform, Stream};
#[cfg(feature = "smp")]
use ukplat::{CpuError, Word};

pub use clock::init_clock;
#[doc(hidden)]
pub use entry::BootStack;
#[doc(hidden)]
pub use start::start;
#[doc(hidden)]
pub use traps::on_trap;
#[doc(hidden)]
pub use ukarch_x86_64::{mem_symbols, trap_handler};

/// Parameter `kvm.memory`, in bytes.
pub static MEMORY: ukparam::Size = ukparam::Size::new();
/// Parameter `kvm.tsc-khz`.
pub static TSC_KHZ: ukparam::Int = ukparam::Int::new();

/// Options of the platform that are needed before parameters are read.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Size of the stack of `main` in bytes.
    pub stack: u64,
    /// Default of [`MEMORY`], in bytes.
    pub memory: u64,
    /// Default of [`TSC_KHZ`].
    pub tsc_khz: i64,
    /// CPUs the image uses at most.
    pub cpus: u32,
}

/// The platform.
#[derive(Debug)]
pub struct Kvm;

impl Platform for Kvm {
    const NAME: &'static str = "kvm";
    const ARCH: &'static str = "x86_64";

    fn console_write(_stream: Stream, bytes: &[u8]) {
        serial::write(bytes)
    }
    fn console_read(buf: &mut [u8]) -> usize {
        serial::read(buf)
    }
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
        traps::idle_until(deadline_ns)
    }
    fn irq_disable() -> bool {
        ukarch_x86_64::regs::disable_interrupts()
    }
    fn irq_enable() {
        traps::enable()
    }
    fn timer_on_expiry(handler: fn()) {
        traps::on_expiry(handler)
    }
    fn timer_arm(deadline_ns: Option<u64>) {
        traps::arm(deadline_ns)
    }
    fn backtrace(visit: &mut dyn FnMut(usize)) {
        traps::walk_stack(ukarch_x86_64::backtrace::frame_pointer(), visit)
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
    unsafe fn stack_guard(page: usize, on: bool, frames: &mut Frames<'_>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { guard::set(page, on, frames) }
    }
    unsafe fn set_rights(
        at: usize,
        len: usize,
        rights: Rights,
        frames: &mut dyn FrameSource,
    ) -> Result<(), RightsError> {
        // SAFETY: the caller's promise.
        unsafe { guard::set_rights(at, len, rights, frames) }
    }
    #[inline]
    fn thread_pointer() -> usize {
        thread::thread_pointer()
    }
    #[inline]
    unsafe fn set_thread_pointer(value: usize) {
        // SAFETY: the caller's promise.
        unsafe { thread::set_thread_pointer(value) }
    }

    #[cfg(feature = "trap")]
    fn trap_syscalls(handler: Handler) -> Result<(), TrapError> {
        syscall::handle_with(handler);
        Ok(())
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
    #[cfg(feature = "smp")]
    fn tlb_flush_others(range: Range<usize>) {
        cpus::flush_others(range)
    }
    fn terminate(exit: Exit) -> ! {
        power::off(exit)
    }
    fn vm_window() -> Range<usize> {
        vm::WINDOW
    }
    unsafe fn vm_prepare(base: usize, len: usize) -> Result<(), VmError> {
        vm::prepare(base, len)
    }
    unsafe fn vm_alias(
        at: usize,
        memory: usize,
        len: usize,
        frames: &mut dyn FrameSource,
    ) -> Result<(), VmError> {
        // SAFETY: the caller's promise.
        unsafe { vm::alias(at, memory, len, frames) }
    }
    unsafe fn vm_revoke(
        at: usize,
        len: usize,
        frames: &mut dyn FrameSource,
    ) -> Result<(), VmError> {
        // SAFETY: the caller's promise.
        unsafe { vm::revoke(at, len, frames) }
    }

    #[cfg(feature = "devices")]
    fn map_registers(physical: u64, len: usize, frames: &mut Frames<'_>) -> Option<NonNull<u8>> {
        registers::map(physical, len, frames)
    }
    #[cfg(feature = "devices")]
    #[inline]
    fn device_address(start: usize, len: usize) -> Option<(u64, usize)> {
        registers::device_address(start, len)
    }
    #[cfg(feature = "devices")]
    fn message_interrupt(handler: &'static dyn InterruptHandler) -> Option<Message> {
        interrupts::message(handler)
    }
    #[cfg(feature = "devices")]
    fn line_interrupt(line: u32, handler: &'static dyn InterruptHandler) -> bool {
        interrupts::line(line, handler)
    }
}
