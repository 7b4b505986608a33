//! Platform `linuxu`: the image is a static Linux process that uses raw system calls only.
//!
//! Console on stdin, stdout and stderr; memory from one anonymous mapping; clock through the vDSO;
//! the timer is a POSIX timer whose signal is the interrupt; other signals become fault reports.
//! For developing, debugging and running anywhere at native speed.
//!
//! ```
//! // The generated root crate: `linuxu::entry!(start, linuxu::Config { … })`.
//! let config = linuxu::Config { memory: 64 << 20, initrd: "", cpus: 1 };
//! assert_eq!(config.memory, 67_108_864);
//! ```
#![cfg_attr(not(test), no_std)]

mod clock;
mod console;
#[cfg(feature = "smp")]
mod cpus;
mod faults;
pub mod file;
mod guard;
mod initrd;
#[cfg(feature = "io")]
pub mod io;
mod local;
mod random;
mod start;
mod sys;
mod thread;
mod timer;
#[cfg(feature = "trap")]
mod trap;
mod vdso;
mod vm;

use core::ops::Range;

use ukarch_x86_64::context;
#[cfg(feature = "smp")]
use ukarch_x86_64::segment;
use ukplat::rights::{Rights, RightsError};
use ukplat::stack::Frames;
#[cfg(feature = "trap")]
use ukplat::syscall::{Handler, TrapError};
use ukplat::vm::{FrameSource, VmError};
use ukplat::{Context, Exit, Platform, Stream};
#[cfg(feature = "smp")]
use ukplat::{CpuError, Word};

pub use clock::init_clock;
pub use faults::init_faults;
#[doc(hidden)]
pub use start::start;
#[doc(hidden)]
pub use ukarch_x86_64::mem_symbols;

/// Parameter `linuxu.memory`, in bytes.
pub static MEMORY: ukparam::Size = ukparam::Size::new();
/// Parameter `linuxu.initrd`.
pub static INITRD: ukparam::Text = ukparam::Text::new();

/// Options of the platform that are needed before parameters are read.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Default of [`MEMORY`], in bytes.
    pub memory: u64,
    /// Default of [`INITRD`].
    pub initrd: &'static str,
    /// CPUs the image uses at most.
    pub cpus: u32,
}

/// The platform.
#[derive(Debug)]
pub struct Linuxu;

impl Platform for Linuxu {
    const NAME: &'static str = "linuxu";
    const ARCH: &'static str = "x86_64";

    fn console_write(stream: Stream, bytes: &[u8]) {
        console::write(stream, bytes)
    }
    fn console_read(buf: &mut [u8]) -> usize {
        console::read(buf)
    }
    #[inline]
    fn console_ended() -> bool {
        console::ended()
    }
    fn ticks() -> u64 {
        clock::monotonic_ns()
    }
    fn ticks_to_ns(ticks: u64) -> u64 {
        ticks
    }
    fn monotonic_ns() -> u64 {
        clock::monotonic_ns()
    }
    fn wall_ns() -> u64 {
        clock::wall_ns()
    }
    fn entropy(bytes: &mut [u8]) -> usize {
        random::fill(bytes)
    }
    fn idle_until(deadline_ns: Option<u64>) {
        timer::idle_until(deadline_ns)
    }
    #[cfg(feature = "smp")]
    fn relax() {
        // SAFETY: no pointers.
        unsafe { sys::call(sys::SCHED_YIELD, [0; 6]) };
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
        let frame = ukarch_x86_64::backtrace::frame_pointer();
        faults::walk_stack(frame, visit)
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
    unsafe fn stack_guard(page: usize, on: bool, _frames: &mut Frames<'_>) -> bool {
        // SAFETY: the caller's promise. The kernel keeps the tables: no frames are needed.
        unsafe { guard::set(page, on) }
    }
    unsafe fn set_rights(
        at: usize,
        len: usize,
        rights: Rights,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), RightsError> {
        // SAFETY: the caller's promise.
        unsafe { guard::set_rights(at, len, rights) }
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
        trap::handle_with(handler)
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
        sys::exit_group(exit.code())
    }
    fn vm_window() -> Range<usize> {
        vm::WINDOW
    }
    unsafe fn vm_prepare(base: usize, len: usize) -> Result<(), VmError> {
        // SAFETY: the caller's promise.
        unsafe { vm::prepare(base, len) }
    }
    // The kernel keeps the tables: no frames are needed.
    unsafe fn vm_alias(
        at: usize,
        memory: usize,
        len: usize,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), VmError> {
        // SAFETY: the caller's promise.
        unsafe { vm::alias(at, memory, len) }
    }
    unsafe fn vm_revoke(
        at: usize,
        len: usize,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), VmError> {
        // SAFETY: the caller's promise.
        unsafe { vm::revoke(at, len) }
    }
}

/// Emits the process entry point `_start`, which calls `$start(&'static BootInfo) -> !`.
/// Expanded once, in the generated root crate.
#[macro_export]
macro_rules! entry {
    ($start:path, $config:expr) => {
        $crate::mem_symbols!();
        ::core::arch::global_asm!(
            ".section .text._start, \"ax\"",
            ".globl _start",
            "_start:",
            // System V ABI, x86-64 psABI section 3.4.1: rsp points to argc; the outermost frame
            // is marked by a zero frame pointer.
            "xor ebp, ebp",
            "mov rdi, rsp",
            // A line of the cache, more than the ABI asks for: Linux moves the stack by multiples of 16 at
            // each start, and copies on it that cross a line make calls slower by up to a fifth.
            "and rsp, -64",
            "call {start}",
            "ud2",
            start = sym oxikraft_start,
        );

        extern "C" fn oxikraft_start(stack: *const usize) -> ! {
            // SAFETY: called once, by `_start`, with the stack pointer the kernel gave.
            unsafe { $crate::start(stack, &$config, $start) }
        }
    };
}
